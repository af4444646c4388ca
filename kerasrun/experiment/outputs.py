"""Several outputs of one network: the loss, its weight and the metrics of each, and what an experiment says of them."""

from collections.abc import Mapping, Sequence

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.experiment.metric_names import by_name
from kerasrun.experiment.schema import Compile, Experiment
from kerasrun.keras_catalogue import identifiers
from kerasrun.reading.data import LabelKind
from kerasrun.tasks.base import SPARSE, task_named
from kerasrun.tasks.several_outputs import JOINED, NetworkOutput, loss_of_activation, task_of_output
from kerasrun.text.document import Document, written_component, written_list
from kerasrun.text.problems import Problem, closest, dotted, experiment_error, listed, shown
from kerasrun.text.yaml_text import Node, Path

_OUTPUTS: Path = ("model", "outputs")
_BY_OUTPUT = ("loss", "loss_weights", "metrics")
"""The keys of `compile` that may say something of each output by its name."""


def outputs_of(experiment: Experiment) -> tuple[NetworkOutput, ...]:
    """Every output of a network that has several, in their order; empty for one."""
    layers = experiment.model.several_outputs
    found: list[NetworkOutput] = []
    taken = {f"{name}_loss" for name in layers}
    for name, layer in layers.items():
        loss = _loss_of(experiment.compile, name, layer)
        if loss is None:
            raise ModelError(_no_loss(name))
        kind = task_of_output(loss, _activation(layer), experiment.data.label_kind)
        metrics = by_name(_metrics_of(experiment.compile, name, kind), f"{name}_", taken)
        taken |= metrics.keys()
        found.append(NetworkOutput(name, kind, loss, (experiment.compile.loss_weights or {}).get(name, 1.0), metrics))
    return tuple(found)


def written_outputs(document: Document) -> tuple[str, ...]:
    """The names of several outputs, as far as they were written as they should be."""
    items = (node.value for _, node in written_list(document.node(_OUTPUTS), _OUTPUTS))
    return tuple(name for name in items if isinstance(name, str))


def is_by_output(node: Node, outputs: Sequence[str]) -> bool:
    """Whether a loss is written for each output by name, and not as one component."""
    return bool(outputs) and isinstance(node.value, dict) and (len(node.value) > 1 or not _unknown(node, outputs))


def output_problems(document: Document, experiment: Experiment | None) -> list[Problem]:
    """What is wrong with several outputs, as far as the text tells."""
    names = written_outputs(document)
    problems = _name_problems(document) or _compile_problems(document, names)
    if names and experiment and not problems:
        problems += _loss_problems(document, experiment)
        problems += _data_problems(document, experiment.data.label_kind) or _unit_problems(
            document, experiment, experiment.data.label_columns
        )
    return problems


def check_outputs(document: Document, experiment: Experiment, columns: int) -> None:
    """Check the units of several outputs once the data are open.

    Args:
        columns: how many labels an example has.

    Raises:
        ExperimentError: if the outputs' layers say how many units they have, and that these are more or fewer.
    """
    if problems := _unit_problems(document, experiment, columns):
        raise experiment_error(problems)


def _name_problems(document: Document) -> list[Problem]:
    layers: Path = ("model", "layers")
    entries = [written_component(node, path) for path, node in written_list(document.node(layers), layers)]
    known = [str(name.value) for entry in entries if entry and (name := entry.arguments.get("name")) is not None]
    problems = []
    before: list[object] = []
    for path, one in written_list(document.node(_OUTPUTS), _OUTPUTS):
        received = None
        suggestion = None
        expected = "expected another name: the layer that joins the outputs is called so"
        if one.value in before:
            received, expected = f"the output {shown(one.value)} a second time", "expected each output once"
        elif one.value not in known:
            received = f"no layer is called {shown(one.value)}"
            expected = f"expected {listed(known)}" if known else "expected the `name` of a layer: give it one"
            suggestion = closest(one.value, known) if isinstance(one.value, str) else None
        elif one.value == JOINED:
            received = f"an output called '{JOINED}'"
        before.append(one.value)
        if received:
            problems.append(Problem(one.place, dotted(path), received, expected, suggestion))
    return problems


