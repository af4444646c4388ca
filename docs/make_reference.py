"""Write what the documentation says of the code from the code: `make docs`, or `python docs/make_reference.py`.

- `docs/experiment.md`: every section and key of an experiment, from the classes that read it.
- `docs/commands.md`: every command, argument and option, from the command line itself.
- The parts of `README.md`, `docs/exact-resume.md` and `docs/export.md` between `<!-- made: … -->` and `<!-- end -->`:
  the example and a real error message; what a resume compares; the formats.

A test makes all of them in memory and compares. Neither TensorFlow nor Keras is imported.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kerasrun.cli import app
from kerasrun.components import Component, Keras, is_written_beside, kinds
from kerasrun.errors import ExperimentError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.load import parse
from kerasrun.experiment.meanings import meaning
from kerasrun.experiment.refused import refusal
from kerasrun.experiment.schema import Experiment, Section
from kerasrun.experiment.units import Duration, Memory
from kerasrun.exports.base import formats
from kerasrun.keras_catalogue import FAMILIES, names
from kerasrun.models._keras_applications import application, application_names
from kerasrun.models.applications import OWN_MEANINGS, FineTuned
from kerasrun.models.base import Network
from kerasrun.runs.environment import VARIABLES
from kerasrun.sources.base import Source
from kerasrun.training.resuming.compatibility import FIELDS

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "configs" / "lenet_directory.yaml"
EXACT_RESUME = ROOT / "docs" / "exact-resume.md"
EXPORT = ROOT / "docs" / "export.md"
MADE = "<!-- Made by docs/make_reference.py from the code: edit there, then `make docs`. -->"


def main() -> None:
    """Write every page whose text has changed."""
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text if path.exists() else True:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


def pages() -> dict[Path, str]:
    """Every page that is made from the code, as it should be."""
    return {
        ROOT / "docs" / "experiment.md": experiment_page(),
        ROOT / "docs" / "commands.md": commands_page(),
        ROOT / "README.md": with_made_parts(ROOT / "README.md", {"example": _example, "mistakes": _mistakes}),
        EXPORT: with_made_parts(EXPORT, {"formats": _formats}),
        EXACT_RESUME: with_made_parts(EXACT_RESUME, {"compared": _compared, "variables": _variables}),
    }


# docs/experiment.md

EXPERIMENT_TOP = """\
# The experiment file

A YAML file is the whole experiment: `kerasrun train FILE` makes a run of it, `kerasrun validate FILE` checks it without
loading data or TensorFlow, and `kerasrun validate FILE --resolved` prints it with every default filled in. Only `data`
and `model` are required. [configs/](../configs) holds runnable examples.

## One grammar

Whatever has a name, of kerasrun or of Keras, is written as the name, or as the name with its arguments:

```yaml
model: LeNet                                             # a name
compile:
  optimizer: {SGD: {learning_rate: 0.01, momentum: 0.9}} # a name with arguments
callbacks:
  - TerminateOnNaN
  - EarlyStopping:                                       # the same on several lines
      monitor: val_loss
      patience: 3
fit: {validation_split: 0.1}
```

Below, **component** means this form. Arguments may be components in turn:

```yaml
compile:
  optimizer:
    AdamW:
      learning_rate: {CosineDecay: {initial_learning_rate: 0.001, decay_steps: 5000}}
model:
  layers:
    - Dense: {units: 64, activation: relu, kernel_regularizer: {L2: {l2: 1e-4}}}
```

Names and arguments of Keras are those of the installed Keras, by any of the spellings that Keras takes (`Adam`, `adam`;
`mse`, `MeanSquaredError`). They are read from Keras's source, so that checking takes a fraction of a second.
`{class_name: Dense, config: {units: 64}}`, as Keras writes it, is read as well.

## What YAML means here

- `1e-3` is a number (YAML 1.1 takes it for text).
- `true` and `false` are the only truth values; `no`, `on` and `off` are text.
- Decimal numbers without leading zeros are numbers; everything else is text: `0001`, `12:30:00`, `0x1F`. Where text is
  wanted, a number is kept as it was written: a class may be called `1.10` or `7`.
- A key that stands twice is an error that names both lines. So are tabs in the indentation and tags (`!!python/…`).
- Anchors, aliases and merges (`&name`, `*name`, `<<`) are read. The file is UTF-8.

## Paths

A path in the file is relative to the file. A path given with `--set` is relative to the working directory.

## Changing values on the command line

`-s KEY.PATH=VALUE` (`--set`) changes a value before anything is checked; the value is YAML. It may be given often.

```console
$ kerasrun train configs/lenet_directory.yaml -s fit.epochs=3 -s compile.optimizer.Adam.learning_rate=0.01
$ kerasrun train configs/lenet_directory.yaml -s callbacks.EarlyStopping.patience=2
$ kerasrun train configs/lenet_directory.yaml -s 'model={MLP: {units: [64]}}' -s callbacks=null
```

An entry of a list is named by its number from 0, or by its component's name. To replace a component by another one,
set the whole of it.

