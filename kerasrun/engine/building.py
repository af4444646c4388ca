"""Build and compile the Keras model of an experiment, with all of its variables."""

import logging
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrun import plugins
from kerasrun.components import Component, snake_case
from kerasrun.engine.columns import Columns
from kerasrun.engine.devices import Device
from kerasrun.engine.job import Job
from kerasrun.engine.own_draws import own_draws
from kerasrun.engine.prepared import Prepared
from kerasrun.engine.scaled_arrays import scaled_as
from kerasrun.engine.scaled_targets import in_units, scaled_loss
from kerasrun.engine.shard_pass import cannot_synchronize, differences
from kerasrun.engine.stages import check_trainable, choose_trainable, experiment_of
from kerasrun.engine.standardization import are_pixels, chunks, is_adapted, standardize, statistics
from kerasrun.errors import KerasrunError, ModelError, within_memory
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.outputs import by_name, outputs_of
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import canonical, identifiers
from kerasrun.keras_objects import build
from kerasrun.models.base import Network, free_name, refusal_explained, sentence, told_size
from kerasrun.network_layers import layers_after
from kerasrun.network_size import counted, gigabytes, has_gpu, largest_output, weights_within
from kerasrun.pipeline.augmentation import augmentation_of, missing_kernels_explained
from kerasrun.reading.data import INPUT, Data, Inputs, RowFormat, Split
from kerasrun.reading.memory import available_memory
from kerasrun.tasks.arrays import Arrays
from kerasrun.tasks.base import Targets, Task, task_named
from kerasrun.tasks.several_outputs import several_targets
from kerasrun.workers.team import Team

logger = logging.getLogger("kerasrun")


def build_job(prepared: Prepared, device: Device, *, pretrained: bool, shards: int | None = None) -> Job:
    """Build and compile the experiment's network for its data.

    Everything random follows from the experiment's seed: the same experiment gives the same variables.

    Args:
        pretrained: put pretrained weights in; a model that is restored from a checkpoint does without.
        shards: into how many parts each batch is cut; by default one for each process that trains.

    Raises:
        KerasrunError: if the network or the augmentation does not fit the data, classes, last layer and loss contradict
            each other, or a batch is too small for the shards.
    """
    experiment = prepared.experiment
    team = Team(device.place, shards or device.place.count, device.names[0])
    if team.share:
        team.share.check(len(prepared.train), experiment.fit.batch_size)
    _set_up(experiment)
    with weights_within():
        model, targets, layers = _build(experiment, prepared.data, prepared.train, pretrained, team.shards)
    if team.share and (layer := cannot_synchronize(model, experiment)):
        kind = type(layer).__name__
        raise ModelError(
            f"{kind} '{layer.name}': a BatchNormalization within it cannot have synchronized: true with shards; "
            "take it out (it may be a layer of the network, of a network within it, or of TimeDistributed), or set "
            "synchronized: false",
            _place_of(layer, model, experiment),
        )
    if team.share and team.leads:
        for difference in differences(model, experiment):
            logger.info("%s", difference)
    augmentation = augmentation_of(experiment, prepared.train, blends=targets.task.blends)
    if team.share and plugins.in_use():
        for place in own_draws(model, augmentation, prepared.train.inputs.example_shape):
            if team.leads:
                logger.warning(
                    "%s: draws for each shard by itself: other numbers with other shards, and by tf.random with other "
                    "workers too; keras.random draws for the whole batch, but for a shuffle of its examples",
                    place,
                )
    return Job(
        **vars(prepared),
        device=device,
        team=team,
        model=model,
        targets=targets,
        layers=layers,
        augmentation=augmentation,
    )


def preprocessing_model(experiment: Experiment, train: Inputs) -> Any:
    """Build only what is in front of the network.

    Raises:
        ModelError: if it does not fit the examples.
    """
    _set_up(experiment)
    name = experiment.data.input_names[0]
    inputs = keras.Input(train.example_shape, dtype="float32", name=name)
    return keras.Model(inputs, _preprocess(experiment, name, inputs, inputs, train))


