"""The base of the tasks: everything that is asked of one.

A task is what the labels of the data are. Every other file in this folder is one, found by listing the folder; the
file's name is the task's, in model files and in `run.json` too (`label_kind`), and sources say it of their labels.

| labels                | last layer                                          | loss                        |
| --------------------- | --------------------------------------------------- | --------------------------- |
| two classes           | one sigmoid unit                                    | binary cross-entropy        |
| more classes          | a softmax                                           | categorical cross-entropy   |
| several at once       | a sigmoid unit for each                             | binary cross-entropy        |
| numbers               | a linear unit for each                              | mean squared error          |
| masks of two classes  | one sigmoid channel, as high and wide as the mask   | binary cross-entropy        |
| masks of more classes | a softmax over channels, as high and wide           | sparse categorical cross-entropy |
| arrays                | as many linear channels, of the shape of the array  | mean squared error          |

A loss or a last layer that is given decides instead; where they contradict each other, the answer is one sentence with
the fix. What checks an experiment imports tasks, so they import NumPy, TensorFlow and matplotlib in functions only.
"""

from __future__ import annotations

import functools
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.families import members
from kerasrun.keras_catalogue import added, canonical
from kerasrun.keras_objects import build
from kerasrun.reading.data import ArrayForm, Data, Inputs, LabelKind, Split
from kerasrun.report.values import OutputKind, label_values
from kerasrun.tasks._metrics import COMPARES, Sides, TargetForm, attach

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kerasrun.reading.labelled_arrays import GivenLabels, ReadLabels
    from kerasrun.report.mistakes import Judge, Mistakes
    from kerasrun.report.predictions import Prediction, Question
    from kerasrun.report.scores import Scorer, Scores

BINARY = ("BinaryCrossentropy", "BinaryFocalCrossentropy")
SPARSE = ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Circle")
CATEGORICAL = ("CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge", *SPARSE)
# Losses on a score that is not a probability: the last layer stays linear.
LINEAR = ("Hinge", "SquaredHinge", "CategoricalHinge")
OF_PROBABILITIES = (
    *(*BINARY, "CategoricalCrossentropy", "CategoricalFocalCrossentropy", "SparseCategoricalCrossentropy"),
    *("CategoricalGeneralizedCrossEntropy", "Dice", "DiceLoss", "KLDivergence", "Tversky"),
)
# Activations whose outputs are from 0 to 1, and those that are known not to be.
PROBABLE = ("sigmoid", "softmax", "hard_sigmoid", "sparsemax", "sparse_sigmoid")
ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "softplus", "softsign", "tanh"),
    *("mish", "exponential", "hard_tanh", "hard_silu", "log_sigmoid", "log_softmax", "glu", "squareplus", "threshold"),
    *("tanh_shrink", "hard_shrink", "soft_shrink", "sparse_plus"),
)


@dataclass(frozen=True)
class Output:
    """The last layer that suits the labels and the loss."""

    units: int
    activation: str
    per_pixel: bool = False
    """Whether every pixel gets an output, as masks need, or every step; else every example does."""
    shape: tuple[int, ...] | None = None
    """The shape of the output for an example, where the labels say all of it."""

    def layer(self, rank: int = 4) -> Any:
        """Return the last layer itself; float32 under mixed precision too, so that the loss keeps its precision.

        Args:
            rank: of what it is applied to, where every pixel or step gets an output.
        """
        from keras import layers

        if self.per_pixel and rank == 4:
            return layers.Conv2D(self.units, 1, activation=self.activation, name="output", dtype="float32")
        return layers.Dense(self.units, activation=self.activation, name="output", dtype="float32")


@dataclass(frozen=True)
class OutputPart:
    """One of several outputs, whose columns are side by side in the network's."""

    name: str
    columns: Annotated[int, Interval(ge=1, le=2**24)]
    label_kind: LabelKind
    """The name of its own task."""
    outputs: OutputKind

    @property
    def task(self) -> Task:
        return task_named(self.label_kind)


@dataclass(frozen=True)
class Masks:
    """Labels that are as large as the examples: read with them, and changed with them."""

    inputs: Inputs
    """Class numbers, each uint8 (height, width, 1); or arrays of numbers, uint8 or float32."""
    encode: Callable[[Any], Any]
    """From a batch of them, a tensor, to what the loss takes."""