## Mistakes

Every mistake is told at once, as `file:line:column: key.path: what was received; what was expected`, with the nearest
right name where there is one, the line, and a caret; the exit code is 2. What only the data can show (a missing folder,
a class without images) is told when they are opened, before TensorFlow is loaded.
"""

EXPERIMENT_RULES = """\
## What follows from the data

- **Last layer and loss** suit the labels, by the table below. A `loss`, or a last layer in `model: {layers: …}`, that
  is given decides instead; where they contradict each other or the labels, the run stops before training with one
  sentence that says what to change.
- **Labels** that are classes are numbers inside; each loss gets them as it takes them (`categorical_crossentropy` gets
  one-hot).
- **Preprocessing.** The model takes raw examples, pixels of 0 to 255. In front of the network stand, and are saved with
  it: what `preprocessing` lists, or `ImageDataGenerator` asks for; else the network's own (those of
  `keras.applications`, and a saved network that begins with it); else `Rescaling` to [0, 1] for images of 8 bits, and
  nothing for other arrays.
- **Validation.** `validation_split` keeps a share of every class, by the seed; `validation_data` names a split; without
  either, the data's own `validation` split serves, and without that nothing validates.
- **Training never reads a split that it was not given.**

| labels | last layer | loss | metric |
| --- | --- | --- | --- |
| two classes | one sigmoid unit | `binary_crossentropy` | `accuracy` |
| more classes | a softmax | `categorical_crossentropy` | `accuracy` |
| `multi_label`: several may hold at once | a sigmoid unit for each | `binary_crossentropy` | `accuracy` |
| `numbers` | a linear unit for each | `mean_squared_error` | `mae` |
| masks of two classes | one sigmoid channel | `binary_crossentropy` | `accuracy` |
| masks of more classes | a softmax over channels | `sparse_categorical_crossentropy` | `accuracy` |

## Tables

```yaml
data:
  csv: {train: train.csv, test: test.csv, label: species}      # classes by name; all other columns are features
```

| the file | the keys of `csv` |
| --- | --- |
| a number to be predicted, or two | `target: price`, `target: [width, height]` |
| only some columns are features | `features: [age, income]` |
| no header; pixels, then ten one-hot columns, blanks between | `header: false, delimiter: whitespace, one_hot: 10` |
| several labels that may hold together, 0 or 1 each | `multi_label: [rain, wind]` |
| a column that says how much a row counts | `sample_weight: weight` |

Rows of pixels become images in the network: `model: {layers: [Reshape: {target_shape: [16, 16, 1]}, …]}`.

## Branches and several outputs

The entries of `model: {layers: […]}` follow each other unless they say otherwise. `name` is what later ones call an
entry in their `inputs`, and `input` is the network's own. With `outputs` beside `layers`, the layers named there are
the outputs:

```yaml
data:
  csv: {train: tickets.csv, target: [urgent, sales, support, billing]}
model:
  layers:
    - Dense: {units: 64, activation: relu, name: body}
    - Dense: {units: 1, activation: sigmoid, name: priority}
    - Dense: {units: 3, activation: softmax, name: department, inputs: [body]}
  outputs: [priority, department]
compile:
  loss: {priority: binary_crossentropy, department: categorical_crossentropy}
  loss_weights: {department: 0.2}               # priority counts 1
  metrics: {priority: [accuracy, AUC], department: accuracy}
```

Each output takes as many columns of the labels as it has units, in the order of `outputs`: here `priority` takes
`urgent`. The labels are those of several columns: `multi_label` or `target` of `csv`, `labels: multi_label` or
`numbers` of arrays. A class has one-hot columns and a softmax; a csv column of text cannot be one of several outputs.
A single loss, or a list of metrics, is for each output; by default they suit its activation (softmax: categorical
cross-entropy and `accuracy`; sigmoid: binary cross-entropy; else mean squared error and `mae`).

`loss` is the sum of the outputs' losses by their weights. The logs have each of them too, as `priority_loss`, and the
metrics as `priority_accuracy`; `monitor` may name any, such as `val_department_accuracy`. `evaluate` measures each
output as what it is, `predict` says what each one says. `fit.class_weight`, masks and `--threshold` are for networks of
one output. In the model file the outputs stand side by side in one layer, `output`, which everything that reads the
file gets; losses are therefore computed from probabilities, unless `from_logits: true` says that a layer has no
activation.

The name of an earlier entry, where otherwise a layer's stands, applies that layer again, with the same weights:

```yaml
model:
  layers:                                       # examples of 2 rows: how alike are they?
    - Cropping1D: {cropping: [0, 1], name: first}
    - Cropping1D: {cropping: [1, 0], name: second, inputs: [input]}
    - Dense: {units: 32, name: code, inputs: [first]}
    - code: {name: second_code, inputs: [second]}
    - Dot: {axes: -1, normalize: true, inputs: [code, second_code]}
```

## Stages

Fine-tuning in phases, in one run: train a new head, then more of the network at a lower rate.

