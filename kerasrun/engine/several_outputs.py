"""Several outputs side by side in one tensor: which columns are whose, and the losses and metrics of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.engine.targets import Targets, activation_of, agreed_targets
from kerasrun.errors import DataError, ModelError
from kerasrun.experiment.outputs import NetworkOutput
from kerasrun.model_file import OutputKind, OutputPart
from kerasrun.models.layers import JOINED
from kerasrun.reading.data import Data, LabelKind, Split


@dataclass(frozen=True)
class OutputTargets:
    """One of several outputs, and its columns of the labels and of the network's output."""

    output: NetworkOutput
    targets: Targets
    begin: int
    end: int
    """The column after its last one."""

    @property
    def part(self) -> OutputPart:
        """As the model file has it."""
        return OutputPart(self.output.name, self.end - self.begin, self.output.kind, self.targets.outputs)


@dataclass(frozen=True)
class SeveralTargets:
    """How the columns of the labels become targets of several outputs: as they are, each its own."""

    parts: tuple[OutputTargets, ...]
    kind: LabelKind
    """Of all columns together."""
    outputs: OutputKind = "values"

    @property
    def classes(self) -> int:
        """How many columns there are."""
        return self.parts[-1].end

    def encode(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels (examples, columns) as float32."""
        return labels.astype(np.float32)


AnyTargets = Targets | SeveralTargets


def several_targets(model: Any, outputs: Sequence[NetworkOutput], columns: int, labels: LabelKind) -> SeveralTargets:
    """Divide the columns of the labels among the outputs, in their order.

    Args:
        model: the built Keras model, or one that was loaded.
        columns: how many labels an example has.
        labels: what they are.

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
    parts, begin = [], 0
    for output, tensor, count in zip(outputs, tensors, units, strict=True):
        activation = activation_of(tensor._keras_history.operation)
        try:
            targets = agreed_targets(output.loss, count, count, activation, output.kind)
        except ModelError as error:
            raise ModelError(f"the output '{output.name}': {error}") from error
        parts.append(OutputTargets(output, targets, begin, begin + count))
        begin += count
    return SeveralTargets(tuple(parts), labels)


def check_columns(targets: SeveralTargets, data: Data) -> None:
    """Hold the labels against what each output takes them for.

    Raises:
        DataError: if the columns of a class are not one-hot (or probabilities that sum to 1), or what a label may be is
            not from 0 to 1; the message names output, split and example.
    """
    for split in data.splits.values():
        for part in targets.parts:
            _check_columns(part, split, data.classes[part.begin : part.end])


def _check_columns(part: OutputTargets, split: Split, names: Sequence[str]) -> None:
    if part.output.kind == "numbers":
        return
    labels = split.label_array[:, part.begin : part.end].astype(np.float64)
    what = f"the labels {', '.join(names)} of the output '{part.output.name}'"
    loss = part.output.loss.name
    outside = (labels < 0) | (labels > 1)
    if outside.any():
        row = int(outside.any(axis=1).argmax())
        value = labels[row][outside[row]][0]
        raise DataError(f"{what} must be from 0 to 1 for {loss}, but example {row} of {split.name} has {value:g}")
    sums = labels.sum(axis=1)
    uneven = ~np.isclose(sums, 1, atol=1e-3)
    if part.output.kind == "classes" and uneven.any():
        row = int(uneven.argmax())
        sentence = f"{what} must be one-hot for {loss}, but in example {row} of {split.name} they sum to {sums[row]:g}"
        raise DataError(sentence)