def _set_up(experiment: Experiment) -> None:
    keras.utils.clear_session()
    keras.utils.set_random_seed(experiment.seed)
    keras.config.set_dtype_policy(experiment.precision)


def _build(
    experiment: Experiment, data: Data, split: Split, pretrained: bool, shards: int
) -> tuple[Any, Targets, Sequence[Any]]:
    train = dict(zip(experiment.data.input_names, (split.inputs, *split.others.values()), strict=True))
    inputs = {name: keras.Input(one.example_shape, dtype="float32", name=name) for name, one in train.items()}
    loss = experiment.compile.loss
    task = task_named(data.label_kind).of(split)
    output = task.output(len(data.classes), loss if isinstance(loss, Component) else None)
    row_format = data.row_format
    typed = None if row_format is None or row_format.is_plain else row_format
    *_, rows = train  # of several inputs the last is the row
    x = {
        name: _columns(experiment, name, one, typed, train[name])
        if typed and name == rows
        else _preprocess(experiment, name, one, one, train[name])
        for name, one in inputs.items()
    }
    if _measures(experiment):
        data.require_read()  # the statistics are kept with the run, so they must be those of its fingerprint
    # As TensorFlow takes it: ASCII letters, digits and few signs.
    name = "model_" + re.sub(r"[^A-Za-z0-9_]", "_", experiment.name)
    several = len(x) > 1
    given = x if several else x[INPUT]
    try:
        built = experiment.model.build(given, output)
        model = keras.Model(list(inputs.values()) if several else inputs[INPUT], built, name=name)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise ModelError(f"model: its weights do not fit into memory{told_size(error)}") from error
    except ValueError as error:
        if twice := re.search(r'The name "(.+)" is used \d+ times', str(error)):
            expected = "expected another name: this one is in use in what stands before or behind it"
            raise ModelError(f"a second layer called '{twice[1]}'; {expected}", _named(twice[1], experiment)) from error
        raise ModelError(f"model: Keras cannot build this network: {error}") from error
    if pretrained:
        experiment.model.load_pretrained(model, given)
    # Vectors of a table's categories are the network's as well; beside an image they learn whatever is frozen.
    layers = layers_after(inputs[INPUT] if typed and not several else list(x.values()), model.output)
    _require_ids(experiment, train)
    _require_memory(model, min(experiment.fit.batch_size, len(split)))
    check_trainable(experiment, layers)
    choose_trainable(experiment, layers, 0)
    if task.form:
        first = next(iter(train))
        task = Arrays(
            scaled_as(keras.Model(inputs[first], x[first]), task.form, bytes_in=train[first].dtype == np.uint8)
        )
    targets = model_targets(model, experiment, len(data.classes), task)
    if experiment.fit.scale_targets:
        model = in_units(model, split.label_array)
    targets.task.check_labels(data)
    try:
        _compile(model, experiment_of(experiment, 0), targets, shards)
    except _CannotComputeError as error:
        raise ModelError(str(error), _place_of(error.layer, model, experiment)) from error
    return model, targets, layers


class _CannotComputeError(ModelError):
    """A layer was built, but what it computes with examples fails."""

    def __init__(self, message: str, layer: Any) -> None:
        super().__init__(message)
        self.layer = layer


def _place_of(layer: Any, model: Any, experiment: Experiment) -> tuple[str, int | str] | None:
    """Return the section of a layer that the experiment lists and its place there; None for any other layer."""
    written = [
        (canonical("layers", component.name), section, place)
        for section, components in (
            ("preprocessing", experiment.preprocessing_layers),
            ("model", [entry.component for entry in getattr(experiment.model, "layers", ())]),
        )
        for place, component in enumerate(components)
        if component.name in identifiers("layers")
    ]
    kind = type(layer).__name__
    alike = [one for one in model.layers if type(one).__name__ == kind]
    places = [(section, place) for name, section, place in written if name == kind]
    number = alike.index(layer) if layer in alike else len(places)
    return places[number] if number < len(places) else None