def _compile_problems(document: Document, names: Sequence[str]) -> list[Problem]:
    """What `compile` says by name of outputs that are not there, and what it leaves out."""
    problems = []
    for key in _BY_OUTPUT:
        path: Path = ("compile", key)
        node = document.node(path)
        if node is None or not isinstance(node.value, dict):
            continue
        if key == "loss" and not is_by_output(node, names):
            continue
        if not names:
            expected = f"expected {'a list' if key == 'metrics' else 'nothing here'}, or several under model.outputs"
            problems.append(document.problem(path, f"{key} by output, but the network has one output", expected))
            continue
        for name in _unknown(node, names):
            place, where = document.key_place((*path, name)), dotted((*path, name))
            received, expected = f"no output is called '{name}'", f"expected {listed(names)}"
            problems.append(Problem(place, where, received, expected, closest(name, names)))
        missing = [name for name in names if name not in node.value]
        if key == "loss" and missing and not _unknown(node, names):
            received = f"no loss for {listed([f'the output {name!r}' for name in missing], 'and')}"
            problems.append(document.problem(path, received, "expected one for each output, or one for all"))
    return problems


def _data_problems(document: Document, kind: LabelKind) -> list[Problem]:
    problems = []
    if what := task_named(kind).indivisible:
        expected = (
            "expected labels of several columns: `multi_label` or `target` of csv; `labels: multi_label` or "
            "`labels: numbers` of npz, npy and hdf5"
        )
        problems.append(document.problem(_OUTPUTS, f"several outputs, but {what}", expected))
    weights: Path = ("fit", "class_weight")
    node = document.node(weights)
    if node is not None and node.value is not None:
        expected = "expected nothing here: an example has labels for each of several outputs; see compile.loss_weights"
        problems.append(document.problem(weights, "received weights of classes", expected))
    return problems


def _loss_problems(document: Document, experiment: Experiment) -> list[Problem]:
    problems = []
    written = experiment.compile.loss
    for name, layer in experiment.model.several_outputs.items():
        loss = _loss_of(experiment.compile, name, layer)
        path: Path = ("compile", "loss", name) if isinstance(written, Mapping) else ("compile", "loss")
        if loss is None:
            problems.append(document.problem(path, _no_loss(name)))
        elif identifiers("losses").get(loss.name) in SPARSE:
            expected = "expected categorical_crossentropy: the columns of an output that is a class are one-hot"
            problems.append(document.problem(path, f"received {loss.name}", expected))
            if loss is written:
                break
    return problems


def _unit_problems(document: Document, experiment: Experiment, columns: int | None) -> list[Problem]:
    written = [layer.arguments.get("units") for layer in experiment.model.several_outputs.values()]
    units = [count for count in written if isinstance(count, int)]
    if not units or columns is None or len(units) < len(written) or sum(units) == columns:
        return []
    received = f"outputs of {' + '.join(map(str, units))} = {sum(units)} units"
    expected = f"expected as many as an example has labels: {columns}"
    return [document.problem(_OUTPUTS, received, expected)]


def _loss_of(section: Compile, name: str, layer: Component) -> Component | None:
    """What is written, else what suits the layer's activation; None where neither says."""
    if isinstance(section.loss, Mapping):
        return section.loss[name]
    if section.loss is not None:
        return section.loss
    activation = _activation(layer)
    return None if activation is None else loss_of_activation(activation)


def _no_loss(name: str) -> str:
    return f"no loss for the output '{name}', and its layer does not say which suits: set compile.loss.{name}"


def _metrics_of(section: Compile, name: str, kind: LabelKind) -> Sequence[Component]:
    if section.metrics is None:
        return task_named(kind).default_metrics
    return section.metrics.get(name, ()) if isinstance(section.metrics, Mapping) else section.metrics


def _activation(layer: Component) -> str | None:
    """The name of the activation that a layer ends in; None where its kind does not tell."""
    name = identifiers("layers").get(layer.name)
    if name == "Softmax":
        return "softmax"
    return str(layer.arguments.get("activation") or "linear") if name in ("Dense", "Activation") else None


def _unknown(node: Node, outputs: Sequence[str]) -> list[str]:
    """The keys of a mapping that name no output."""
    return [key for key in node.value if key not in outputs] if isinstance(node.value, dict) else []