```yaml
model: {VGG16: {weights: imagenet, trainable: false}}
compile: {optimizer: {Adam: {learning_rate: 1e-3}}}
stages:
  - {epochs: 3}
  - {epochs: 5, trainable: block5_conv1, optimizer: {Adam: {learning_rate: 1e-5}}}
```

A stage is what a `compile` and a `fit` of its own would be: its optimizer, and a schedule in it, begin anew; callbacks
are told that training ended and begins; layers that do not learn keep the statistics of their `BatchNormalization`. A
callback such as `EarlyStopping` ends a stage, not the run. Epochs are counted through, and the best model is that of
all stages. A run can be cut in any of them and resumed exactly; its last stage may be extended:
`kerasrun resume RUN -s stages.1.epochs=10`.

## Epochs of any number of steps

`fit.steps_per_epoch`, `validation_steps` and `validation_freq` are those of `Model.fit`. Training reads the data pass
after pass, each in an order of its own; an epoch takes the next `steps_per_epoch` batches of that, wherever they lie in
a pass, as `fit` takes them from a generator. With as many steps as a pass has, nothing changes. What counts epochs
(`checkpoint`, callbacks, `metrics.csv`) counts these.

```yaml
fit: {steps_per_epoch: 100, epochs: 30, validation_steps: 20, validation_freq: 5}  # or [1, 10, 30]: after these epochs
```

An epoch without validation has no `val_…` values: their cells in `metrics.csv` are empty, and what watches one (the
best model, a callback's `monitor`, the name of `ModelCheckpoint`'s files) does not see that epoch. `patience` then
counts the epochs that validated. `validation_steps` takes the first batches of the split, the same ones each time.

## Learning rates

A schedule of `keras.optimizers.schedules` counts steps; each of its counts may be given in epochs instead, under the
name that ends so: `decay_epochs` for `decay_steps`, `first_decay_epochs`, `warmup_epochs`, `boundaries_epochs`. They
become steps when the data are open (times the steps of an epoch, rounded), never by how many epochs a run has; a line
says how many, and `resolved.yaml` has the steps.

```yaml
compile:
  optimizer:
    SGD:
      learning_rate: {ExponentialDecay: {initial_learning_rate: 0.1, decay_epochs: 10, decay_rate: 0.5}}
```

`decay: 1e-4` of an optimizer, which Keras 3 passes over, is what it was before: the schedule
lr / (1 + decay · step). `LearningRateScheduler` sets the rate at the beginning of every epoch to that of a function of
the epoch, counted from zero: `step_decay` is initial_learning_rate · drop^⌊(1 + epoch) / epochs_drop⌋.

```yaml
callbacks:
  - LearningRateScheduler:
      schedule: {step_decay: {initial_learning_rate: 0.1, drop: 0.5, epochs_drop: 10}}
```

A schedule beside `ReduceLROnPlateau` or `LearningRateScheduler` is refused: both would set the rate.

## Plugins

`plugins: [file.py]` names Python files with code of your own. What stands at their top is used by name, like Keras's,
with its arguments checked before anything is run:

| in the file | is named in | note |
| --- | --- | --- |
| a class that derives from a layer, loss, metric, optimizer, … of Keras | where Keras's own are | registered |
| a class that derives from `keras.Model` | `model: {layers: […]}` | registered; as one layer |
| a function of `(y_true, y_pred)` | `compile.loss`, `compile.metrics` | registered; takes a `name` as a metric |
| a function of `(x)` | `activation` | registered |
| a function of `(epoch, …)` or `(epoch, lr, …)` | `schedule` of `LearningRateScheduler` | … are its arguments |
| a class that derives from a callback of Keras | `callbacks` | see below |

A layer or network of a plugin that stands last and gives as many outputs as the labels need is taken as the output, and
must end in the activation that the loss wants; after any other the output layer is added.

*Registered* means `@keras.saving.register_keras_serializable(package="…")` above it, which lets a model file name it. A
metric whose class sets `self._direction = "up"` (or `"down"`) needs no `mode` where it is monitored. A loss gets
one-hot labels, or 0 and 1 where the network ends in one unit. A file stands for itself: it imports what is installed,
not its neighbours, and no name of Keras's may stand for something else.

A callback has `get_state()`, which returns what it keeps while training (numbers, text, lists, mappings), and
`set_state(state)`, which puts that back after `on_train_begin`; one that keeps nothing says `stateless = True` in its
class. Without either it is refused, since a resumed run could not continue it. One with hooks for batches keeps steps
from being fused; hooks for the batches of validation are refused.

The run keeps a copy of each file in `plugins/`: `resume`, `evaluate` and `predict` use that, and a resume refuses one
that has changed. A model file names the plugins that its network needs, but holds no code: outside its run it is used
with `predict --model FILE --plugin file.py`.

```python
@keras.saving.register_keras_serializable(package="own")
class Scale(keras.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return self.factor * x

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
```