def _named(name: str, experiment: Experiment) -> tuple[str, int | str] | None:
    """Return the section and the place of the layer that the experiment gives a name; None if it gives it to none."""
    preprocessing = [component.arguments.get("name") for component in experiment.preprocessing_layers]
    network = [entry.name for entry in getattr(experiment.model, "layers", ())]
    sections = (("preprocessing", preprocessing), ("model", network))
    return next(((section, names.index(name)) for section, names in sections if name in names), None)


def _require_ids(experiment: Experiment, train: Mapping[str, Inputs]) -> None:
    """Refuse negative and broken numbers for an `Embedding`: Keras counts from its end, and cuts off what is broken.

    Raises:
        ModelError: with the value and the layer, where it takes the examples as they are.
    """
    for place, entry in enumerate(getattr(experiment.model, "layers", ())):
        taken = entry.inputs[0] if entry.inputs else INPUT if place == 0 else None
        name = entry.component.name
        if taken is None or name not in identifiers("layers") or canonical("layers", name) != "Embedding":
            continue
        of_input = train.get(taken)
        if of_input is not None and not experiment.preprocessing_of(taken) and of_input.dtype != np.uint8:
            for examples in chunks(of_input):
                wrong = examples[(examples < 0) | (examples % 1 != 0)]
                if len(wrong):
                    raise ModelError(
                        f"Embedding takes whole numbers from 0, but the data hold {wrong[0]:g}", ("model", place)
                    )


def _require_memory(model: Any, batch_size: int) -> None:
    """Refuse a network of which a layer's numbers for a single batch do not fit into memory: TensorFlow would crash.

    Raises:
        ModelError: with the layer and the arithmetic.
    """
    if has_gpu():
        return
    count, layer = largest_output(model)
    # Its numbers and their gradients, and the gradients of the weights.
    needed = 4 * (2 * batch_size * count + sum(math.prod(weight.shape) for weight in model.trainable_weights))
    if needed > (available := available_memory()):
        raise ModelError(
            f"the layer '{layer}' gives {batch_size} × {counted(count)} = {counted(batch_size * count)} numbers for a "
            f"batch, {gigabytes(batch_size * count)} as float32, and their gradients take as much; "
            f"{available / 1e9:,.0f} GB are free: make it smaller, or fit.batch_size"
        )


def model_targets(model: Any, experiment: Experiment, classes: int, task: Task) -> Targets:
    """Decide which form labels need for a network's loss, or losses.

    Args:
        classes: how many classes, labels or numbers there are.
        task: that of the labels, where the network has one output.

    Raises:
        ModelError: if labels, last layer, activation and loss contradict each other; one sentence with the fix.
    """
    if outputs := outputs_of(experiment):
        return several_targets(model, outputs, classes)
    loss = experiment.compile.loss
    targets = task.targets_for(model, classes, loss if isinstance(loss, Component) else None)
    return replace(targets, ignores=experiment.data.ignores, mixed=bool(experiment.mixing))


def begin_stage(job: Job, stage: int) -> None:
    """Bring the model into a stage, counted from zero: other layers learn, with a new optimizer."""
    with weights_within():
        choose_trainable(job.experiment, job.layers, stage)
        _compile(job.model, experiment_of(job.experiment, stage), job.targets, job.team.shards)


def _compile(model: Any, experiment: Experiment, targets: Targets, shards: int) -> None:
    compile_model(model, experiment, targets, shards)
    _create_every_variable(model, targets)


