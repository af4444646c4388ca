"""An experiment file → a frozen `Experiment`, or every problem at once. Nothing heavy is imported."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasrun.callbacks import callback_problems
from kerasrun.errors import ExperimentError, ModelError
from kerasrun.experiment import fields, keras_checks, logs, overrides
from kerasrun.experiment.class_weight import class_weight_problems
from kerasrun.experiment.image_data_generator import NONE, STANDARDIZATION, ImageDataGenerator
from kerasrun.experiment.outputs import output_problems
from kerasrun.experiment.plugin_files import use_plugins
from kerasrun.experiment.schema import Experiment
from kerasrun.experiment.validation import validation_problems
from kerasrun.text import yaml_text
from kerasrun.text.document import Document, accept_class_name_form
from kerasrun.text.problems import Problem, Text, closest, experiment_error, shown
from kerasrun.text.yaml_text import Node


@dataclass(frozen=True)
class Loaded:
    """An experiment, and the text that it was read from, for errors that are found later."""

    experiment: Experiment
    document: Document
    text: str
    """As it was read, without what the command line changes."""


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
    problems += use_plugins(document, folder)
    found = keras_checks.check(document) + logs.metric_problems(document) + _rule_problems(document)
    found += class_weight_problems(document)
    typed: list[Problem] = []
    experiment = fields.read_experiment(document, folder, Path(file).stem, typed)
    found += output_problems(document, experiment)
    if not any(problem.key_path.startswith("compile.metrics") for problem in found):
        sure = None if any(problem.key_path.startswith(("compile.", "model")) for problem in found) else experiment
        found += logs.monitor_problems(document, sure, logs.validates_by_text(document))
    if experiment is not None:
        found += validation_problems(document, experiment.fit) + _fit_problems(document, experiment)
        later = [stage.optimizer for stage in experiment.stages if stage.optimizer is not None]
        found += callback_problems(document, [experiment.compile.optimizer, *later])
    # The checks of Keras's components say more than pydantic about what they hold.
    reported = tuple(f"{problem.key_path}." for problem in found)
    problems += found + [one for one in typed if not any(path.startswith(f"{one.key_path}.") for path in reported)]
    if problems or experiment is None:
        raise experiment_error(problems)
    return Loaded(experiment, document, content)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise ExperimentError(f"{path}: a folder; expected an experiment file{_offered(path)}") from None
    except FileNotFoundError:
        raise ExperimentError(
            f"{path}: no such file; expected an experiment file{_offered(path.parent, path)}"
        ) from None
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        hint = "it is UTF-16; " if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise ExperimentError(f"{path}:{line}: not UTF-8 text; {hint}expected a YAML file saved as UTF-8") from None


def _offered(folder: Path, wanted: Path | None = None) -> str:
    """What else the folder holds: the file that was probably meant, or the first few."""
    if not folder.is_dir():
        return f" (there is no folder {folder})"
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    meant = closest(wanted.name, names) if wanted else None
    if meant:
        return f"; did you mean '{folder / meant}'?"
    return f"; {folder} has {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else ""


def _changed(root: Node, settings: Sequence[str], problems: list[Problem]) -> Document:
    """The document with what the command line sets."""
    if root.value is None and not settings:
        problems.append(
            Problem(root.place, "", "an empty experiment", "expected at least the sections 'data' and 'model'")
        )
        raise experiment_error(problems)
    if root.value is None:
        root.value = {}
    if not isinstance(root.value, dict):
        received = shown(root.value) if isinstance(root.value, str) else f"{shown(root.value)} at the top"
        problems.append(Problem(root.place, "", received, "expected sections: 'data:', 'model:', …"))
        raise experiment_error(problems)
    accept_class_name_form(root)
    overrides.apply(root, settings, problems)
    return Document(root)


def _fit_problems(document: Document, experiment: Experiment) -> list[Problem]:
    """A network that cannot take the examples, or the stages, as far as the text says what they are."""
    problems = []
    network, shape = experiment.model, experiment.data.example_shape
    if shape is not None and experiment.preprocessing is None:
        try:
            network.check_examples(shape, experiment.data.label_kind)
        except ModelError as error:
            problems.append(Problem(document.key_place(("model", network.kind)), "model", str(error)))
    for number, stage in enumerate(experiment.stages):
        try:
            network.check_trainable(True if stage.trainable is None else stage.trainable)
        except ModelError as error:
            problems.append(document.problem(("stages", number, "trainable"), str(error)))
    return problems


def _rule_problems(document: Document) -> list[Problem]:
    """What no single value can tell."""
    problems = []
    split, data = (document.node(("fit", key)) for key in ("validation_split", "validation_data"))
    if split is not None and data is not None and split.value is not None and data.value is not None:
        received, expected = "validation_data beside validation_split", "expected one of them; set the other to null"
        problems.append(document.problem(("fit", "validation_data"), received, expected))
    preprocessing = document.node(("preprocessing",))
    for key in STANDARDIZATION if preprocessing is not None and preprocessing.value is not None else ():
        path = ("augmentation", ImageDataGenerator.kind, key)
        node = document.node(path)
        if node is not None and node.value not in (None, NONE, False):
            received, expected = f"{key} beside preprocessing", "expected one of them: both make the network's input"
            problems.append(document.problem(path, received, expected))
    jit_compile, deterministic = document.node(("compile", "jit_compile")), document.node(("deterministic",))
    is_deterministic = deterministic is None or deterministic.value is not False
    if is_deterministic and jit_compile is not None and jit_compile.value is True:
        received = "jit_compile beside deterministic operations, which XLA does not have"
        expected = "expected 'deterministic: false' with it, or 'jit_compile: auto'"
        problems.append(document.problem(("compile", "jit_compile"), received, expected))
    name = document.node(("name",))
    if name is not None and isinstance(name.value, str) and not re.fullmatch(r"\w[\w.+ -]*", name.value):
        expected = "expected letters, digits, '_', '-' and '.': runs are folders of this name"
        problems.append(document.problem(("name",), f"received {shown(name.value)}", expected))
    return problems