This one is `{Scale: {factor: 0.5}}` in `model: {layers: […]}`.
[configs/own_loss_plugin.yaml](../configs/own_loss_plugin.yaml) has a loss, a metric and a callback.

## Dice

Beside what Keras has, `compile` knows `dice_coef` as a metric (`DiceCoef`) and `dice_loss` as a loss (`DiceLoss`), as
tutorials on segmentation define them: (2 |A ∩ B| + smooth) / (|A| + |B| + smooth) over all pixels of a batch together,
the loss being what is missing to 1. `keras.losses.Dice` has no `smooth` and takes one-hot masks alone; these take masks
of one channel, of class numbers and one-hot ones.

```yaml
compile:
  loss: dice_loss
  metrics: [dice_coef, {DiceCoef: {class_id: road, name: dice_road}}]  # all channels; one class, by name or number
```

The metric is the mean over the batches. More is better, so that `monitor: val_dice_coef` needs no `mode`.

## Class weights

`fit.class_weight` does what it does in `Model.fit`: the loss of each training example is multiplied by the weight of
its class. Metrics and validation are not weighted.

```yaml
fit:
  class_weight: {cat: 2.5, dog: 0.5}  # every other class counts 1
```

`balanced` gives each class examples / (classes × examples of the class), as scikit-learn does, from the examples that
train; `run.json` has the numbers.

## Networks that have learned something

```yaml
model:
  MobileNet: {alpha: 0.25, weights: imagenet, pooling: avg, head: [], dropout: 0.2}  # frozen: a new output alone learns
```

```yaml
model:
  saved:
    path: pretrained.keras  # or .h5; .json and .yaml are architectures, whose weights another file may have
    drop_last: 1            # its own output layer; the one that the labels need takes its place
    trainable: conv5        # this layer learns and what comes after it
    head: [64]
```

The files are read once: a resumed run has the architecture in its `resolved.yaml` and the weights in its checkpoint.
Layers of one's own in such a file are found in `plugins`.

## Augmentation

Layers of `keras.layers` that change images at random (`RandomTranslation`, `RandomRotation`, `RandomContrast`, …), in
order, on raw pixels (0 to 255) of training examples only. They are applied to whole batches, and every draw is a
function of the seed, the step, the layer's place and the draw's number, so that a resumed run repeats it. Not possible:
`MixUp` and `CutMix` (they mix labels too), and `AugMix` (its draws cannot be repeated).

Or the arguments of Keras's `ImageDataGenerator`, as tutorials have them:

```yaml
augmentation:
  ImageDataGenerator:
    rescale: 1./255
    rotation_range: 40
    width_shift_range: 0.2
    horizontal_flip: True
```
"""

LOGS = """\
## Names in the logs

The columns of `metrics.csv`, and what `monitor` may name: `loss` (and those of several outputs), each metric, the same
with `val_` where something validates, and `learning_rate`. A metric is called by its `name`, else by its own name in
snake case (`AUC` is `auc`), behind the name of its output where there are several; a second one of the same name gets
`_1`. A `monitor` that names nothing is an error in the file, also where it is a callback's default. `mode: auto` asks
the metric which direction is better; where Keras does not know, say `min` or `max`.
"""

CALLBACKS = """\
What they keep while training is saved in every checkpoint and restored exactly. Files that they write (`TensorBoard`'s
`log_dir`, by default `tensorboard`; `CSVLogger`'s `filename`; `ModelCheckpoint`'s `filepath`) lie in the run directory.
A callback that must hear of every step (`ModelCheckpoint` with a number as its `save_freq`; `TensorBoard` with
`update_freq` other than `epoch`, `write_steps_per_second` or `profile_batch`) keeps steps from being fused: the results
are the same, training is slower. With `embeddings_freq` Keras writes its own weights files, of which TensorBoard's
projector, which reads those of TensorFlow, shows nothing.
"""


def experiment_page() -> str:
    """`docs/experiment.md`."""
    sections = {
        name: annotation
        for name, field in Experiment.model_fields.items()
        if isinstance(annotation := field.annotation, type) and issubclass(annotation, Section)
    }
    return _joined(
        MADE,
        EXPERIMENT_TOP,
        "## The keys at the top",
        _fields_table(Experiment),
        *(part for name, section in sections.items() for part in _section(f"`{name}`", section)),
        "## Kinds of `data`",
        *_family("kerasrun.sources", "data"),
        "## Kinds of `model`",
        *_family("kerasrun.models", "model"),
        *_applications(),
        EXPERIMENT_RULES,
        "### `ImageDataGenerator`",
        inspect.cleandoc(ImageDataGenerator.__doc__ or ""),
        "`augmentation: {ImageDataGenerator: {…}}`:",
        _fields_table(ImageDataGenerator),
        LOGS,
        *_callbacks(),
        *_refused_names(),
    )


def _section(title: str, section: type[BaseModel]) -> list[str]:
    return [f"## {title}", inspect.cleandoc(section.__doc__ or ""), _fields_table(section)]


def _family(package: str, section: str) -> Iterable[str]:
    for name, kind in kinds(package).items():
        if issubclass(kind, FineTuned):
            continue
        form = f"`{section}: {{{name}: {'[…]' if is_written_beside(kind) else '{…}'}}}`"
        yield f"### `{name}`"
        yield inspect.cleandoc(kind.__doc__ or "")
        yield f"{form}:"
        yield _fields_table(kind)


APPLICATIONS = """\
### Networks of `keras.applications`

