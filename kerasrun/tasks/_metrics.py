"""Bring a loss's targets and a network's outputs to the form that each metric of Keras compares.

Keras gives every metric the targets of the loss and the outputs as they are: logits to `AUC`, class numbers to
`Precision`, one column to `F1Score`. Most metrics then return a number, and it means nothing. Here each gets what it is
written for; where that cannot be made, the metric is refused.

| compares            | targets               | outputs                                  |
| ------------------- | --------------------- | ---------------------------------------- |
| yes or no           | 0 or 1 in each column | the probability of each                  |
| one of several      | one-hot               | the probabilities of all classes         |
| class number        | class numbers         | the probabilities of all classes         |
| equality            | class numbers         | class numbers: the most probable classes |
| scores              | 0 or 1 in each column | scores or logits                         |
| numbers             | numbers, 0 or 1       | numbers, probabilities                   |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kerasrun.errors import ModelError
from kerasrun.report.values import OutputKind

Compares = Literal["yes or no", "one of several", "class number", "equality", "scores", "numbers"]
TargetForm = Literal["one column", "one-hot", "class numbers", "labels", "numbers"]
Convert = Callable[[Any], Any]

_KINDS: Mapping[Compares, tuple[str, ...]] = {
    "yes or no": (
        *("AUC", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU", "F1Score", "FBetaScore"),
        *("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives", "Precision", "Recall"),
        *("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"),
    ),
    "one of several": (
        *("CategoricalAccuracy", "CategoricalCrossentropy", "TopKCategoricalAccuracy", "OneHotIoU", "OneHotMeanIoU"),
        "KLDivergence",
    ),
    "class number": ("SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy"),
    "equality": ("Accuracy", "IoU", "MeanIoU"),
    "scores": ("Hinge", "SquaredHinge", "CategoricalHinge"),
    "numbers": (
        *("MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError"),
        *("RootMeanSquaredError", "LogCoshError", "R2Score", "Poisson", "CosineSimilarity"),
        *("ConcordanceCorrelation", "PearsonCorrelation"),
    ),
}
COMPARES: Mapping[str, Compares] = {name: compares for compares, names in _KINDS.items() for name in names}
"""The form of targets and outputs that a metric of Keras compares, by its name."""

# What they compute is a logarithm of probabilities; those with an argument `from_logits` take logits, and lose less.
_LOGARITHMS: Mapping[str, OutputKind | None] = {
    "BinaryCrossentropy": "sigmoid logits",
    "CategoricalCrossentropy": "softmax logits",
    "SparseCategoricalCrossentropy": "softmax logits",
    "KLDivergence": None,
}
# Keras takes only rows from them.
_OF_ROWS = ("AUC", "F1Score", "FBetaScore", "R2Score")
# What they count at are probabilities, between 0 and 1.
_AT_PROBABILITIES = (
    *("AUC", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"),
    *_LOGARITHMS,
)
# Keras's take every share above 0 for a yes, or none below 1. The others take the largest share, or compare numbers.
_OF_WHOLE_CLASSES = ("yes or no", "equality", "scores")
_CORRELATIONS = ("ConcordanceCorrelation", "PearsonCorrelation")


@dataclass(frozen=True)
class Sides:
    """The targets and the outputs that a loss and a network give to a metric."""

    targets: TargetForm
    outputs: OutputKind
    loss: str
    """The loss's name in Keras."""
    classes: int
    """How many classes there are, or labels."""
    units: int
    """How many columns the outputs have."""
    per_pixel: bool = False
    """Whether every pixel has targets and outputs."""
    bounded: bool = True
    """Whether the outputs are from 0 to 1, where they are no logits or scores."""
    mixed: bool = False
    """Whether targets are shares of classes, as those of mixed examples."""

    def columns(self, y_true: Any) -> Any:
        """Return 0 or 1 for each column, float32 (…, units)."""
        from keras import ops

        return ops.one_hot(ops.cast(y_true, "int32"), self.classes) if self.targets == "class numbers" else y_true

    def one_hot(self, y_true: Any) -> Any:
        """Return one-hot targets, float32 (…, classes)."""
        from keras import ops

        if self.targets == "one column":
            return ops.concatenate([1 - y_true, y_true], axis=-1)
        return self.columns(y_true)

    def decided(self, y_true: Any) -> Any:
        """Return 0 or 1 for each share of a class: 1 for the largest, of several labels for those above a half."""
        from keras import ops

        if self.targets == "one-hot":
            return ops.one_hot(ops.argmax(y_true, axis=-1), self.classes)
        return ops.cast(y_true > 0.5, y_true.dtype)

    def class_numbers(self, y_true: Any) -> Any:
        """Return class numbers, int32 (…)."""
        from keras import ops

        if self.targets == "one column":
            return ops.cast(y_true[..., 0] > 0.5, "int32")
        return ops.argmax(y_true, axis=-1) if self.targets == "one-hot" else y_true

    def probabilities(self, y_pred: Any) -> Any:
        """Return a probability for each column; of scores what is above a half exactly where the score is above 0."""
        from keras import ops

        if self.outputs == "sigmoid logits" or (self.outputs == "scores" and not self._ranked):
            return ops.sigmoid(y_pred)
        return ops.softmax(y_pred) if self.outputs == "softmax logits" or self._ranked else y_pred

    def distribution(self, y_pred: Any) -> Any:
        """Return the probabilities of all classes, (…, classes); their largest is the predicted class."""
        from keras import ops

        y_pred = self.probabilities(y_pred)
        return ops.concatenate([1 - y_pred, y_pred], axis=-1) if self.units == 1 else y_pred

    def called(self, y_pred: Any) -> Any:
        """Return the numbers of the predicted classes, int32 (…); of several labels 0 or 1 for each."""
        from keras import ops

        least = 0.0 if self.outputs in ("scores", "sigmoid logits") else 0.5
        if self.targets == "labels":
            return ops.cast(y_pred > least, "int32")
        if self.units == 1:
            return ops.cast(y_pred[..., 0] > least, "int32")
        return ops.argmax(y_pred, axis=-1)

    @property
    def _activation(self) -> OutputKind:
        """The logits that probabilities were made of: by a sigmoid for each column, or by one softmax."""
        each = self.units == 1 or self.targets in ("labels", "numbers") or self.loss.startswith("Binary")
        return "sigmoid logits" if each else "softmax logits"

    @property
    def _ranked(self) -> bool:
        """Whether only the order of an example's scores means something."""
        return self.loss == "CategoricalHinge"

    def fit(self, name: str, arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], Convert, Convert]:
        """Return the arguments for a metric of `COMPARES`, and what makes its two sides of targets and outputs.

        Raises:
            ModelError: if nothing can be made for it that has a meaning; one sentence with the metric to take.
        """
        self._check_numbers_of(name, arguments)
        arguments = dict(arguments)
        if COMPARES[name] != "numbers":
            arguments.pop("axis", None)  # it is the last
        if arguments.pop("from_logits", False) and not self.outputs.endswith("logits"):
            raise _refused(
                name, f"was told from_logits: true, but the network's outputs are {self.outputs}: leave it out"
            )
        if self.outputs == "scores" and (name in _LOGARITHMS or COMPARES[name] == "numbers"):
            raise _refused(
                name, f"compares probabilities, but those that learn by {self.loss} are scores: take accuracy"
            )
        if name in _AT_PROBABILITIES and self.outputs == "probabilities" and not self.bounded:
            activation = "sigmoid" if self.units == 1 or self.targets == "labels" else "softmax"
            raise _refused(
                name,
                "compares probabilities, but the network's outputs are not from 0 to 1: set the last layer's "
                f"activation to {activation}, or take accuracy",
            )
        true, predicted = self._sides(name, arguments)
        if self.mixed and COMPARES[name] in _OF_WHOLE_CLASSES and name not in _LOGARITHMS:
            shares = true
            true = lambda y: shares(self.decided(y))  # noqa: E731
        if name in _LOGARITHMS and self.outputs == _LOGARITHMS[name]:
            arguments["from_logits"], predicted = True, _same
        elif name in _LOGARITHMS and self._activation != _LOGARITHMS[name]:
            return arguments, true, lambda y: _forget_logits(predicted(y))
        if self.per_pixel and name in _OF_ROWS:
            return arguments, lambda y: _rows(true(y)), lambda y: _rows(predicted(y))
        return arguments, true, predicted

    def _sides(self, name: str, arguments: dict[str, Any]) -> tuple[Convert, Convert]:
        compares = COMPARES[name]
        if (
            self.targets == "labels"
            and compares in ("one of several", "class number", "equality")
            and name != "Accuracy"
        ):
            raise _refused(
                name,
                "compares one class for each example, but several labels may hold at once: take "
                f"{'BinaryIoU' if 'IoU' in name else 'BinaryAccuracy'}",
            )
        if self.targets == "numbers":
            return _same, self.probabilities if compares in ("yes or no", "one of several") else _same
        if compares == "yes or no":
            return self._yes_or_no(name, arguments)
        if compares == "one of several":
            if "sparse_y_pred" in arguments or name.startswith("OneHot"):
                arguments["sparse_y_pred"] = False
            return self.one_hot, self.distribution
        if compares == "class number":
            return self.class_numbers, self.distribution
        if compares == "equality":
            if name != "Accuracy":  # whatever was asked for: the numbers are the same
                arguments["sparse_y_true"] = arguments["sparse_y_pred"] = True
            return _same if self.targets == "labels" else self.class_numbers, self.called
        if compares == "scores":
            if self.outputs == "probabilities":
                raise _refused(name, "measures scores, but the network's outputs are probabilities: take accuracy")
            if name == "CategoricalHinge" and (self.targets == "labels" or self.units == 1):
                raise _refused(
                    name, "compares the scores of several classes, but there is one for each yes or no: take Hinge"
                )
            return self.columns, _same
        if name in _CORRELATIONS and self.units == 1 and arguments.get("axis", -1) == -1:
            raise _refused(
                name,
                "compares the columns of an example, but it has only one: set axis: 0, which compares "
                "the examples of a batch",
            )
        return self.columns, self.probabilities

    def _yes_or_no(self, name: str, arguments: dict[str, Any]) -> tuple[Convert, Convert]:
        if (
            name == "BinaryAccuracy"
            and "threshold" not in arguments
            and not self._ranked
            and self.outputs in ("sigmoid logits", "scores")
        ):
            arguments["threshold"] = 0.0  # where the sigmoid is a half
            return self.columns, _same
        if name == "BinaryIoU" and self.targets != "labels":
            if self.classes != 2:
                raise _refused(name, f"compares two classes, but there are {self.classes}: take MeanIoU")
            return self.class_numbers, lambda y: self.distribution(y)[..., 1]
        if name in ("F1Score", "FBetaScore"):
            self._complete_f_score(arguments)
        most_probable = name in ("F1Score", "FBetaScore") and arguments.get("threshold") is None
        if self._ranked and not most_probable and arguments.get("top_k") is None:
            raise _refused(
                name, f"compares probabilities, but those that learn by {self.loss} are scores: take accuracy"
            )
        return self.columns, self.probabilities

    def _complete_f_score(self, arguments: dict[str, Any]) -> None:
        """Keras takes the largest column of each example for a yes, which is always one where there is only one."""
        for key in ("threshold", "beta"):
            if isinstance(arguments.get(key), int):
                arguments[key] = float(arguments[key])  # Keras takes 1.0, but not 1
        if self.units == 1 or self.targets == "labels":
            arguments.setdefault("threshold", 0.5)
        if self.units == 1 and arguments.get("average") is None:
            arguments["average"] = "micro"  # of one column a number, not a list of one

    def _check_numbers_of(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Hold the class numbers among the arguments against the classes; Keras fails in TensorFlow's words, or not."""
        if self.targets == "numbers" and name == "R2Score" and self.units > 1 and arguments.get("num_regressors"):
            # https://github.com/keras-team/keras/pull/23334
            raise _refused(
                name, "counts the numbers of all targets as examples where num_regressors is given: leave it out"
            )
        at = arguments.get("threshold", arguments.get("thresholds"))
        given = at if isinstance(at, list | tuple) else [at]
        if (
            name != "AUC"
            and at is not None
            and self.outputs != "probabilities"
            and not any(0 < one < 1 for one in given)
        ):
            raise _refused(
                name,
                f"counts above {at}, but the network's outputs become probabilities first, a half where they are 0: "
                "leave the threshold out",
            )
        if (
            "axis" in arguments
            and COMPARES[name] != "numbers"
            and arguments["axis"] not in (-1, 3 if self.per_pixel else 1)
        ):
            raise _refused(name, f"has axis: {arguments['axis']}, but the classes are along the last one: leave it out")
        if arguments.get("from_sorted_ids"):
            raise _refused(
                name, "compares class numbers in order with from_sorted_ids: true, but no network gives them"
            )
        if (arguments.get("top_k") or 0) > self.units:
            raise _refused(name, f"has top_k: {arguments['top_k']}, but there are {self.units}")
        weights = arguments.get("label_weights")
        if arguments.get("multi_label") and weights is not None and len(weights) != self.units:
            raise _refused(name, f"has {len(weights)} label_weights, but there are {self.units}")
        limits = {"num_classes": self.classes, "num_labels": self.units}
        for key, right in limits.items():
            if arguments.get(key) not in (None, right):
                raise _refused(name, f"has {key}: {arguments[key]}, but there are {right}")
        ids = arguments.get("target_class_ids", arguments.get("class_id"))
        for number in ids if isinstance(ids, list | tuple) else [] if ids is None else [ids]:
            there = self.units if name in COMPARES and "class_id" in arguments else self.classes
            if isinstance(number, int) and not 0 <= number < there:
                raise _refused(name, f"has the class {number}, but they are numbered from 0 to {there - 1}")


def attach(metric: Any, true: Convert, predicted: Convert) -> Any:
    """Let a metric of Keras convert its two sides itself; the object stays Keras's own, and so does what is saved."""
    if true is _same and predicted is _same:
        return metric
    update = metric.update_state

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return update(true(y_true), predicted(y_pred), sample_weight)

    metric.update_state = update_state
    return metric


def _same(y: Any) -> Any:
    return y


def _forget_logits(y: Any) -> Any:
    """Return the same numbers without the logits that Keras's activations leave on a tensor.

    Its cross-entropies take them as theirs, whichever activation they were for.
    """
    from keras import ops

    return ops.stop_gradient(y)  # another tensor


def _rows(y: Any) -> Any:
    from keras import ops

    return ops.reshape(y, (-1, y.shape[-1]))


def _refused(name: str, why: str) -> ModelError:
    return ModelError(f"compile.metrics: {name} {why}")
