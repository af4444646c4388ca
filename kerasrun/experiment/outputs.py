"""Several outputs of one network: the loss, its weight and the metrics of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.experiment.losses import BINARY, CATEGORICAL
from kerasrun.experiment.metric_names import by_name, default_metrics
from kerasrun.experiment.schema import Compile, Experiment
from kerasrun.keras_catalogue import canonical, identifiers
from kerasrun.reading.data import LabelKind
from kerasrun.text.document import Document, written_list
from kerasrun.text.yaml_text import Node, Path

OUTPUTS: Path = ("model", "outputs")


@dataclass(frozen=True)
class NetworkOutput:
    """One of several outputs."""

    name: str
    kind: LabelKind
    """The kind of its columns of the labels: one-hot `classes`, `multi_label`s of 0 and 1, or `numbers`."""
    loss: Component
    weight: float
    """The factor of its loss."""
    metrics: Mapping[str, Component]
    """By their names in the logs."""

    @property
    def loss_name(self) -> str:
        """The name of its loss in the logs."""
        return f"{self.name}_loss"


def outputs_of(experiment: Experiment) -> tuple[NetworkOutput, ...]:
    """Return every output of a network that has several, in their order; none for a network of one."""
    layers = experiment.model.several_outputs
    found: list[NetworkOutput] = []
    taken = {f"{name}_loss" for name in layers}
    for name, layer in layers.items():
        loss = loss_of(experiment.compile, name, layer)
        if loss is None:
            raise ModelError(no_loss(name))
        kind = _kind(loss, layer, experiment.data.label_kind)
        metrics = by_name(_metrics_of(experiment.compile, name, kind), f"{name}_", taken)
        taken |= metrics.keys()
        found.append(NetworkOutput(name, kind, loss, (experiment.compile.loss_weights or {}).get(name, 1.0), metrics))
    return tuple(found)


def written_outputs(document: Document) -> tuple[str, ...]:
    """Return the names of several outputs, as far as they were written as they should be."""
    items = (node.value for _, node in written_list(document.node(OUTPUTS), OUTPUTS))
    return tuple(name for name in items if isinstance(name, str))


def is_by_output(node: Node, outputs: Sequence[str]) -> bool:
    """Return whether a loss is written for each output by name, and not as one component."""
    return bool(outputs) and isinstance(node.value, dict) and (len(node.value) > 1 or not unknown(node, outputs))


def loss_of(section: Compile, name: str, layer: Component) -> Component | None:
    """Return the loss that is written, else the one that suits the activation; None where neither says."""
    if isinstance(section.loss, Mapping):
        return section.loss[name]
    if section.loss is not None:
        return section.loss
    activation = _activation(layer)
    if activation is None:
        return None
    losses = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    return Component(losses.get(activation, "mean_squared_error"))


def no_loss(name: str) -> str:
    return f"no loss for the output '{name}', and its layer does not say which suits: set compile.loss.{name}"


def _metrics_of(section: Compile, name: str, kind: LabelKind) -> Sequence[Component]:
    if section.metrics is None:
        return default_metrics(kind)
    return section.metrics.get(name, ()) if isinstance(section.metrics, Mapping) else section.metrics


def _kind(loss: Component, layer: Component, labels: LabelKind) -> LabelKind:
    """The loss says what an output's columns are; where it may be any, the activation does."""
    known, activation = canonical("losses", loss.name), _activation(layer)
    if known in CATEGORICAL or activation == "softmax":
        return "classes"
    if known in BINARY or (activation == "sigmoid" and labels == "multi_label"):
        return "multi_label"
    return "numbers"


def _activation(layer: Component) -> str | None:
    """The name of the activation that a layer ends in; None where its kind does not tell."""
    name = identifiers("layers").get(layer.name)
    if name == "Softmax":
        return "softmax"
    return str(layer.arguments.get("activation") or "linear") if name in ("Dense", "Activation") else None


def unknown(node: Node, outputs: Sequence[str]) -> list[str]:
    """Return the keys of a mapping that do not name an output."""
    return [key for key in node.value if key not in outputs] if isinstance(node.value, dict) else []