Each is a kind by its own name, without its top and with a new head for one's own classes: `model: {MobileNet: {…}}`:
"""
FINE_TUNING = """\
A layer that does not learn computes as in inference: frozen batch normalization uses the statistics that came with the
weights, and keeps them. Where such layers learn (`trainable`), theirs are those of each batch, as everywhere in Keras.

Weights of a file are read in the layout of Keras's own files, with the top (which is then left away) or without. For
`imagenet`, EfficientNetB0 to B7 scale pixels once more, as in Keras; with the same file by its path they do not, as in
Keras. A network that has its own preprocessing takes raw pixels; where an experiment lists `preprocessing`, that comes
before it. Images have three channels, and at least the height and width below. Arguments of Keras that not every
network has are keys beside the others:
"""
_PIXELS = {
    "tf": "to [-1, 1]",
    "caffe": "BGR, minus ImageNet's mean colour",
    "torch": "to [0, 1], minus ImageNet's mean colour, divided by its deviation",
    None: "by layers of the network",
}


def _applications() -> Iterable[str]:
    known = [application(name) for name in application_names()]
    yield APPLICATIONS
    yield _fields_table(FineTuned)
    yield FINE_TUNING
    yield _table(["key", "meaning"], [[f"`{name}`", meaning] for name, meaning in OWN_MEANINGS.items()])
    rows = [
        [f"`{one.name}`", str(one.least), _PIXELS[one.preprocessing], ", ".join(f"`{own.name}`" for own in one.own)]
        for one in known
    ]
    yield _table(["network", "least height and width", "preprocessing", "own keys"], rows)


def _fields_table(model: type[BaseModel]) -> str:
    # What several kinds have stands below what is its own.
    declared = dict.fromkeys(name for base in model.__mro__ for name in vars(base).get("__annotations__", {}))
    fields = [(name, model.model_fields[name]) for name in declared if name in model.model_fields]
    return _table(
        ["key", "value", "default", "meaning"],
        [[f"`{name}`", value_in_words(field), _default(field), meaning(model, name)] for name, field in fields],
    )


def value_in_words(field: FieldInfo) -> str:
    """What a key takes: `whole number, at least 1`, `list of 2: whole number, at least 1; or null`."""
    if get_args(Memory)[1] in field.metadata:
        return "share from 0 to 1, or `500MB`, `2GB`, `1.5GiB`"
    return _in_words(field.annotation, tuple(field.metadata))


def _in_words(annotation: Any, limits: Iterable[Any] = ()) -> str:
    if keras := next((one for one in limits if isinstance(one, Keras)), None):
        return f"component of `{FAMILIES[keras.family]}`"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == Duration:
        return "number of seconds, or `45s`, `90m`, `3h`, `2h30m`, `1d`"
    if origin is Annotated:
        inner, *extra = arguments
        return _in_words(inner, [one for item in extra for one in (getattr(item, "metadata", None) or [item])])
    if origin in (Union, types.UnionType):
        return "; or ".join(_in_words(one, () if one is type(None) else limits) for one in arguments)
    if origin is Literal:
        *front, last = (f"`{value}`" for value in arguments)
        return f"{', '.join(front)} or {last}" if front else last
    if origin is Mapping:
        what = "weights" if float in get_args(arguments[1]) else "those"
        return f"{what} by name: {{{_in_words(arguments[0])}: {_in_words(arguments[1])}}}"
    bounds = [words for limit in limits if (words := _bound(limit, is_list=origin is tuple))]
    return ", ".join([_list(arguments) if origin is tuple else _plain_type(annotation), *bounds])


def _list(arguments: tuple[Any, ...]) -> str:
    if arguments[-1] is Ellipsis:
        return f"list of: {_in_words(arguments[0])}"
    return f"list of {len(arguments)}: {_in_words(arguments[0])}"


_WORDS: Mapping[Any, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "`true` or `false`",
    type(None): "`null`",
    Path: "path",
    Source: "one of the kinds of `data` below",
    Network: "one of the kinds of `model` below",
    ImageDataGenerator: "`ImageDataGenerator` with its arguments: see below",
}


def _plain_type(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "keys: see below"
    return _WORDS[annotation]


def _bound(limit: Any, *, is_list: bool) -> str:
    match limit:
        case annotated_types.Ge(ge=value):
            return f"at least {value}"
        case annotated_types.Gt(gt=value):
            return f"above {value}"
        case annotated_types.Le(le=value):
            return f"at most {value}"
        case annotated_types.Lt(lt=value):
            return f"below {value}"
        case annotated_types.MinLen(min_length=value):
            return f"at least {value} of them" if is_list else ""
    return ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Section) or value == "":
        return ""
    return f"`{_as_yaml(value)}`"


def _as_yaml(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case Component():
            return value.name
        case tuple():
            return f"[{', '.join(map(_as_yaml, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _callbacks() -> Iterable[str]:
    usable = [f"`{name}`" for name in names("callbacks") if refusal("callbacks", name) is None]
    yield "## Callbacks"
    yield f"{', '.join(usable)}, with Keras's own arguments."
    yield CALLBACKS


def _refused_names() -> Iterable[str]:
    rows = [
        [f"`{name}`", f"`{family}`", reason]
        for family in FAMILIES
        for name in names(family)
        if (reason := refusal(family, name)) is not None
    ]
    yield "## What Keras has and an experiment may not use"
    yield _table(["name", "of `keras.…`", "reason"], rows)


# docs/commands.md

COMMANDS_TOP = """\
# The commands

