"""Several outputs: the columns of the labels are divided among them, and each has a task of its own.

Their columns are side by side in one tensor. A source names the task of all columns together; the experiment divides
them, and a model file says how in its `parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kerasrun.components import Component
from kerasrun.errors import DataError, ModelError
from kerasrun.keras_catalogue import canonical
from kerasrun.keras_objects import build
from kerasrun.network_layers import JOINED
from kerasrun.reading.data import Data, LabelKind, Split
from kerasrun.report.predictions import Prediction, Question, named
from kerasrun.report.scores import Scores, in_own_units
from kerasrun.report.values import OutputKind
from kerasrun.tasks.base import BINARY, CATEGORICAL, Output, OutputPart, Targets, Task, activation_of, task_named

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kerasrun.report.mistakes import Mistakes


@dataclass(frozen=True)
class NetworkOutput:
    """One of several outputs, as the experiment has it."""

    name: str
    kind: LabelKind
    """The task of its columns of the labels: one-hot `classes`, `multi_label`s of 0 and 1, or `numbers`."""
    loss: Component
    weight: float
    """The factor of its loss."""
    metrics: Mapping[str, Component]
    """By their names in the logs."""

    @property
    def loss_name(self) -> str:
        """The name of its loss in the logs."""
        return f"{self.name}_loss"


@dataclass(frozen=True)
class OutputTargets:
    """One of several outputs, and its columns of the labels and of the network's output."""

    output: NetworkOutput
    targets: Targets
    begin: int
    end: int
    """The column after its last one."""

    def metric(self, metric: Component, name: str) -> Any:
        try:
            return self.targets.task.metric(metric, name, self.targets)
        except ModelError as error:
            raise ModelError(f"the output '{self.output.name}': {error}") from error

    def check(self, split: Split, names: Sequence[str]) -> None:
        """Hold the columns against the task; raises as `SeveralOutputs.check_labels`."""
        import numpy as np

        task = self.targets.task
        if not (task.one_class or task.together):
            return
        labels = split.label_array[:, self.begin : self.end].astype(np.float64)
        what = f"the labels {', '.join(names[self.begin : self.end])} of the output '{self.output.name}'"
        loss = self.output.loss.name
        outside = (labels < 0) | (labels > 1)
        if outside.any():
            row = int(outside.any(axis=1).argmax())
            value = labels[row][outside[row]][0]
            raise DataError(f"{what} must be from 0 to 1 for {loss}, but example {row} of {split.name} has {value:g}")
        sums = labels.sum(axis=1)
        uneven = ~np.isclose(sums, 1, atol=1e-3)
        if task.one_class and uneven.any():
            row = int(uneven.argmax())
            raise DataError(
                f"{what} must be one-hot for {loss}, but in example {row} of {split.name} they sum to {sums[row]:g}"
            )


class SeveralOutputs(Task):
    """The tasks of several outputs."""

    default_metrics = ()

    def __init__(self, parts: Sequence[OutputPart] = (), learned: Sequence[OutputTargets] = ()) -> None:
        """
        Args:
            parts: the outputs in their order.
            learned: how each learns, where a network is trained or evaluated.
        """
        self.parts = tuple(parts)
        self.learned = tuple(learned)

    def default_loss(self, classes: int, units: int) -> Component:
        return Component("outputs_loss")  # of `kerasrun.outputs`, made of the losses of all

    def output(self, classes: int, loss: Component | None = None) -> Output:
        return Output(classes, "linear")

    def outputs(self, loss: Component) -> OutputKind:
        return "values"

    def compile_arguments(self, targets: Targets, metrics: Mapping[str, Component]) -> dict[str, Any]:
        """Return the losses and the metrics of all outputs; `metrics` are those of none of them."""
        from kerasrun.outputs import OutputLoss, OutputMetric, OutputsLoss

        parts = self.learned
        losses = [build("losses", part.output.loss) for part in parts]
        units, weights = [part.end - part.begin for part in parts], [part.output.weight for part in parts]
        return {
            "loss": OutputsLoss(losses, units, weights),
            "metrics": [
                OutputMetric(part.metric(metric, name), part.begin, part.end, name)
                for part in parts
                for name, metric in part.output.metrics.items()
            ],
            # Among those that weights of examples are passed to, which count in a loss.
            "weighted_metrics": [
                OutputLoss(loss, part.begin, part.end, part.output.loss_name)
                for part, loss in zip(parts, losses, strict=True)
            ],
        }

    def check_labels(self, data: Data) -> None:
        """Hold the labels against the task of each output.

        Raises:
            DataError: if the columns of a class are not one-hot (or probabilities that sum to 1), or what a label may
                be is not from 0 to 1; the message names output, split and example.
        """
        for split in data.splits.values():
            for part in self.learned:
                part.check(split, data.classes)

    def scores(self, labels: NDArray[Any], found: NDArray[np.float32], question: Question) -> Scores:
        scored = {}
        for part, columns in self._columns():
            own = Question(question.classes[columns], part.outputs)
            scored[part.name] = part.task.scores(part.task.from_columns(labels[:, columns]), found[:, columns], own)
        return OutputsScores(scored)

    def predicted(self, found: NDArray[np.float32], question: Question) -> list[Prediction]:
        answers = []
        for part, columns in self._columns():
            names, values = question.classes[columns], part.task.values(found[:, columns], part.outputs)
            answers.append([OutputAnswer(part, named(names, row)) for row in values])
        return [
            OutputsPrediction(path, tuple(of_example), question.every)
            for path, *of_example in zip(question.paths, *answers, strict=True)
        ]

    def mistakes(self, split: Split, found: NDArray[np.float32], question: Question) -> Sequence[Mistakes]:
        """Return those of each output."""
        return [
            replace(
                one, output=part.name, worst=[replace(judged, said=columns.start + judged.said) for judged in one.worst]
            )
            for part, columns in self._columns()
            for one in part.task.mistakes(
                replace(split, labels=part.task.from_columns(split.label_array[:, columns])),
                found[:, columns],
                Question(question.classes[columns], part.outputs),
            )
        ]

    def without_threshold(self, classes: int, outputs: OutputKind) -> str:
        return "has several outputs"

    def caption(self, label: Any, classes: Sequence[str]) -> str:
        return ", ".join(f"{value:.4g}" for value in label)

    def about(self, classes: int) -> str:
        return f"{classes} columns of several outputs"

    def _columns(self) -> Iterator[tuple[OutputPart, slice]]:
        """Each output with its columns."""
        begin = 0
        for part in self.parts:
            yield part, slice(begin, begin + part.columns)
            begin += part.columns


