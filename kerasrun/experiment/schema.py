"""The experiment file as classes: a section is a class, a key is a field, its docstring is its documentation."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from kerasrun.components import Component, ExperimentPath, Keras, as_component
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.units import Disk, Duration, Memory
from kerasrun.models.base import Network
from kerasrun.reading.memory import DEFAULT_SHARE
from kerasrun.sources.base import Source
from kerasrun.trackers.base import NAMES

_COMPONENT = BeforeValidator(as_component)
Optimizer = Annotated[Component, Keras("optimizers"), _COMPONENT]
Loss = Annotated[Component, Keras("losses"), _COMPONENT]
Metric = Annotated[Component, Keras("metrics"), _COMPONENT]
Callback = Annotated[Component, Keras("callbacks"), _COMPONENT]
Layer = Annotated[Component, Keras("layers"), _COMPONENT]
ONE_OR_SEVERAL = BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])
"""The mark of a list of which a single entry needs no brackets."""
BY_INPUT = "by input"
"""The mark of a mapping whose keys are the names of inputs."""
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
EveryEpoch = Annotated[int, Field(ge=1)]
MIXING = ("CutMix", "MixUp")
"""The layers of Keras that mix the examples of a batch, and their labels."""
if TYPE_CHECKING:
    TrackerName = str
else:
    TrackerName = Literal[NAMES]


_FOLD = r"(\d{1,6})/(\d{1,6})"


def _fold(value: Any) -> Any:
    found = re.fullmatch(_FOLD, value) if isinstance(value, str) else None
    if value is not None and not (found and int(found[2]) >= 2 and 1 <= int(found[1]) <= int(found[2])):
        raise ValueError("expected a fold and how many there are, such as 1/5 for the first of five")
    return value


Fold = Annotated[str, BeforeValidator(_fold), WithJsonSchema({"type": "string", "pattern": f"^{_FOLD}$"})]
"""`2/5` is the second of five."""


class Section(BaseModel):
    """Base of the sections: frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Compile(Section):
    """The arguments of `Model.compile`."""

    optimizer: Optimizer = Component("Adam")
    """Any optimizer of `keras.optimizers`; its `learning_rate` may be a schedule of `keras.optimizers.schedules`."""
    loss: Loss | Mapping[str, Loss] | None = Field(None, union_mode="left_to_right")
    """Any loss of `keras.losses`; by default the one that suits the labels. Of several outputs, one for all of them or
    one for each by its name."""
    loss_weights: Mapping[str, Weight] | None = None
    """What the loss of an output is multiplied by, where there are several; others count 1."""
    metrics: tuple[Metric, ...] | Mapping[str, Annotated[tuple[Metric, ...], ONE_OR_SEVERAL]] | None = None
    """Any metrics of `keras.metrics`; by default `mae` where the labels are numbers, else `accuracy`. Of several
    outputs, a list for each of them, or lists by name."""
    jit_compile: Literal["auto"] | bool = "auto"
    """Whether XLA compiles the training step; `auto` never does on a CPU, where it is slower, and on a GPU where Keras
    would, which is not with `deterministic` operations."""


class Fit(Section):
    """The arguments of `Model.fit`."""

    batch_size: int = Field(32, ge=1)
    """Examples in one step, over all devices."""
    epochs: int = Field(1, ge=1)
    """How often every training example is seen; with `steps_per_epoch`, how often so many steps are taken."""
    steps_per_epoch: int | None = Field(None, ge=1)
    """Steps in one epoch, which takes up the data where the epoch before left them; by default one pass over them."""
    verbose: Literal["auto", 0, 1, 2] = "auto"
    """What training shows on stderr: 0 nothing, 1 a live bar in a terminal and a line for each epoch, 2 the lines
    alone; `auto` is 1."""
    validation_split: float | None = Field(None, gt=0, lt=1)
    """Share of the training examples kept for validation: seeded, the same share of every class; with `group` of the
    data no group is divided, with `time` the latest validate."""
    validation_fold: Fold | None = None
    """The fold that validates, `2/5` for the second of five, while the others train: seeded, the same share of every
    class in each; with `group` of the data no group is divided, with `time` the examples before the fold train."""
    test_split: float | None = Field(None, gt=0, lt=1)
    """Share of the training examples kept for testing, chosen like that and before it, for data that came in one piece;
    `test_examples.csv` in the run lists them."""
    validation_data: Literal["validation", "test"] | None = None
    """The split that validates; by default `validation` where the data has it."""
    validation_steps: int | None = Field(None, ge=1)
    """Batches of that split that validate, the first ones; by default all."""
    validation_freq: EveryEpoch | Annotated[tuple[EveryEpoch, ...], Field(min_length=1)] = 1
    """Validate at the end of every so many epochs, or of the epochs listed, counted from one."""
    class_weight: Literal["balanced"] | Annotated[Mapping[str, Weight], Field(min_length=1)] | None = None
    """How much an example of each class counts in the training loss: by name (others count 1), or `balanced`."""
    scale_targets: bool = False
    """Whether numbers to be predicted are standardised for training, by mean and deviation of the examples that train;
    the last layer of the model brings them back. Loss, metrics and predictions are in their own units."""

    def validates_after(self, epoch: int) -> bool:
        """Whether an epoch, counted from one, ends with a validation, where there is one."""
        if isinstance(self.validation_freq, int):
            return epoch % self.validation_freq == 0
        return epoch in self.validation_freq

    @property
    def fold(self) -> tuple[int, int] | None:
        """The number of the fold that validates, from one, and how many there are."""
        if self.validation_fold is None:
            return None
        number, _, count = self.validation_fold.partition("/")
        return int(number), int(count)


