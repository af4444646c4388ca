"""Several outputs of one network, held against the layers, the labels and what `compile` says of them."""

from collections.abc import Mapping, Sequence

from kerasrun.experiment.outputs import OUTPUTS, is_by_output, loss_of, no_loss, unknown, written_outputs
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import identifiers
from kerasrun.network_layers import JOINED
from kerasrun.reading.data import LabelKind
from kerasrun.tasks.base import SPARSE, task_named
from kerasrun.text.document import Document, written_component, written_list
from kerasrun.text.problems import Problem, Suggestion, dotted, listed, nearest, shown
from kerasrun.text.yaml_text import Path


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report what is wrong with several outputs, as far as is known."""
    names = written_outputs(places)
    problems = _name_problems(places) or _compile_problems(places, names)
    if names and experiment and not problems:
        problems += _loss_problems(places, experiment)
        problems += _data_problems(places, facts.label_kind) or _unit_problems(places, experiment, facts.columns)
    return problems


def _name_problems(document: Document) -> list[Problem]:
    layers: Path = ("model", "layers")
    entries = [written_component(node, path) for path, node in written_list(document.node(layers), layers)]
    known = [str(name.value) for entry in entries if entry and (name := entry.arguments.get("name")) is not None]
    problems = []
    before: list[object] = []
    for path, one in written_list(document.node(OUTPUTS), OUTPUTS):
        received = None
        suggestion: Suggestion = None
        expected = "expected another name: the layer that joins the outputs is called so"
        if one.value in before:
            received, expected = f"the output {shown(one.value)} a second time", "expected each output once"
        elif one.value not in known:
            received = f"no layer is called {shown(one.value)}"
            expected = f"expected {listed(known)}" if known else "expected the `name` of a layer: give it one"
            suggestion = nearest(one.value, known)
        elif one.value == JOINED:
            received = f"an output called '{JOINED}'"
        before.append(one.value)
        if received:
            problems.append(Problem(one.place, dotted(path), received, expected, suggestion))
    return problems


def _compile_problems(document: Document, names: Sequence[str]) -> list[Problem]:
    """Report what `compile` says of outputs that are not there, and outputs that it leaves out."""
    problems = []
    for key in ("loss", "loss_weights", "metrics"):
        path: Path = ("compile", key)
        node = document.node(path)
        if node is None or not isinstance(node.value, dict) or (key == "loss" and not is_by_output(node, names)):
            continue
        if not names:
            expected = f"expected {'a list' if key == 'metrics' else 'nothing here'}, or several under model.outputs"
            problems.append(document.problem(path, f"{key} by output, but the network has one output", expected))
            continue
        for name in unknown(node, names):
            received, expected = f"no output is called '{name}'", f"expected {listed(names)}"
            problems.append(document.key_problem((*path, name), received, expected, nearest(name, names)))
        missing = [name for name in names if name not in node.value]
        if key == "loss" and missing and not unknown(node, names):
            received = f"no loss for {listed([f'the output {name!r}' for name in missing], 'and')}"
            problems.append(document.problem(path, received, "expected one for each output, or one for all"))
    return problems


def _data_problems(document: Document, kind: LabelKind | None) -> list[Problem]:
    what = None if kind is None else task_named(kind).indivisible
    expected = (
        "expected labels of several columns: `multi_label` or `target` of csv or image_table; `labels: multi_label` or "
        "`labels: numbers` of npz, npy and hdf5"
    )
    return [document.problem(OUTPUTS, f"several outputs, but {what}", expected)] if what else []


def _loss_problems(document: Document, experiment: Experiment) -> list[Problem]:
    problems = []
    written = experiment.compile.loss
    for name, layer in experiment.model.several_outputs.items():
        loss = loss_of(experiment.compile, name, layer)
        path: Path = ("compile", "loss", name) if isinstance(written, Mapping) else ("compile", "loss")
        if loss is None:
            problems.append(document.problem(path, no_loss(name)))
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
    return [document.problem(OUTPUTS, received, expected)]