@dataclass(frozen=True)
class ClassNumbers:
    """Labels that the loss takes as many numbers each: made of a batch, because those of all would fill the memory."""

    numbers: NDArray[np.int64]
    encode: Callable[[Any], Any]
    """From a batch of them, a tensor, to what the loss takes."""


class Task(ABC):
    """Base of the tasks."""

    parts: tuple[OutputPart, ...] = ()
    """The outputs in their order, where there are several."""
    form: ArrayForm | None = None
    """How the arrays that the network makes are those of the data, where it makes any."""
    default_metrics: ClassVar[tuple[Component, ...]] = (Component("accuracy"),)
    """The metrics where the experiment does not name any."""
    one_class: ClassVar[bool] = False
    """Whether each example has exactly one of the classes, which can have weights, folders and a largest value."""
    per_pixel: bool = False
    """Whether each pixel of an image, or each step of a sequence, has a label."""
    blends: ClassVar[bool] = False
    """Whether labels for each pixel are numbers, between two of which there are others, and not classes."""
    writes: ClassVar[bool] = False
    """Whether `predict` writes a file for each example."""
    together: ClassVar[bool] = False
    """Whether several labels may hold at once, each with a separate yes or no."""
    has_units: ClassVar[bool] = False
    """Whether the labels are numbers in units of their own, which training may scale (`fit.scale_targets`)."""
    indivisible: ClassVar[str] = ""
    """Why the labels cannot be divided among several outputs, for a message; empty where they can."""
    counted: ClassVar[str] = "classes"
    """The plural for the names of the labels, in messages."""

    def of(self, split: Split) -> Task:
        """Return the task for labels such as those of a split."""
        del split
        return self

    # Building: loss, last layer, metrics.

    @abstractmethod
    def default_loss(self, classes: int, units: int) -> Component:
        """Return the loss that suits a last layer of `units` units, where the experiment has none."""

    @abstractmethod
    def output(self, classes: int, loss: Component | None = None) -> Output:
        """Return the last layer that suits the labels, and the loss where one is given."""

    def outputs(self, loss: Component) -> OutputKind:
        """Return what the network's outputs are, so that probabilities can be made of them."""
        name = canonical("losses", loss.name)
        if name in LINEAR:
            return "scores"
        if not is_from_logits(loss):
            return "probabilities"
        return "sigmoid logits" if name in BINARY else "softmax logits"

    def check_loss(self, loss: Component) -> None:
        """Refuse a loss that is not for such labels, whatever the last layer is.

        Raises:
            ModelError: with the loss to take.
        """
        del loss

    def check_shape(self, shape: tuple[int, ...], inputs: tuple[int, ...]) -> None:
        """Check that the network's output for an example, whose own shape is `inputs`, has the shape of its labels.

        Raises:
            ModelError: with the layers to end in.
        """
        if len(shape) != 1:
            raise ModelError(
                f"the network ends in an output of shape {shape} for each example, but the labels need one row "
                "of numbers: end it with Flatten or GlobalAveragePooling2D"
            )

    def takes_both(self, loss: str) -> bool:
        """Return whether a loss takes one unit for two classes as well as two."""
        return added("losses", loss) is not None

    def targets_for(self, model: Any, classes: int, loss: Component | None = None) -> Targets:
        """Choose the loss that suits the network's last layer, or check that the given one does.

        Args:
            model: the built Keras model, output shape (batch, units), of masks (batch, height, width, units).
            classes: how many classes, labels or numbers there are.

        Raises:
            ModelError: if labels, last layer, activation and loss contradict each other; one sentence with the fix.
        """
        shape = tuple(model.output.shape[1:])
        self.check_shape(shape, tuple(model.inputs[0].shape[1:]))
        units = int(shape[-1])
        return self.agreed(loss or self.default_loss(classes, units), classes, units, activation_of(model.layers[-1]))

    def agreed(self, loss: Component, classes: int, units: int, activation: str | None) -> Targets:
        """Check that the loss suits the labels and the layer that the network, or one of its outputs, ends in.

        Args:
            activation: None where the layer does not say.

        Raises:
            ModelError: as `targets_for`.
        """
        self.check_loss(loss)
        name, wanted = canonical("losses", loss.name), self.output(classes, loss)
        if units != wanted.units and not (self.takes_both(name) and classes == 2 and units in (1, 2)):
            unit, key = ("channel", "filters") if self.per_pixel else ("unit", "units")
            raise ModelError(
                f"the last layer has {units} {unit}{'' if units == 1 else 's'}, but {loss.name} on {classes} "
                f"{self.counted} needs {wanted.units}: set its {key} to {wanted.units}, or leave the layer out (of a "
                "saved network by drop_last: 1) and it is added"
            )
        if activation is not None:
            _check_activation(self, loss, units, activation, wanted)
        return Targets(self, loss, classes, units, bounded=activation not in ACTIVATIONS)

    def compile_arguments(self, targets: Targets, metrics: Mapping[str, Component]) -> dict[str, Any]:
        """Return the loss and the metrics, by their names in the logs, as arguments of `Model.compile`."""
        built = [self.metric(metric, name, targets) for name, metric in metrics.items()]
        return {"loss": build("losses", targets.loss), "metrics": built}

    def metric(self, metric: Component, name: str, targets: Targets) -> Any:
        """Build a metric of Keras, called `name` in the logs.

        Raises:
            ModelError: if it compares what these targets and outputs cannot give.
        """
        kind = self._metric_class(metric.name, targets)
        self.check_metric(kind, targets)
        if kind == "DiceCoef" and (targets.outputs == "scores" or not (targets.bounded or targets.from_logits)):
            raise ModelError(
                "compile.metrics: DiceCoef compares probabilities, but the network's outputs are not from 0 to 1: set "
                "the last layer's activation to sigmoid or softmax, or take MeanIoU"
            )
        if kind not in COMPARES:
            own = {"from_logits": targets.from_logits} if kind == "DiceCoef" else {}
            return build("metrics", Component(kind, {**own, **metric.arguments, "name": name}))
        arguments, true, predicted = self._sides(targets).fit(kind, metric.arguments)
        return attach(build("metrics", Component(kind, {**arguments, "name": name})), true, predicted)

    def _sides(self, targets: Targets) -> Sides:
        """Return what the loss and the network give to metrics."""
        form: TargetForm = "one-hot"
        if self.together:
            form = "labels"
        elif targets.units == 1:
            form = "one column"
        elif targets.sparse:
            form = "class numbers"
        loss = canonical("losses", targets.loss.name)
        return Sides(
            form,
            targets.outputs,
            loss,
            targets.classes,
            targets.units,
            self.per_pixel,
            targets.bounded,
            targets.mixed,
        )

    def _metric_class(self, name: str, targets: Targets) -> str:
        """Return the class of a metric; `accuracy` and `crossentropy` mean one of three, by the form of the targets."""
        of = {"accuracy": "Accuracy", "acc": "Accuracy", "crossentropy": "Crossentropy", "ce": "Crossentropy"}.get(name)
        if of is None:
            return canonical("metrics", name)
        if targets.units == 1 or self.together:
            return f"Binary{of}"
        return f"SparseCategorical{of}" if targets.sparse else f"Categorical{of}"

    def check_metric(self, name: str, targets: Targets) -> None:
        """Refuse a metric that is not for such labels.

        Raises:
            ModelError: with the metric to take.
        """
        del name, targets

    # Encoding: labels as the loss takes them.

    def check_labels(self, data: Data) -> None:
        """Check the values of the labels, where the data alone do not say what they must be.

        Raises:
            DataError: naming the split and the example.
        """
        del data

    def encode(self, labels: Any, targets: Targets) -> Any:
        """Return labels as the loss takes them.

        Args:
            labels: as `Split.labels` holds them, (examples, …).
        """
        return labels.astype("float32")

    def training_labels(self, split: Split, targets: Targets) -> NDArray[Any] | ClassNumbers | Masks:
        """Return the labels for `training_batches`: encoded at once, or what is encoded batch by batch."""
        labels: NDArray[Any] = self.encode(split.label_array, targets)
        return labels

    def labels_of(self, split: Split, begin: int, end: int, targets: Targets) -> Any:
        """Return the encoded labels of the examples from `begin` to before `end`."""
        return self.encode(split.label_array[begin:end], targets)

    def zeros(self, examples: int, size: tuple[int, ...], targets: Targets) -> Any:
        """Return encoded labels that are all zero; `size` is height and width of an example that is an image."""
        import numpy as np

        return self.encode(np.zeros((examples, targets.classes), np.int64), targets)

    # Results: what `evaluate` and `predict` say.

    def scorer(self, split: Split, question: Question) -> Scorer:
        """Return the object that measures outputs on a split; here it keeps them all, and asks `scores`."""
        from kerasrun.report.scores import WholeScorer

        return WholeScorer(lambda found: self.scores(split.label_array, found, question))

    def scores(self, labels: NDArray[Any], found: NDArray[np.float32], question: Question) -> Scores:
        """Compare all labels of a split with all outputs (examples, …), where the task has no `scorer` of its own."""
        raise NotImplementedError

    def predictions(self, chunks: Iterable[NDArray[np.float32]], question: Question) -> list[Prediction]:
        """Return what outputs predict, each chunk (examples, …); here all are kept, and `predicted` is asked."""
        import numpy as np

        return self.predicted(np.concatenate(list(chunks)), question)

    def predicted(self, found: NDArray[np.float32], question: Question) -> list[Prediction]:
        """Return what all outputs (examples, …) predict, where the task has no `predictions` of its own."""
        raise NotImplementedError

    def judge(self, split: Split, question: Question) -> Judge | None:
        """Return the object that finds the worst mistakes on a split, as the report shows them; None if there is none.

        Here it keeps all outputs, and asks `mistakes`.
        """
        from kerasrun.report.mistakes import WholeJudge

        return WholeJudge(lambda found: self.mistakes(split, found, question))

    def mistakes(self, split: Split, found: NDArray[np.float32], question: Question) -> Sequence[Mistakes]:
        """Return on which examples all outputs (examples, …) are wrong, where the task has no `judge` of its own."""
        raise NotImplementedError

    def values(self, found: NDArray[np.float32], outputs: OutputKind) -> NDArray[np.float64]:
        """Return the probability or the number that each column of the outputs stands for."""
        return label_values(found, outputs)

    def from_arrays(self, given: GivenLabels) -> ReadLabels:
        """Return labels as `Split.labels` holds them, from the arrays of every split.

        Raises:
            DataError: if an array holds other labels; the message has its name.
        """
        raise NotImplementedError

    def from_columns(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return labels as `Split.labels` holds them, from columns of numbers as several outputs divide them."""
        return labels

    def without_threshold(self, classes: int, outputs: OutputKind) -> str | None:
        """Return why a threshold has nothing to decide, as what a model does; None where it has."""
        if not self.together and classes != 2:
            return f"takes the largest of {classes} classes"
        return "makes scores, not probabilities (its loss is a hinge loss)" if outputs == "scores" else None

    def files(self, folder: Path, paths: Sequence[str], originals: Sequence[Path]) -> Sequence[Path]:
        """Return the file that `predict` writes for each example, where it writes any.

        Args:
            originals: files that must not be written over.

        Raises:
            UsageError: if two examples would have one file, or an original would be replaced.
        """
        return ()

    # Preview: a label beside its image.

    @abstractmethod
    def caption(self, label: Any, classes: Sequence[str]) -> str:
        """Return the label of one example, as `Split.labels` holds it, in words."""

    def draw(self, axes: Any, label: Any, classes: Sequence[str]) -> None:
        """Draw a label beside its image, which matplotlib's `axes` show."""
        text = self.caption(label, classes)
        axes.set_title(text if len(text) <= 20 else f"{text[:19]}…", fontsize=8)

    def explain(self, figure: Any, classes: Sequence[str]) -> None:
        """Add a legend of the labels that `draw` drew to matplotlib's `figure`."""
        del figure, classes

    # Drafts: what `init --data` writes.

    @abstractmethod
    def about(self, classes: int) -> str:
        """Return in words what the labels are."""

    def drafted_metrics(self, classes: int) -> Sequence[str]:
        """Return the metrics of a first experiment."""
        return [metric.name for metric in self.default_metrics]

    def drafted_model(self) -> Sequence[str]:
        """Return the lines of `model` for images in a first experiment; empty where any network of images serves."""
        return ()


@dataclass(frozen=True)
class Targets:
    """How labels become targets, once labels, loss and last layer agree."""

    task: Task
    loss: Component
    classes: int
    """How many classes there are; of other labels, how many of them an example has."""
    units: int
    """Units of the last layer, channels where it has an output for each pixel."""
    ignores: bool = False
    """Whether some pixels have no class (`reading.data.IGNORED`), and do not count."""
    bounded: bool = True
    """Whether the last layer's activation keeps the outputs from 0 to 1, as far as it tells."""
    mixed: bool = False
    """Whether the examples that train are mixed, so that they have shares of classes."""

    @property
    def from_logits(self) -> bool:
        return is_from_logits(self.loss)

    @property
    def outputs(self) -> OutputKind:
        """The kind of the network's outputs."""
        return self.task.outputs(self.loss)

    @property
    def parts(self) -> tuple[OutputPart, ...]:
        """The outputs in their order, where there are several."""
        return self.task.parts

    @property
    def sparse(self) -> bool:
        return canonical("losses", self.loss.name) in SPARSE

    @property
    def one_hot(self) -> bool:
        return (self.task.one_class or self.task.per_pixel) and not self.sparse and self.units > 1

    def encode(self, labels: Any) -> Any:
        """Return labels as the loss takes them, as `Task.encode`."""
        return self.task.encode(labels, self)


@functools.cache
def task_named(name: LabelKind) -> Task:
    """Return the task of that name.

    Raises:
        ModelError: if there is none.
    """
    if name not in task_names():
        raise ModelError(f"no task is called '{name}', only {', '.join(task_names())}")
    task: Task = importlib.import_module(f"{__package__}.{name}").TASK
    return task


def task_names() -> Sequence[LabelKind]:
    """Return the names of the tasks."""
    return members(importlib.import_module(__package__).__path__)


def is_from_logits(loss: Component) -> bool:
    """Return whether a loss was told that the network's outputs are logits."""
    return bool(loss.arguments.get("from_logits"))


def activation_of(layer: Any) -> str | None:
    """Return the name of the activation that a layer ends in; None where its kind does not tell."""
    kind = type(layer).__name__
    if kind == "Softmax":
        return "softmax"
    if kind in ("Activation", "Dense", "Conv2D"):  # of a network from a file the activation may be a layer
        return str(getattr(layer.activation, "__name__", type(layer.activation).__name__))
    return None


def _check_activation(task: Task, loss: Component, units: int, activation: str, wanted: Output) -> None:
    name, from_logits = canonical("losses", loss.name), is_from_logits(loss)
    if from_logits and activation in PROBABLE:
        raise ModelError(
            f"the last layer ends in {activation}, but {loss.name} was told from_logits: true: take one of the two away"
        )
    if activation == "softmax" and units == 1:
        raise ModelError("a softmax over one unit is always 1: set the last layer's activation to sigmoid")
    if name in LINEAR and activation in PROBABLE:
        raise ModelError(
            f"the last layer ends in {activation}, so no output is below 0, but {loss.name} takes scores around 0: set "
            "its activation to linear or tanh"
        )
    is_wrong = activation in ACTIVATIONS and wanted.activation in PROBABLE
    if name in OF_PROBABILITIES and not from_logits and is_wrong:
        ends = "has no activation" if activation == "linear" else f"ends in {activation}"
        logits = ", or give the loss from_logits: true" if activation == "linear" and "Crossentropy" in name else ""
        raise ModelError(
            f"the last layer {ends}, but {loss.name} expects probabilities: set its activation to "
            f"{wanted.activation}{logits}"
        )
    if name in BINARY and activation == "softmax" and (units > 2 or task.together):
        why = "several labels may hold at once" if task.together else "it takes each class for a yes or no"
        instead = "" if task.together else ", or the loss to categorical_crossentropy"
        raise ModelError(
            f"the last layer is one softmax over {units} {task.counted}, but {loss.name} is not for that ({why}): set "
            f"its activation to sigmoid{instead}"
        )