TASK = SeveralOutputs()


def several_targets(model: Any, outputs: Sequence[NetworkOutput], columns: int) -> Targets:
    """Divide the columns of the labels among the outputs, in their order.

    Args:
        model: the built Keras model, or one that was loaded.
        columns: how many labels an example has.

    Raises:
        ModelError: if there are more units or fewer, or a loss does not suit its output; one sentence with the fix.
    """
    tensors = model.get_layer(JOINED).input
    units = [int(tensor.shape[-1]) for tensor in tensors]
    if sum(units) != columns:
        raise ModelError(
            f"the outputs {', '.join(output.name for output in outputs)} have {' + '.join(map(str, units))} = "
            f"{sum(units)} units, but an example has {columns} labels: give the outputs as many units together"
        )
    parts, learned, begin = [], [], 0
    for output, tensor, count in zip(outputs, tensors, units, strict=True):
        activation = activation_of(tensor._keras_history.operation)
        try:
            targets = task_named(output.kind).agreed(output.loss, count, count, activation)
        except ModelError as error:
            raise ModelError(f"the output '{output.name}': {error}") from error
        parts.append(OutputPart(output.name, count, output.kind, targets.outputs))
        learned.append(OutputTargets(output, targets, begin, begin + count))
        begin += count
    task = SeveralOutputs(parts, learned)
    return Targets(task, task.default_loss(columns, columns), columns, columns)


def task_of_output(loss: Component, activation: str | None, labels: LabelKind) -> LabelKind:
    """Return the name of an output's task: the loss says it; where that may be any, the activation does.

    Args:
        activation: the one that its layer ends in; None where that is not known.
        labels: the task of all columns together.
    """
    known = canonical("losses", loss.name)
    if known in CATEGORICAL or activation == "softmax":
        return "classes"
    if known in BINARY or (activation == "sigmoid" and labels == "multi_label"):
        return "multi_label"
    return "numbers"


def loss_of_activation(activation: str) -> Component:
    """Return the loss that suits an output whose layer ends in `activation`."""
    losses = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    return Component(losses.get(activation, "mean_squared_error"))


@dataclass(frozen=True)
class OutputsScores(Scores):
    """How good each output is."""

    outputs: Mapping[str, Scores]
    """By the outputs' names."""

    @property
    def headline(self) -> Mapping[str, float | None]:
        return {f"{name}_{key}": value for name, one in self.outputs.items() for key, value in one.headline.items()}

    def as_dict(self) -> dict[str, Any]:
        return {"outputs": {name: one.as_dict() for name, one in self.outputs.items()}}

    def to_text(self) -> str:
        return "\n\n".join(f"{name}\n{one.to_text()}" for name, one in self.outputs.items())

    def figures(self) -> Mapping[str, Figure]:
        return {
            f"{name}_{picture}": figure
            for name, one in self.outputs.items()
            for picture, figure in one.figures().items()
        }


@dataclass(frozen=True)
class OutputAnswer:
    """The answer of one output."""

    part: OutputPart
    values: tuple[tuple[str, float], ...]
    """Each column with its probability, or its number."""

    @property
    def best(self) -> tuple[str, float] | None:
        """The class that is called and how probable it is, where the output is one class."""
        return max(self.values, key=lambda item: item[1]) if self.part.task.one_class else None

    def as_dict(self) -> dict[str, Any]:
        return {**({"class": self.best[0]} if self.best else {}), "values": dict(self.values)}

    def as_cell(self, *, every: bool) -> str:
        shown = [self.best] if self.best and not every else self.values
        written = in_own_units if self.part.outputs == "values" else "{:.4f}".format
        names = ["" if name == self.part.name else f"{name} " for name, _ in shown]
        return ", ".join(f"{name}{written(number)}" for name, (_, number) in zip(names, shown, strict=True))


@dataclass(frozen=True)
class OutputsPrediction(Prediction):
    """The answers of all outputs on an example."""

    outputs: tuple[OutputAnswer, ...]
    every: bool = False
    """Whether the table has the probability of every class, not only of the one that is called."""

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "outputs": {one.part.name: one.as_dict() for one in self.outputs}}

    def as_row(self) -> Mapping[str, Any]:
        row: dict[str, Any] = {"path": self.path}
        for one in self.outputs:
            row |= {one.part.name: one.best[0]} if one.best else {}
            row |= {f"{one.part.name}.{name}": number for name, number in one.values}
        return row

    def as_cells(self) -> Mapping[str, str]:
        return {one.part.name: one.as_cell(every=self.every) for one in self.outputs}
