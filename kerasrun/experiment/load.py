"""An experiment file → a frozen `Experiment`, or every problem at once. Nothing heavy is imported."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kerasrun import plugins
from kerasrun.components import absolute
from kerasrun.errors import ExperimentError, ModelError, PluginError
from kerasrun.experiment import fields, keras_checks, overrides, sequences, tutorial_forms
from kerasrun.experiment.rules import base as rules
from kerasrun.experiment.schema import Experiment
from kerasrun.experiment.slots import layer_paths
from kerasrun.regular_files import open_regular
from kerasrun.text import yaml_text
from kerasrun.text.document import Document, accept_class_name_form, written_list
from kerasrun.text.problems import Problem, Text, closest, dotted, experiment_error, shown
from kerasrun.text.yaml_text import Node

_LARGEST = 2**24
"""How many bytes are read before a file is taken for something else, such as data."""


@dataclass(frozen=True)
class Loaded:
    """An experiment with the text that it was read from, for errors that are found later."""

    experiment: Experiment
    document: Document
    text: str
    """The text of the file, without what the command line changes."""

    def settled(self, *, trust: bool = False) -> Experiment:
        """Return the experiment with a network that needs no other file but for weights; `trust` as in `Network`.

        Raises:
            ModelError: if the file of the network cannot be used, with the place of its key.
        """
        try:
            return self.experiment.model_copy(update={"model": self.experiment.model.settled(trust=trust)})
        except ModelError as error:
            raise self.with_place(error) from error

    def with_place(self, error: ModelError) -> ModelError:
        """Return an error with the place of the layer that it is about, if it is about one."""
        if error.layer is None:
            return error
        section, number = error.layer
        place = (section, number) if isinstance(number, str) else layer_paths(self.document, section)[number]
        return ModelError(str(self.document.problem(place, str(error))))


def load(path: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read an experiment file; each override is `key.path=value`.

    Raises:
        ExperimentError: if anything is wrong; the message lists every problem with its place.
    """
    return parse(_read(Path(path)), path, overrides)


def parse(content: str, file: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read an experiment from its text; `file` names it in messages, and paths are relative to its folder.

    Raises:
        ExperimentError: if anything is wrong; the message lists every problem with its place.
    """
    problems: list[Problem] = []
    yaml = content.removeprefix("\ufeff")
    text = Text(str(file), yaml_text.split_lines(yaml))
    root = yaml_text.parse(yaml, text, problems)
    if root is None:
        raise experiment_error(problems)
    document = _changed(root, overrides, problems)
    folder = Path(file).parent.absolute()
    problems += _use_plugins(document, folder)
    tutorial_forms.accept(document)
    typed: list[Problem] = []
    experiment, source = fields.read_experiment(document, folder, Path(file).stem.lstrip("."), typed)
    facts = rules.facts_of_text(source, document)
    found = keras_checks.check(document, facts.inputs)
    places = replace(document, broken=tuple(problem.key_path for problem in found + typed))
    experiment = None if experiment is None else sequences.decided(experiment)
    found += rules.problems(experiment, facts, places)
    # The checks of Keras's components and the rules say more than pydantic about what they hold.
    reported = sorted(f"{problem.key_path}." for problem in found)
    problems += found + [one for one in typed if not _begins_one(f"{one.key_path}.", reported)]
    if problems or experiment is None:
        raise experiment_error(problems)
    return Loaded(experiment, document, content)


def _begins_one(text: str, texts: list[str]) -> bool:
    """Return whether one of some sorted texts begins with a text."""
    place = bisect_left(texts, text)
    return place < len(texts) and texts[place].startswith(text)


def _read(path: Path) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
    except IsADirectoryError:
        raise ExperimentError(f"{path}: a folder; expected an experiment file{_offered(path)}") from None
    except FileNotFoundError:
        offered = _offered(path.parent, path)
        raise ExperimentError(f"{path}: no such file; expected an experiment file{offered}") from None
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise ExperimentError(f"{path}:1:1: has more than {_LARGEST:,} bytes; expected an experiment file")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = yaml_text.split_lines(content[: error.start].decode())
        place = f"{path}:{len(before)}:{len(before[-1]) + 1}"
        hint = "it is UTF-16; " if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise ExperimentError(f"{place}: not UTF-8 text; {hint}expected a YAML file saved as UTF-8") from None


def _offered(folder: Path, wanted: Path | None = None) -> str:
    """Return what else the folder holds: the file that was probably meant, or the first few."""
    if not folder.is_dir():
        return f" (there is no folder {folder})"
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    meant = closest(wanted.name, names) if wanted else None
    if meant:
        return f"; did you mean '{folder / meant}'?"
    return f"; {folder} has {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else ""


def _changed(root: Node, settings: Sequence[str], problems: list[Problem]) -> Document:
    """Return the document with what the command line sets."""
    if root.value is None and settings:
        root.value = {}
    if not isinstance(root.value, dict):
        received, expected = f"{shown(root.value)} at the top", "expected sections: 'data:', 'model:', …"
        if root.value is None:
            received, expected = "an empty experiment", "expected at least the sections 'data' and 'model'"
        elif isinstance(root.value, str):
            received = shown(root.value)
        raise experiment_error([*problems, Problem(root.place, "", received, expected)])
    accept_class_name_form(root)
    overrides.apply(root, settings, problems)
    return Document(root)


def _use_plugins(document: Document, folder: Path) -> list[Problem]:
    """Let the names of the experiment's plugins, and of no others, be known; return what is wrong with the files."""
    problems: list[Problem] = []
    found: list[plugins.Plugin] = []
    tried: set[str] = set()
    plugins.use(())
    for path, node in written_list(document.node(("plugins",)), ("plugins",)):
        if not isinstance(node.value, str):
            continue  # reported as a wrong value
        file = absolute(node.value, folder)
        if (module := plugins.module_of(file)) in tried:
            wrong = ["a second plugin of this name; give it another one"]
        else:
            tried.add(module)
            try:
                plugin = plugins.read(file)
                wrong = plugins.problems_of(plugin)
                found.append(plugin)
            except PluginError as error:
                wrong = [str(error)]
        problems += [Problem(node.place, dotted(path), f"{file}: {one}") for one in wrong]
        plugins.use(found)
    return problems