Every command has `-h`. Results go to stdout; progress, messages and errors go to stderr, and so does what callbacks
print. Training shows a line for each epoch, in a terminal a live bar too; `fit.verbose: 2` leaves the bar out, 0 both.
`--quiet` goes further: warnings and errors alone, whatever `fit.verbose` says. The run's `log.txt` has every line. The
start of TensorFlow is held back unless it fails.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | the run failed for a reason that you can mend: data, run directory, checkpoint, memory, a loss that is NaN |
| 2 | the command line or the experiment file is wrong |
| 3 | a bug in kerasrun: the message names the file with the traceback |
| 130, 143 | Ctrl-C (130), SIGTERM or SIGUSR1 (143): saved, and told how to go on; after a second one, as when killed |

**RUN** is the path of a run directory, or its name in the folder of runs (`runs`, or what `-o` says); without it the
newest run is meant.

From Python each of these is one call:

```python
from pathlib import Path

import kerasrun

run = kerasrun.train(Path("configs/lenet_directory.yaml"), overrides=["fit.epochs=3"])
report = kerasrun.evaluate(run, split="validation")
predictions = kerasrun.predict(["data/digits/png/test/7"], model=run.best_model, top=3)
```

`kerasrun.train(path, branch=kerasrun.Branch(run, "best"))` is `train --from`, with `"last"` or the number of an epoch
for the other weights. `kerasrun.resume(run)` takes what `kerasrun.open_run(path)` returns; `kerasrun.load(path)` checks
a file as `validate` does; `kerasrun.dry_run(path)` is `train --dry-run`, `kerasrun.preview(path)` returns the path of
its picture, and `kerasrun.verify(path_or_run)` a report. All of them raise the errors of
[kerasrun/errors.py](../kerasrun/errors.py) and do not end the process. Where nobody has imported TensorFlow, they do:
with oneDNN on x86, without scikit-learn and matplotlib, and so that the garbage collector passes over all that lives
then. Thread counts and `deterministic` can be set once in a process: resume a run of others in a process of its own.
"""

NOTES: Mapping[str, str] = {
    "init": """\
Nothing is ever written over. The path of the new file is printed. A copy of an example names the shipped data where
kerasrun runs from its source, so that it trains as it is; an installed package has the examples, but not the data, and
the copy says where to put the path of yours. `--data` looks at class folders of images, folders of images and of masks,
a folder with MNIST's IDX files, an `.npz` or `.h5` file, a folder with `x_train.npy` and `y_train.npy`, or a text file
of rows (or a folder with `train.csv`), and writes an experiment with a network for what it saw: the kind of labels, the
size of the images (where they differ, one that most of them have at least), whether they are grey, delimiter, header
and columns, what validates. It is a place to begin, not a search for the best network.""",
    "train": """\
The path of the new run is printed on stdout. The first Ctrl-C (or SIGTERM, SIGUSR1) finishes the steps at hand, about
half a second of them, saves everything and ends with 130 (143); a second one ends at once, and nothing is damaged.
In the first epoch on image files, saving waits until all of them were read once; so does a pause at the `time_limit`,
which must be longer than that.
`--from RUN` begins with the weights of another run, by default of its best model: of the network alone, statistics of
batch normalization included; optimizer, random state and epochs begin anew, and pretrained weights are not loaded.
Data, learning rate, augmentation and what is frozen may differ; the layers with weights must have the same names and
shapes, else the first one that differs is named and no run is made. `--epoch N` takes the checkpoint at the end of an
epoch, of which `checkpoint.keep` are kept. `run.json` says where the weights came from; the other run is not needed
afterwards. With `time_limit` it ends before so much time is over, with the run `paused` and exit code 0. `--trust` runs
the code (`Lambda` layers) that the file of a `saved` network brings; `run.json` says so, and `resume`, `evaluate`,
`predict`, `summary` and `plot` must be told as well. `--dry-run` does everything up to one real batch forward and back,
one save and one restore, then removes it.""",
    "resume": """\