def compile_model(model: Any, experiment: Experiment, targets: Targets, shards: int = 1) -> None:
    """Give the model its optimizer, loss and metrics, each metric under an explicit name.

    Raises:
        ModelError: if Keras refuses the optimizer, or XLA is asked for what it cannot compile.
    """
    written = experiment.compile.metrics
    metrics = by_name(written if isinstance(written, tuple) else targets.task.default_metrics)
    of_outputs = targets.task.compile_arguments(targets, metrics)
    if experiment.fit.scale_targets:
        of_outputs["loss"] = scaled_loss(of_outputs["loss"], model)
    jit_compile = _jit_compile(experiment.compile.jit_compile)
    obstacle = _obstacle_to_xla(experiment, targets, shards)
    if obstacle and jit_compile is not False:
        if jit_compile is True:
            raise ModelError(f"compile.jit_compile: XLA cannot {obstacle}; set it to auto")
        jit_compile = False
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model doesn't support `jit_compile=True`")
        try:
            optimizer = build("optimizers", experiment.compile.optimizer)
        except ModelError as error:
            raise ModelError(str(error), ("compile", "optimizer")) from error
        model.compile(optimizer=optimizer, jit_compile=jit_compile, **of_outputs)
    if jit_compile is True and not model.jit_compile:
        raise ModelError("compile.jit_compile: XLA cannot compile this network on this device; set it to auto")


def _obstacle_to_xla(experiment: Experiment, targets: Targets, shards: int) -> str | None:
    if targets.ignores:
        return f"leave out the pixels of data.{experiment.data.kind}.ignore"
    return "hold what several processes compute together" if shards > 1 else None


def _jit_compile(asked: bool | str) -> bool | str:
    """Choose what Keras is asked for; by itself it would look at all GPUs of the machine, not at those that are used.

    | `auto` on    | XLA                                                                              |
    | ------------ | -------------------------------------------------------------------------------- |
    | CPU          | no: a small CNN is several times slower with it                                  |
    | a GPU        | as Keras: if every layer can, and operations need not be deterministic           |
    | shards       | no: it cannot hold what several processes compute together                       |
    """
    return False if asked == "auto" and not tf.config.get_visible_devices("GPU") else asked


def _columns(experiment: Experiment, name: str, inputs: Any, row_format: RowFormat, train: Inputs) -> Any:
    """Put gaps and categories of a table in front of the network, and preprocessing for its numbers.

    Raises:
        ModelError: if there is preprocessing, but nothing that it could be applied to.
    """
    # Numbers in units of their own, and those of categories, are too large for 16 bits.
    keras.config.set_dtype_policy("float32")
    columns = Columns(row_format, inputs, train)
    if columns.numbers is None and experiment.preprocessing_of(name):
        raise ModelError("preprocessing: is for numbers, but every column is a category: leave it out")
    numbers = columns.numbers
    x = columns.joined(numbers if numbers is None else _preprocess(experiment, name, inputs, numbers, train))
    keras.config.set_dtype_policy(experiment.precision)
    return x


def _preprocess(experiment: Experiment, name: str, inputs: Any, x: Any, train: Inputs) -> Any:
    """Put preprocessing in front of the network: as written, else as the network needs it, else [0, 1] for images.

    Args:
        name: that of the input.
        x: what it is applied to, which is the model's input itself or computed from it.
    """
    is_first = name == experiment.data.input_names[0]
    generator = experiment.augmentation
    if isinstance(generator, ImageDataGenerator) and generator.standardizes and is_first:
        return standardize(generator, x, train)
    written = experiment.preprocessing_of(name)
    if written is not None:
        for number, component in written:
            taken = experiment.model.taken_names()
            alike = snake_case(component.name)
            if "name" not in component.arguments and any(re.fullmatch(rf"{alike}(_\d+)?", one) for one in taken):
                free = free_name(f"preprocessing_{number + 1}", taken)
                component = Component(component.name, {**component.arguments, "name": free})
            x = _applied(component, number, inputs, x, train)
        return x
    are_bytes = train.dtype == np.uint8
    # All examples are read for it, so only a network that has preprocessing of its own asks.
    has_own = type(experiment.model).preprocess is not Network.preprocess
    own = experiment.model.preprocess(x) if are_bytes or (has_own and are_pixels(train)) else x
    if own is None:
        return keras.layers.Rescaling(1 / 255, name="rescaling")(x) if are_bytes else x
    return own


