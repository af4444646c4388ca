"""An experiment file → a frozen `Experiment`, or every problem at once. Nothing heavy is imported."""

import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerasrun import plugins
from kerasrun.components import absolute
from kerasrun.errors import ModelError, PluginError
from kerasrun.experiment import fields, keras_checks, overrides, sequences, tutorial_forms
from kerasrun.experiment.files import BASE, Base, no_sections, on_its_bases, parse_text, read_text
from kerasrun.experiment.resolved import written
from kerasrun.experiment.rules import base as rules
from kerasrun.experiment.schema import Experiment
from kerasrun.experiment.slots import layer_paths
from kerasrun.experiment.variables import fill
from kerasrun.text.document import Document, written_list
from kerasrun.text.problems import Problem, dotted, experiment_error
from kerasrun.text.yaml_text import Node, walk

_MOST_MAPPINGS = 4000
Given = str | Path | Mapping[str, Any]
"""An experiment file, or what one would say, whose paths are then relative to the working directory."""


def path_of(given: Given) -> Path:
    """Return the file of an experiment, or the one that it would be in."""
    return Path("experiment") if isinstance(given, Mapping) else Path(given)


@dataclass(frozen=True)
class Loaded:
    """An experiment with the text that it was read from, for errors that are found later."""

    experiment: Experiment
    document: Document
    text: str
    """The text of the file, without what the command line changes."""
    bases: tuple[Base, ...]
    """The files on which it builds, in the order in which later ones win."""

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


def load(given: Given, overrides: Sequence[str] = (), *, alone: bool = False) -> Loaded:
    """Read an experiment; each override is `key.path=value`.

    Args:
        alone: the file of a run, which says everything itself: it may name no base, and `${NAME}` is text.

    Raises:
        ExperimentError: if anything is wrong; the message lists every problem with its place.
    """
    text = written(given) if isinstance(given, Mapping) else read_text(Path(given))
    return parse(text, path_of(given), overrides, alone=alone)


def parse(content: str, file: str | Path, overrides: Sequence[str] = (), *, alone: bool = False) -> Loaded:
    """Read an experiment from its text; `file` names it in messages, and paths are relative to its folder.

    Args:
        alone: as for `load`.

    Raises:
        ExperimentError: if anything is wrong; the message lists every problem with its place.
    """
    problems: list[Problem] = []
    root = parse_text(content, str(file), problems)
    if root is None:
        raise experiment_error(problems)
    root, bases = (root, ()) if alone else on_its_bases(root, Path(file), problems)
    document = _changed(root, overrides, problems, environment=None if alone else os.environ)
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
    found += [one for one in typed if not _begins_one(f"{one.key_path}.", reported)]
    told = {one.place for one in problems}  # such as that of a variable without a value
    problems += [one for one in found if one.place not in told]
    if problems or experiment is None:
        raise experiment_error(problems)
    return Loaded(experiment, document, content, bases)


def _begins_one(text: str, texts: list[str]) -> bool:
    """Return whether one of some sorted texts begins with a text."""
    place = bisect_left(texts, text)
    return place < len(texts) and texts[place].startswith(text)


def _changed(
    root: Node, settings: Sequence[str], problems: list[Problem], environment: Mapping[str, str] | None
) -> Document:
    """Return the document with what the environment and the command line say."""
    if root.value is None and settings:
        root.value = {}
    if not isinstance(root.value, dict):
        raise experiment_error([*problems, no_sections(root)])
    wrong = fill(root, environment)
    overrides.apply(root, settings, problems)
    if base := root.value.pop(BASE, None):
        expected = "expected it in an experiment file, and neither in the resolved.yaml of a run nor after --set"
        problems.append(Problem(base.key or base.place, BASE, f"'{BASE}' in this place", expected))
    _require_few(root, problems)
    needed = {id(node) for _, node in walk(root)} if wrong else set()
    problems += [problem for node, problem in wrong if id(node) in needed]
    return Document(root)


def _require_few(root: Node, problems: list[Problem]) -> None:
    """Refuse more than any experiment has: a component with its arguments takes a millisecond to be checked."""
    count = 0
    for path, node in walk(root):
        count += isinstance(node.value, dict)
        if count > _MOST_MAPPINGS:
            expected = f"expected at most {_MOST_MAPPINGS:,} in all: two are a component with its arguments"
            raise experiment_error([*problems, Problem(node.place, dotted(path), "very many mappings", expected)])


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