class Stage(Section):
    """A phase of training, like a `compile` and a `fit` of its own: the optimizer and the callbacks begin anew."""

    epochs: int = Field(ge=1)
    """How many epochs it has, unless a callback stops it: then the next stage begins."""
    trainable: bool | str | None = None
    """Which layers learn, like a network's `trainable`; where it has none, `true` or the name of the first layer that
    does. By default those of the stage before."""
    optimizer: Optimizer | None = None
    """Any optimizer of `keras.optimizers`; by default that of `compile`."""


class Checkpoint(Section):
    """When the training state is saved, and what counts as the best model."""

    monitor: str | None = None
    """The value that decides which epoch is best; by default `val_loss`, or `loss` where nothing validates."""
    mode: Literal["auto", "min", "max"] = "auto"
    """Whether the best value is the smallest or the largest; `auto` asks the metric."""
    epochs: int = Field(1, ge=1)
    """A checkpoint is taken at the end of every so many epochs, and at the end of the last."""
    seconds_between: float = Field(2, ge=0)
    """After a checkpoint, epochs end without one for this many seconds, and a better `best.keras` is written with the
    next. A kill then loses the work of this time and of one more epoch."""
    seconds: float = Field(300, gt=0)
    """In a long epoch, also after so many seconds of training."""
    keep: int = Field(2, ge=1)
    """How many checkpoints are kept."""


class Cache(Section):
    """What is kept in memory and on disk so that it is not computed again."""

    memory: Memory = DEFAULT_SHARE
    """How much memory decoded examples, and what frozen layers compute of them, may take each: a share of what is free,
    or an amount; examples that do not fit are read from files in each epoch, with the same result."""
    disk: Disk = "auto"
    """How much decoded images may take on disk, such as `50GB`, where they do not fit into `memory`; all runs on the
    same files share them. `auto` is a tenth of the room that the disk has, 0 is none."""
    features: bool = True
    """Compute frozen layers once for each example where that changes nothing but the last bits, and train the rest."""


class Parameter(Section):
    """The values that a key may take in a sweep: `choice`, or all from `low` to `high`."""

    low: int | float | None = None
    """The smallest value; whole numbers are searched where all bounds are whole."""
    high: int | float | None = None
    """The largest value."""
    log: bool = False
    """Whether each power of ten is searched alike, as for learning rates."""
    step: int | float | None = Field(None, gt=0)
    """Only every so many values from `low` on."""
    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """The values to choose from; each may be a list, or a component with its arguments."""


class Sweep(Section):
    """What `kerasrun sweep` searches for; `train` leaves it aside."""

    trials: int = Field(ge=1)
    """How many trials there are in all, over all workers."""
    monitor: str | None = None
    """The value whose best epoch is a trial's result; by default that of `checkpoint`. It decides `best.keras` too."""
    mode: Literal["auto", "min", "max"] = "auto"
    """Whether the best value is the smallest or the largest; `auto` asks the metric."""
    sampler: Annotated[Component, _COMPONENT] = Component("TPE")
    """Any sampler of `optuna.samplers`, without `Sampler` in its name: `TPE`, `Random`, `Grid`, `QMC`, `CmaEs`."""
    pruner: Annotated[Component, _COMPONENT] | None = None
    """Any pruner of `optuna.pruners`, without `Pruner` in its name: it ends a trial that does badly so far."""
    parameters: Annotated[Mapping[str, Parameter], Field(min_length=1, max_length=100)]
    """The keys to search, as paths such as `fit.batch_size`, each with its values."""


