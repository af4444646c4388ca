"""Several outputs side by side in one tensor: their losses and metrics, each on its own columns; and scaled targets.

Keras has losses and metrics for networks of several tensors; with one tensor everything else (batches, evaluation,
prediction, export) is as for a network of one output. These are what `Model.compile` is given for it; an experiment
never names them.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasrun")
class OutputsLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types
    """The weighted sum of the outputs' losses, as `Model.compile` adds up those of several tensors.

    Args:
        losses: one of `keras.losses`, or a function of `(y_true, y_pred)`, for each output.
        units: how many columns each output has.
        weights: what each loss is multiplied by.
    """

    def __init__(
        self, losses: Sequence[Any], units: Sequence[int], weights: Sequence[float], name: str = "outputs_loss"
    ) -> None:
        super().__init__(name=name)
        self.losses, self.units, self.weights = [_deserialized(loss) for loss in losses], list(units), list(weights)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Each loss makes one number of its output itself; arguments (batch, columns of all outputs)."""
        parts = zip(self.losses, self.weights, _columns(self.units), strict=True)
        return sum(
            weight * _value(loss, y_true[:, begin:end], y_pred[:, begin:end], sample_weight)
            for loss, weight, (begin, end) in parts
        )

    def get_config(self) -> dict[str, Any]:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {"losses": losses, "units": self.units, "weights": self.weights, "name": self.name}


@keras.saving.register_keras_serializable(package="kerasrun")
class OutputLoss(keras.metrics.Mean):  # type: ignore[misc]
    """The mean of one output's loss, not multiplied by its weight, as Keras logs it.

    Args:
        loss: as one of `OutputsLoss`.
        begin, end: the output's columns, from the first to before the last.
    """

    def __init__(self, loss: Any, begin: int, end: int, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.loss, self.begin, self.end = _deserialized(loss), begin, end
        self._direction = "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch; arguments as of `OutputsLoss`."""
        columns = slice(self.begin, self.end)
        value = _value(self.loss, y_true[:, columns], y_pred[:, columns], sample_weight)
        super().update_state(value, sample_weight=ops.shape(y_pred)[0])

    def get_config(self) -> dict[str, Any]:
        own = {"loss": keras.saving.serialize_keras_object(self.loss), "begin": self.begin, "end": self.end}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasrun")
class OutputMetric(keras.metrics.Metric):  # type: ignore[misc]
    """A metric of one output.

    Args:
        metric: one of `keras.metrics`.
        begin, end: as of `OutputLoss`.
    """

    def __init__(self, metric: Any, begin: int, end: int, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.metric, self.begin, self.end = _deserialized(metric), begin, end
        self._direction = getattr(self.metric, "_direction", None)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch; arguments as of `OutputsLoss`."""
        columns = slice(self.begin, self.end)
        self.metric.update_state(y_true[:, columns], y_pred[:, columns], sample_weight)

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        """Begin anew; not every metric begins at zero."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        own = {"metric": keras.saving.serialize_keras_object(self.metric), "begin": self.begin, "end": self.end}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasrun")
class ScaledLoss(keras.losses.Loss):  # type: ignore[misc]
    """A loss whose value is that of targets in their own units, and whose gradient is that of standardised ones.

    So a step is as large as if the network were trained on numbers around 0, whatever the units are.

    Args:
        loss: as one of `OutputsLoss`.
        mean, deviation: those of each target.
    """

    def __init__(self, loss: Any, mean: Sequence[float], deviation: Sequence[float], name: str = "scaled_loss") -> None:
        super().__init__(name=name)
        self.loss, self.mean, self.deviation = _deserialized(loss), list(mean), list(deviation)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Arguments (batch, targets)."""
        value = _value(self.loss, y_true, y_pred, sample_weight)
        scaled = _value(self.loss, self._scaled(y_true), self._scaled(y_pred), sample_weight)
        return ops.stop_gradient(value) + (scaled - ops.stop_gradient(scaled))

    def _scaled(self, numbers: Any) -> Any:
        mean, deviation = (ops.convert_to_tensor(one, "float32") for one in (self.mean, self.deviation))
        return (ops.cast(numbers, "float32") - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.loss)
        return {"loss": loss, "mean": self.mean, "deviation": self.deviation, "name": self.name}


def _columns(units: Sequence[int]) -> list[tuple[int, int]]:
    return [(sum(units[:number]), sum(units[: number + 1])) for number in range(len(units))]


def _value(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
    """One number. A plugin's function gives a value for each example: it is averaged as Keras's losses are."""
    if isinstance(loss, keras.losses.Loss):
        return loss(y_true, y_pred, sample_weight)
    return _FunctionLoss(loss)(y_true, y_pred, sample_weight)


class _FunctionLoss(keras.losses.Loss):  # type: ignore[misc]
    def __init__(self, function: Any) -> None:
        super().__init__(name=function.__name__)
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)


def _deserialized(written: Any) -> Any:
    """Read back what `get_config` wrote; leave everything else as it is."""
    return keras.saving.deserialize_keras_object(written) if isinstance(written, dict) else written
