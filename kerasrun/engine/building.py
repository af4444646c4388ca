"""Build and compile the Keras model of an experiment, with all of its variables."""

import contextlib
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrun.components import Component
from kerasrun.engine import devices
from kerasrun.engine.devices import Device
from kerasrun.engine.job import Job
from kerasrun.engine.labels import encode_masks
from kerasrun.engine.prepared import Prepared
from kerasrun.engine.several_outputs import AnyTargets, OutputTargets, SeveralTargets, check_columns, several_targets
from kerasrun.engine.stages import check_trainable, choose_trainable, experiment_of
from kerasrun.engine.standardization import standardize
from kerasrun.engine.targets import Targets, targets_for, wanted_output
from kerasrun.errors import ModelError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.metric_names import by_name, default_metrics
from kerasrun.experiment.outputs import outputs_of
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import canonical
from kerasrun.keras_objects import build
from kerasrun.network_layers import layers_after
from kerasrun.pipeline.augmentation import augmentation_of
from kerasrun.pipeline.determinism import missing_kernels_explained
from kerasrun.reading.data import Data, Inputs, LabelKind

ONE_HOT_METRICS = ("CategoricalAccuracy", "CategoricalCrossentropy", "TopKCategoricalAccuracy")
CLASS_NUMBER_METRICS = ("BinaryIoU", "IoU", "MeanIoU")