class Experiment(Section):
    """A whole experiment: data, model, training."""

    name: str = ""
    """Runs are named after it; by default the file's stem, without a dot in front."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Everything random follows from it."""
    plugins: tuple[ExperimentPath, ...] = ()
    """Python files with layers, losses, metrics, callbacks, data and functions of your own."""
    data: Source
    """Where the examples are."""
    preprocessing: tuple[Layer, ...] | Annotated[Mapping[str, tuple[Layer, ...]], BY_INPUT] | None = Field(
        None, union_mode="left_to_right"
    )
    """Keras layers in front of the network, saved with it; by default what suits the network and the examples. Of
    several inputs, a list for each by its name."""
    augmentation: tuple[Layer, ...] | ImageDataGenerator = ()
    """Keras layers applied to training examples only, before `preprocessing`; or `ImageDataGenerator`."""
    augment: Literal["both", "input"] = "both"
    """What `augmentation` changes where the labels are images or masks. `both`: what moves pixels moves the labels too,
    and what changes colours or adds noise changes the input alone. `input`: the input alone, whatever it does."""
    model: Network
    """The network: a kind of `kerasrun.models`, or Keras layers in order."""
    compile: Compile = Compile()
    """Optimizer, loss, metrics."""
    fit: Fit = Fit()
    """Batch size, epochs, validation."""
    stages: tuple[Stage, ...] = ()
    """Phases of training, one after the other; `fit.epochs` is then the sum of their epochs."""
    callbacks: tuple[Callback, ...] = ()
    """Callbacks of `keras.callbacks`."""
    checkpoint: Checkpoint = Checkpoint()
    """When the state is saved."""
    cache: Cache = Cache()
    """What is kept in memory and on disk."""
    track: Annotated[tuple[TrackerName, ...], ONE_OR_SEVERAL] = ()
    """The trackers that receive each row of `metrics.csv`; docs/tracking.md says where, and what each needs."""
    report: bool = False
    """Whether training ends with `kerasrun report`, and each `evaluate` of a split too: `report.html` in the run. Where
    that fails, a warning says why."""
    time_limit: Duration | None = None
    """How long one `train` or `resume` may take: training ends in time, the run is `paused`, and `resume` goes on."""
    device: Literal["auto", "cpu", "gpu"] | tuple[Annotated[int, Field(ge=0)], ...] = "auto"
    """Where to train: `auto` takes a GPU where there is one; a list of numbers takes those GPUs."""
    deterministic: bool = True
    """Compute with TensorFlow's deterministic operations; without them a resumed run may end with other bits."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """The `keras.dtype_policies` name under which the network is built."""
    compress: Literal["float16", "bfloat16"] | None = None
    """How gradients of shards travel between workers: rounded to half as many bytes, where they are not null. In
    `float16` a number beyond 65504 becomes infinite, which ends training, and one below 3e-8 zero; `bfloat16` reaches
    as far as `float32`, with two to three digits."""
    sweep: Sweep | None = None
    """A search over values of this experiment, for `kerasrun sweep`; docs/sweep.md has its keys."""

    def preprocessing_of(self, name: str) -> Sequence[tuple[int, Component]] | None:
        """Return the layers in front of an input, with their places in `preprocessing_layers`; None for the default."""
        if not isinstance(self.preprocessing, Mapping):
            return None if self.preprocessing is None else list(enumerate(self.preprocessing))
        before = 0
        for key, layers in self.preprocessing.items():
            if key == name:
                return list(enumerate(layers, before))
            before += len(layers)
        return None

    @property
    def preprocessing_layers(self) -> Sequence[Component]:
        """The layers in front of all inputs, as they were written."""
        if isinstance(self.preprocessing, Mapping):
            return [one for layers in self.preprocessing.values() for one in layers]
        return self.preprocessing or ()

    @property
    def mixing(self) -> Mapping[int, Component]:
        """The layers of `augmentation` that mix examples and their labels, by their places."""
        layers = () if isinstance(self.augmentation, ImageDataGenerator) else self.augmentation
        return {number: layer for number, layer in enumerate(layers) if layer.name in MIXING}
