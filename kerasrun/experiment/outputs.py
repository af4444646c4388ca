"""Several outputs of one network: the loss, its weight and the metrics of each, with their names in the logs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kerasrun.components import Component, snake_case
from kerasrun.errors import ModelError
from kerasrun.experiment.schema import Compile, Experiment
from kerasrun.keras_catalogue import identifiers
from kerasrun.reading.data import LabelKind
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document, written_list
from kerasrun.text.yaml_text import Node, Path

if TYPE_CHECKING:  # most networks have one output
    from kerasrun.tasks.several_outputs import NetworkOutput

OUTPUTS: Path = ("model", "outputs")


def outputs_of(experiment: Experiment) -> tuple[NetworkOutput, ...]:
    """Return every output of a network that has several, in their order; none for a network of one."""
    layers = experiment.model.several_outputs
    if not layers:
        return ()
    from kerasrun.tasks.several_outputs import NetworkOutput, task_of_output

    found: list[NetworkOutput] = []
    taken = {f"{name}_loss" for name in layers}
    for name, layer in layers.items():
        loss = loss_of(experiment.compile, name, layer)
        if loss is None:
            raise ModelError(no_loss(name))
        kind = task_of_output(loss, _activation(layer), experiment.data.label_kind)
        metrics = by_name(_metrics_of(experiment.compile, name, kind), f"{name}_", taken)
        taken |= metrics.keys()
        found.append(NetworkOutput(name, kind, loss, (experiment.compile.loss_weights or {}).get(name, 1.0), metrics))
    return tuple(found)


def by_name(metrics: Sequence[Component], prefix: str = "", taken: Iterable[str] = ()) -> Mapping[str, Component]:
    """Return each metric under its `name`, else under its snake-case name; repeated ones get `_1`, `_2`.

    Args:
        prefix: what every name begins with.
        taken: names that others have already.
    """
    found: dict[str, Component] = {}
    used, spellings = set(taken), dict[str, Iterator[str]]()
    for metric in metrics:
        name = prefix + str(metric.arguments.get("name") or snake_case(metric.name))
        own = next(one for one in spellings.setdefault(name, _spellings(name)) if one not in used)
        used.add(own)
        found[own] = metric
    return found


def _spellings(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(1))


def written_outputs(document: Document) -> tuple[str, ...]:
    """Return the names of several outputs, as far as they were written as they should be."""
    items = (node.value for _, node in written_list(document.node(OUTPUTS), OUTPUTS))
    return tuple(name for name in items if isinstance(name, str))


def is_by_output(node: Node, outputs: Sequence[str]) -> bool:
    """Return whether a loss is written for each output by name, and not as one component."""
    if not outputs or not isinstance(node.value, dict) or len(node.value) != 1:
        return bool(outputs) and isinstance(node.value, dict)
    ((name, one),) = node.value.items()
    losses = identifiers("losses")
    # One key is the name of a loss, perhaps misspelt, unless a loss is below it.
    below = [one.value] if isinstance(one.value, str) else list(one.value) if isinstance(one.value, dict) else []
    return name in outputs or (name not in losses and any(key in losses for key in below))


def loss_of(section: Compile, name: str, layer: Component) -> Component | None:
    """Return the loss that is written, else the one that suits the activation; None where neither says."""
    if isinstance(section.loss, Mapping):
        return section.loss.get(name)
    if section.loss is not None:
        return section.loss
    if (activation := _activation(layer)) is None:
        return None
    from kerasrun.tasks.several_outputs import loss_of_activation

    return loss_of_activation(activation)


def no_loss(name: str) -> str:
    return f"no loss for the output '{name}', and its layer does not say which suits: set compile.loss.{name}"


def _metrics_of(section: Compile, name: str, kind: LabelKind) -> Sequence[Component]:
    if section.metrics is None:
        return task_named(kind).default_metrics
    return section.metrics.get(name, ()) if isinstance(section.metrics, Mapping) else section.metrics


def _activation(layer: Component) -> str | None:
    """Return the name of the activation that a layer ends in; None where its kind does not say."""
    name = identifiers("layers").get(layer.name)
    if name == "Softmax":
        return "softmax"
    return str(layer.arguments.get("activation") or "linear") if name in ("Dense", "Activation") else None


def unknown(node: Node, outputs: Sequence[str]) -> list[str]:
    """Return the keys of a mapping that do not name an output."""
    return [key for key in node.value if key not in outputs] if isinstance(node.value, dict) else []