def build_job(prepared: Prepared, device: Device, *, pretrained: bool) -> Job:
    """Build and compile the experiment's network for its data.

    Everything random follows from the experiment's seed: the same experiment gives the same variables.

    Args:
        pretrained: put pretrained weights in; a model that is restored from a checkpoint does without.

    Raises:
        KerasrunError: if the network or the augmentation does not fit the data, classes, last layer and loss contradict
            each other, or a batch is too small for the devices.
    """
    experiment = prepared.experiment
    strategy = devices.strategy(device, len(prepared.train), experiment.fit.batch_size)
    _set_up(experiment)
    with _scope(strategy):
        model, targets, layers = _build(experiment, prepared.data, prepared.train.inputs, pretrained)
    masks = targets.kind == "masks"
    augmentation = augmentation_of(experiment, tuple(model.input.shape[1:]), masks=masks)
    return Job(
        **vars(prepared),
        device=device,
        strategy=strategy,
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
    inputs = keras.Input(train.example_shape, dtype="float32", name="input")
    return keras.Model(inputs, _preprocess(experiment, inputs, train))


def _set_up(experiment: Experiment) -> None:
    keras.utils.clear_session()
    # The experiment decides, not the settings that a user keeps in keras.json.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.utils.set_random_seed(experiment.seed)
    keras.config.set_dtype_policy(experiment.precision)


def _build(
    experiment: Experiment, data: Data, train: Inputs, pretrained: bool
) -> tuple[Any, AnyTargets, Sequence[Any]]:
    inputs = keras.Input(train.example_shape, dtype="float32", name="input")
    loss = experiment.compile.loss
    output = wanted_output(len(data.classes), loss if isinstance(loss, Component) else None, data.label_kind)
    x = _preprocess(experiment, inputs, train)
    if _measures(experiment):
        data.require_read()  # the statistics are kept with the run, so they must be those of its fingerprint
    try:
        model = keras.Model(inputs, experiment.model.build(x, output), name=_identifier(experiment.name))
    except ValueError as error:  # such as two layers of one name
        raise ModelError(f"model: Keras cannot build this network: {error}") from error
    if pretrained:
        experiment.model.load_pretrained(model, x)
    layers = layers_after(x, model.output)
    check_trainable(experiment, layers)
    choose_trainable(experiment, layers, 0)
    targets = model_targets(model, experiment, len(data.classes), data.label_kind)
    if isinstance(targets, SeveralTargets):
        check_columns(targets, data)
    _compile(model, experiment_of(experiment, 0), targets)
    return model, targets, layers


def model_targets(model: Any, experiment: Experiment, classes: int, kind: LabelKind) -> AnyTargets:
    """Decide which form labels need for a network's loss, or losses.

    Args:
        classes: how many classes, labels or numbers there are.

    Raises:
        ModelError: if labels, last layer, activation and loss contradict each other; one sentence with the fix.
    """
    if outputs := outputs_of(experiment):
        return several_targets(model, outputs, classes, kind)
    loss = experiment.compile.loss
    return targets_for(model, classes, loss if isinstance(loss, Component) else None, kind)


def begin_stage(job: Job, stage: int) -> None:
    """Bring the model into a stage, counted from zero: other layers learn, with a new optimizer."""
    with _scope(job.strategy):
        choose_trainable(job.experiment, job.layers, stage)
        _compile(job.model, experiment_of(job.experiment, stage), job.targets)


def _scope(strategy: Any) -> AbstractContextManager[Any]:
    """Return the scope in which a strategy makes variables; one that does nothing without a strategy."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def _compile(model: Any, experiment: Experiment, targets: AnyTargets) -> None:
    compile_model(model, experiment, targets)
    _create_every_variable(model, targets)


def compile_model(model: Any, experiment: Experiment, targets: AnyTargets) -> None:
    """Give the model its optimizer, loss and metrics, each metric under an explicit name."""
    of_outputs = _of_several(targets) if isinstance(targets, SeveralTargets) else _of_one(experiment, targets)
    jit_compile = _jit_compile(experiment.compile.jit_compile)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model doesn't support `jit_compile=True`")
        optimizer = build("optimizers", experiment.compile.optimizer)
        model.compile(optimizer=optimizer, jit_compile=jit_compile, **of_outputs)
    if jit_compile is True and not model.jit_compile:
        raise ModelError("compile.jit_compile: XLA cannot compile this network on this device; set it to auto")


def _jit_compile(asked: bool | str) -> bool | str:
    """Choose what Keras is asked for; by itself it would look at all GPUs of the machine, not at those that are used.

    | `auto` on    | XLA                                                                              |
    | ------------ | -------------------------------------------------------------------------------- |
    | CPU          | no: a small CNN is several times slower with it                                  |
    | a GPU        | as Keras: if every layer can, and operations need not be deterministic           |
    | several GPUs | as Keras: no                                                                     |
    """
    return False if asked == "auto" and not tf.config.get_visible_devices("GPU") else asked


def _of_one(experiment: Experiment, targets: Targets) -> dict[str, Any]:
    """Build the loss and the metrics of one output, as arguments of `Model.compile`."""
    written = experiment.compile.metrics
    metrics = by_name(written if isinstance(written, tuple) else default_metrics(targets.kind))
    return {
        "loss": build("losses", targets.loss),
        "metrics": [_metric(metric, name, targets) for name, metric in metrics.items()],
    }


def _of_several(targets: SeveralTargets) -> dict[str, Any]:
    """Build the loss and the metrics of several outputs, as arguments of `Model.compile`."""
    from kerasrun.outputs import OutputLoss, OutputMetric, OutputsLoss

    parts = targets.parts
    losses = [build("losses", part.output.loss) for part in parts]
    metrics = [
        OutputMetric(_metric_of(part, metric, name), part.begin, part.end, name)
        for part in parts
        for name, metric in part.output.metrics.items()
    ]
    return {
        "loss": OutputsLoss(losses, [part.end - part.begin for part in parts], [part.output.weight for part in parts]),
        "metrics": metrics,
        # Among those that weights of examples are passed to, which count in a loss.
        "weighted_metrics": [
            OutputLoss(loss, part.begin, part.end, part.output.loss_name)
            for part, loss in zip(parts, losses, strict=True)
        ],
    }


def _metric_of(part: OutputTargets, component: Component, name: str) -> Any:
    try:
        return _metric(component, name, part.targets)
    except ModelError as error:
        raise ModelError(f"the output '{part.output.name}': {error}") from error


def _preprocess(experiment: Experiment, inputs: Any, train: Inputs) -> Any:
    """Put preprocessing in front of the network: as written, else as the network needs it, else [0, 1] for images."""
    if _measures(experiment):
        assert isinstance(experiment.augmentation, ImageDataGenerator)
        return standardize(experiment.augmentation, inputs, train)
    if experiment.preprocessing is not None:
        x = inputs
        for component in experiment.preprocessing:
            x = build("layers", component)(x)
        return x
    if train.dtype != np.uint8:
        return inputs
    own = experiment.model.preprocess(inputs)
    return keras.layers.Rescaling(1 / 255, name="rescaling")(inputs) if own is None else own


def _measures(experiment: Experiment) -> bool:
    """Return whether preprocessing needs statistics of the training examples."""
    return isinstance(experiment.augmentation, ImageDataGenerator) and experiment.augmentation.standardizes


def _metric(component: Component, name: str, targets: Targets) -> Any:
    kind = _for_targets(component.name, targets)
    _check_metric(kind, targets)
    arguments = {**component.arguments, "name": name}
    if kind == "BinaryAccuracy" and targets.from_logits:
        arguments.setdefault("threshold", 0.0)  # where the sigmoid is a half
    if kind == "DiceCoef":
        arguments.setdefault("from_logits", targets.from_logits)
    return build("metrics", Component(kind, arguments))


def _check_metric(name: str, targets: Targets) -> None:
    """Keras takes targets of another form without a word, and gives numbers that mean nothing."""
    one_hot = targets.one_hot
    if targets.kind == "numbers":
        _check_metric_of_numbers(name)
        return
    if name.startswith("Sparse") and not targets.sparse:
        wants, instead = "class numbers", "accuracy" if targets.units == 1 else name.removeprefix("Sparse")
    elif name in ONE_HOT_METRICS and not one_hot:
        wants, instead = "one-hot targets", "accuracy" if targets.units == 1 else f"Sparse{name}"
    elif name in CLASS_NUMBER_METRICS:
        wants, instead = "class numbers on both sides", "OneHotMeanIoU"
    else:
        return
    given = "one-hot" if one_hot else "class numbers" if targets.sparse else "one 0 or 1 each"
    raise ModelError(
        f"compile.metrics: {name} compares {wants}, but with {targets.loss.name} on {targets.classes} classes the "
        f"targets are {given}: take {instead}"
    )


def _check_metric_of_numbers(name: str) -> None:
    if name == "DiceCoef":
        raise ModelError("compile.metrics: DiceCoef compares masks, but the labels are numbers")
    if name.endswith("Accuracy") or "Categorical" in name or name in CLASS_NUMBER_METRICS:
        raise ModelError(
            f"compile.metrics: {name} counts right classes, but the labels are numbers: take mean_absolute_error, "
            "mean_squared_error or R2Score"
        )


def _for_targets(name: str, targets: Targets) -> str:
    """Keras's `accuracy` and `crossentropy` stand for one of three classes, by what the targets look like."""
    kind = {"accuracy": "Accuracy", "acc": "Accuracy", "crossentropy": "Crossentropy", "ce": "Crossentropy"}.get(name)
    if kind is None:
        return canonical("metrics", name)
    if targets.units == 1 or targets.kind == "multi_label":
        return f"Binary{kind}"
    return f"SparseCategorical{kind}" if targets.sparse else f"Categorical{kind}"


def _create_every_variable(model: Any, targets: AnyTargets) -> None:
    """Create the variables that optimizers, losses and metrics make when first used; a restore must find them all."""
    model.optimizer.build(model.trainable_variables)
    # One more example than classes: targets of a wrong shape cannot pass by broadcasting.
    examples = targets.classes + 1
    y = _any_labels(targets, examples, model.input.shape[1:3])
    x = np.zeros((examples, *model.input.shape[1:]), np.float32)
    with missing_kernels_explained():
        y_pred = model(x, training=False)
    try:
        with missing_kernels_explained():
            model.compute_loss(x=x, y=y, y_pred=y_pred, training=False)
            values = model.compute_metrics(x=x, y=y, y_pred=y_pred)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ModelError(f"the loss or a metric does not take this network's output: {error}") from error
    if several := [name for name, value in values.items() if tf.size(value) != 1]:
        raise ModelError(
            f"the metric {several[0]} gives a value for each class, but the logs hold one number: set average: macro"
        )
    model.reset_metrics()


def _any_labels(targets: AnyTargets, examples: int, size: tuple[int, ...]) -> Any:
    """Labels of as many examples, encoded."""
    if isinstance(targets, Targets) and targets.kind == "masks":
        return encode_masks(targets, tf.zeros((examples, *size, 1), tf.uint8))
    shape = (examples,) if targets.kind == "classes" else (examples, targets.classes)
    return targets.encode(np.zeros(shape, np.int64))


def _identifier(name: str) -> str:
    """Return the experiment's name as TensorFlow takes it: ASCII letters, digits and few signs."""
    return "model_" + re.sub(r"[^A-Za-z0-9_]", "_", name)