With RUN left out, the run that was begun last among those that are not finished. The data must be the same (their
fingerprint is compared; they may have moved: `-s data.directory.path=…`), and so must the versions and the machine;
[exact-resume.md](exact-resume.md#what-a-resume-compares) lists what is compared and what `--accept-changes` accepts.
`-s` may change only `fit.epochs`, `fit.verbose`, `checkpoint`, `cache.memory`, `time_limit`, `device` and where the
data are. A finished run is left as it is, with exit code 0 and a line that says so, and how to add epochs where all of
them are done.""",
    "evaluate": """\
Besides what is printed, `evaluation/<split>.json` and pictures, `plots/<picture>_<split>.png`, are written into the
run. With `--json` one object is printed: `run`, `model`, `epoch`, `split`, `examples`, `metrics` (`loss` and the
experiment's metrics), `pictures` (their paths), and what suits the labels; what is not defined on the split is null.

- Classes: `accuracy`, `classes` (precision, recall, F1 and support of each), `confusion_matrix` (rows are true
  classes); of more than ten, `top_5_accuracy`. Picture: `confusion`.
- Two classes, the second of which is the positive one: `roc_auc`, `average_precision` and `threshold` besides.
  Pictures: `roc`, `precision_recall`.
- `multi_label`: `exact_match`, `macro_f1`, `mean_average_precision`, `threshold`, `labels` (precision, recall, F1,
  support, average precision and ROC area of each). Pictures: `roc`, `precision_recall`.
- `numbers`: `mae`, `rmse`, `r2`, `targets` (mean absolute error, mean squared error, its root and R² of each).
  Picture: `predicted`, against the true values.
- Masks: `pixel_accuracy`, `mean_iou`, `mean_dice`, `classes` (IoU, Dice and pixels of each; the means leave out a
  class that is neither there nor predicted); of two classes, `threshold`. Picture: `overlays`, six examples with their
  true and predicted masks.
- Several outputs: `outputs`, with what suits the labels of each; their names stand in front of those of the pictures.

The area under ROC is that by trapezoids, average precision is Σ (Rₙ − Rₙ₋₁) Pₙ, both as scikit-learn defines them.
`--threshold` is for models of two classes, of several labels at once, and of masks of two classes: what is more
probable is called so, and everything but `metrics` and the areas follows. The data are those of the experiment, where
they were when the run began, or the class folders that `--data` names.""",
    "predict": """\
Folders are read with everything below them; quote a glob if kerasrun and not the shell is to expand it. A model
of the source `csv` takes text files of rows: the columns that were its features, by their names in the header (others
are passed over), or without a header by their numbers, unless the file has no others; a row is called `FILE:LINE`. A
`.npy` file holds examples as any network takes them, (examples, …), or a single one. With `--model` nothing but
that file is needed. By what the model was trained on it says of each example

- its class with a probability (`--top 3`, `--all`: of more classes); JSON has `path`, `class`, `probability`, `top`;
- of `multi_label` the labels above the threshold; JSON has `path`, `labels`, and `values` with the probability of every
  label, CSV a column for each, the table with `--all` too;
- of `numbers` each number; JSON has `path` and `values`;
- of masks where the mask is, and the share of pixels of each class; JSON has `path`, `mask`, `shares`;
- of several outputs the same of each, by the output's name; JSON has `path` and `outputs` with the `values` of each and
  the `class` of one that is a class, CSV columns such as `department.sales`.

Masks are PNG files in the folder `--masks`, called and nested as the images are: class numbers as grey values, with a
palette to be looked at; for two classes 0 and 255. They are as large as the images, brought back from the network's
size by the nearest pixel (and without what `fit_mode: pad` had added), or with `--mask-size input` as the network made
them. A mask that is there already is replaced, an image never.

The outputs are those of `evaluate` to the last bit where both compute on the same device with as many threads and the
same [environment variables](exact-resume.md#what-a-resume-compares): they decode images by the same rules and run
batches of one size through the same graph, with deterministic operations or without as the file says.""",
    "validate": """\
Takes a fraction of a second. What only the data can show is told by `train`, and by `train --dry-run` without
training.""",
    "preview": """\
The examples are those of the first steps of a training, after `augmentation` and `preprocessing`, by one scale for the
whole picture: the line above them has the lowest and highest value that the network gets. Colours are those that the
network sees: VGG16's preprocessing exchanges red and blue. Where examples are no images there is nothing to show.""",
    "verify": """\
Three processes train one after the other, in a folder beside that of the runs which is removed afterwards: the first
trains twice, the second is stopped as by Ctrl-C, the third resumes it. The steps are taken in two or more short epochs
on as many of the training examples as they need, with everything else that the experiment has: augmentation,
validation, callbacks; if one of these ends training before so many steps, that is an error. Every variable of model,
optimizer and metrics is compared bit for bit, at the end `metrics.csv` too: after each step where one is taken at a
time (the first training, and the one that is stopped), after each call of several elsewhere. Exit code 0 if all are
equal; otherwise 1, and a line on stdout for each training that differed: which variable, after which step, and by how
much at the end. With `--json` one object: `exact`, `device`, `devices`, `deterministic`, `steps`, `cut` (after so many
steps), `variables`, `differences` (`training`, `variable`, `when`, `largest`). Of a RUN the resolved experiment, the
thread counts and the environment variables count; its data must be there. The run itself is only read.""",
    "plot": """\
Writes `plots/curves.png` and, with Graphviz, `plots/model.png` into the run; `.svg` with `--format svg`. What the graph
shows is said by the arguments of `keras.utils.plot_model`.""",
    "export": """\
The path of what was written is printed, and the greatest difference from the model's own outputs on up to 100
validation examples (training examples where nothing validates). A difference above what the format allows is exit code
1, and nothing is kept; [export.md](export.md) has the formats with what each allows and needs. A file at `--output` is
replaced, a folder only if it is a SavedModel. With `--json` one object: `path`, `format`, `split`, `examples`,
`difference`, `allowed`.""",
    "runs": """\
`killed` is a run that nobody writes and that did not come to its end; `kerasrun resume` goes on with it.""",
}
"""What the command's own help has no room for."""


def commands_page() -> str:
    """`docs/commands.md`."""
    group: Any = typer.main.get_command(app)
    unknown = NOTES.keys() - group.commands.keys()
    assert not unknown, f"notes on commands that do not exist: {unknown}"
    parts = [part for name, command in group.commands.items() for part in _command(name, command)]
    return _joined(
        MADE, COMMANDS_TOP, *parts, "## Options before the command", _parameters(group), "`kerasrun -q train FILE`"
    )


def _command(name: str, command: Any) -> Iterable[str]:
    help_text, _, example = inspect.cleandoc(command.help).partition("Example: ")
    arguments = [one.metavar for one in command.params if one.param_type_name == "argument"]
    yield f"## `kerasrun {name}`"
    yield help_text.strip()
    yield f"```console\n$ {example.strip()}\n```"
    yield f"`kerasrun {' '.join([name, *arguments, '[OPTIONS]'])}`"
    yield _parameters(command)
    if name in NOTES:
        yield NOTES[name]


def _parameters(command: Any) -> str:
    return _table(
        ["argument or option", "meaning", "default"],
        [[f"`{_spelling(one)}`", one.help, _option_default(one)] for one in command.params],
    )


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return ", ".join([*sorted(parameter.opts, key=len), *parameter.secondary_opts]) + value


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.secondary_opts and parameter.default:
        return f"`{parameter.opts[0]}`"
    return "" if parameter.default in (None, False) else f"`{parameter.default}`"


# Parts of README.md and docs/exact-resume.md

MISTAKES = (
    ("model: LeNet\n", "model: LeNett\n"),
    ("batch_size: 32", "batch_size: many"),
    ("monitor: val_loss", "monitor: val_los"),
)


def with_made_parts(path: Path, parts: Mapping[str, Callable[[], str]]) -> str:
    """A page with the parts that are made from the code."""
    text = path.read_text(encoding="utf-8")
    for name, make in parts.items():
        begin, end = f"<!-- made: {name} -->\n", "<!-- end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        assert len(pattern.findall(text)) == 1, f"{path.name} must have one part {begin.strip()}"
        before, _, after = pattern.sub("\0", text).partition("\0")
        text = before + begin + make() + end + after
    return text


def _compared() -> str:
    rows = [[field.name, field.verdict, field.why] for field in FIELDS]
    return f"\n{_table(['field', 'a difference', 'why'], rows)}\n\n"


def _formats() -> str:
    rows = [
        [
            f"`{name}`",
            inspect.cleandoc(one.__doc__ or ""),
            f"`pip install 'kerasrun[{one.extra}]'`" if one.extra else "",
            "float32 alone" if one.only_float32 else "any precision",
            f"{one.tolerance:.0e}".replace("e-0", "e-") if one.tolerance else "equal bits",
        ]
        for name, one in formats().items()
    ]
    return f"\n{_table(['`--format`', 'file', 'needs', 'holds', 'allowed'], rows)}\n\n"


def _variables() -> str:
    return f"\n{', '.join(f'`{name}`' for name in VARIABLES)}\n\n"


def _example() -> str:
    return f"```yaml\n{EXAMPLE.read_text(encoding='utf-8').rstrip()}\n```\n"


def _mistakes() -> str:
    """What the command line prints for the example with three slips in it."""
    content = EXAMPLE.read_text(encoding="utf-8")
    for right, wrong in MISTAKES:
        assert right in content, f"{EXAMPLE.name} has no {right!r} to make a mistake in"
        content = content.replace(right, wrong, 1)
    try:
        parse(content, "lenet.yaml")
    except ExperimentError as error:
        return f"```console\n$ kerasrun train lenet.yaml\n{error}\n```\n"
    raise AssertionError("the mistakes were not noticed")


# Markdown


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _joined(*parts: str) -> str:
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    main()