def _applied(component: Component, number: int, inputs: Any, x: Any, train: Inputs) -> Any:
    """Apply a layer of `preprocessing`; a `Normalization` without statistics takes those of the examples that train.

    Raises:
        ModelError: if Keras refuses it; with the layer and Keras's own words.
    """
    try:
        if is_adapted(component):
            measured = statistics(keras.Model(inputs, x), train, component.arguments.get("axis", -1))
            component = Component(component.name, {**component.arguments, **measured})
        with refusal_explained(component.name, tuple(x.shape[1:])):
            return build("layers", component)(x)
    except ModelError as error:
        raise ModelError(f"preprocessing: layer {number + 1}: {error}", ("preprocessing", number)) from error


def _measures(experiment: Experiment) -> bool:
    """Return whether preprocessing needs statistics of the training examples."""
    if isinstance(experiment.augmentation, ImageDataGenerator) and experiment.augmentation.standardizes:
        return True
    return any(map(is_adapted, experiment.preprocessing_layers))


def _create_every_variable(model: Any, targets: Targets) -> None:
    """Create the variables that optimizers, losses and metrics make when first used; a restore must find them all."""
    advice = "take an optimizer that keeps fewer (SGD), or a smaller network"
    with within_memory("compile.optimizer: what it keeps for each weight", advice):
        model.optimizer.build(model.trainable_variables)
    # One more example than classes: targets of a wrong shape cannot pass by broadcasting.
    examples = targets.classes + 1
    first = tuple(model.inputs[0].shape[1:])
    y = targets.task.zeros(examples, first[:2] if len(first) == 3 else first[:1], targets)
    x = keras.tree.map_structure(lambda one: np.zeros((examples, *one.shape[1:]), np.float32), model.input)
    try:
        with missing_kernels_explained():
            y_pred = model(x, training=False)
    except KerasrunError:
        raise
    except Exception as error:
        if plugins.in_use() or isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
            raise  # what is raised in a plugin is explained with its line
        layer = _first_that_fails(model, x)
        shapes = " and ".join(str(tuple(one.shape[1:])) for one in model.inputs)
        raise _CannotComputeError(
            f"{type(layer).__name__ if layer else 'the network'} cannot compute on examples of shape {shapes}: "
            f"{sentence(error)}",
            layer,
        ) from error
    if targets.ignores and getattr(y_pred, "_keras_mask", None) is not None:
        raise ModelError(
            "the network leaves out steps by itself (mask_zero, Masking), and `ignore` does so by their labels: keep "
            "one of the two"
        )
    try:
        with missing_kernels_explained():
            model.compute_loss(x=x, y=y, y_pred=y_pred, training=False)
            values = model.compute_metrics(x=x, y=y, y_pred=y_pred)
    except (KerasrunError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        if plugins.in_use() and not isinstance(error, ValueError | TypeError | tf.errors.OpError):
            raise  # as above
        raise ModelError(f"the loss or a metric does not take this network's output: {error}") from error
    if several := [name for name, value in values.items() if tf.size(value) != 1]:
        raise ModelError(
            f"the metric {several[0]} gives several values, but the logs hold one number: set average: macro (F1Score, "
            "FBetaScore), class_aggregation: uniform_average (R2Score), or a single threshold (Precision, Recall, …)"
        )
    model.reset_metrics()


def _first_that_fails(model: Any, x: Any) -> Any:
    """Return the first layer that cannot compute its output of examples."""
    for layer in model.layers:
        try:
            keras.Model(model.input, layer.output)(x, training=False)
        except Exception:  # noqa: BLE001  whatever a layer of Keras raises
            return layer
    return None
