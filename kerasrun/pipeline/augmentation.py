"""Random changes to training examples, by Keras's own layers, as a function of the seed and the step.

Keras's random layers draw from a `SeedGenerator`, a variable that counts its calls: prefetched batches would move it
ahead of training, and a resumed run would have to replay it. Here each layer is handed a generator without state,
whose draws follow from (seed, step, layer, draw).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from kerasrun.components import Component
from kerasrun.errors import DeviceError, KerasrunError, ModelError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.schema import MIXING, Experiment
from kerasrun.keras_catalogue import canonical
from kerasrun.keras_objects import build
from kerasrun.pipeline.image_data_generator import GeneratorAugmentation
from kerasrun.reading.data import Split
from kerasrun.workers.draws import own_rows

# It chooses its layers with Python's own random numbers, once for all steps of a graph.
NOT_REPEATABLE = ("AugMix",)

# Noise, by which Keras regularizes networks; of images it makes those that a network learns to clean.
NOISE = ("Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D")
# What layers that compute pixels between pixels inherit.
_TO_THE_NEAREST_PIXEL = keras.layers.RandomRotation.transform_segmentation_masks
# Where the graph does not know how many images a batch has, Keras takes one: all become the first.
NEEDS_KNOWN_BATCH = ("RandomElasticTransform",)
# Keras does not say what this one does to masks; it changes contrast alone.
LEAVES_MASKS = ("ContrastLimitedAdaptiveHistogramEqualization",)


class Augmentation(Protocol):
    """A change of a batch of training examples, as a function of the step."""

    @property
    def mixes(self) -> bool:
        """Whether examples of a batch are mixed, which needs all of it, and their labels."""

    def __call__(
        self, images: tf.Tensor, step: tf.Tensor, masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Change a batch of images, and their masks with them.

        Args:
            images: float32 (batch, height, width, channels), values 0 to 255.
            masks: class numbers, uint8 (batch, height, width, 1), or images of numbers; None where there are none.
                Where examples are mixed, their labels: float32 (batch, labels).
        """


def augmentation_of(experiment: Experiment, split: Split, *, blends: bool = False) -> Augmentation | None:
    """Return what the experiment asks for; None where examples stay as they are.

    Args:
        split: the examples that train.
        blends: whether labels that change with them are images of numbers, not masks of class numbers.

    Raises:
        ModelError: if a layer cannot serve, or does not take such examples.
    """
    generator = experiment.augmentation
    made: GeneratorAugmentation | LayerAugmentation | None = None
    shape, targets = split.inputs.example_shape, _moved_shape(split)
    alone = experiment.augment == "input" and targets is not None
    if isinstance(generator, ImageDataGenerator):
        made = GeneratorAugmentation(generator, experiment.seed, blends=blends) if generator.augments else None
        if made and made.resamples and not alone and targets and targets[:2] != shape[:2]:
            raise _of_other_size("ImageDataGenerator", shape, targets)
    elif generator:
        unit = 255.0 if split.inputs.dtype == "uint8" else 1.0
        made = layers = LayerAugmentation(generator, experiment.seed, blends=blends, unit=unit)
        layers.check(shape, None if alone else targets)
    return OfInputs(made) if made and alone else made


def _moved_shape(split: Split) -> tuple[int, ...] | None:
    """Return the shape of the targets of a split that change with its examples; None where they do not."""
    return None if hasattr(split.labels, "ndim") else tuple(split.labels.example_shape)


@dataclass(frozen=True)
class OfInputs:
    """A change of the examples alone, whose targets stay as they were."""

    augmentation: Augmentation
    mixes = False

    def __call__(
        self, images: tf.Tensor, step: tf.Tensor, masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """As `Augmentation.__call__`."""
        return self.augmentation(images, step)[0], masks


def _of_other_size(layer: str, shape: tuple[int, ...], targets: tuple[int, ...]) -> ModelError:
    return ModelError(
        f"augmentation: {layer} moves pixels of images of {shape[0]}×{shape[1]}, but their targets have "
        f"{targets[0]}×{targets[1]}: take only flips and changes of colour, or set augment: input"
    )


class LayerAugmentation:
    """Keras's image augmentation layers, applied in order to a batch."""

    def __init__(self, components: Sequence[Component], seed: int, *, blends: bool = False, unit: float = 1.0) -> None:
        """
        Args:
            blends: whether masks are images of numbers.
            unit: the number for which noise has 1: 255 for bytes.

        Raises:
            ModelError: if a layer is not one that augments images, or its draws cannot be repeated.
        """
        self.seed = seed
        self.blends = blends
        self.unit = unit
        self.layers = []
        for number, component in enumerate(components):
            with _placed(number):
                self.layers.append(_augmentation_layer(component))
        self.mixes = any(type(layer).__name__ in MIXING for layer in self.layers)

    def check(self, shape: tuple[int, ...], targets: tuple[int, ...] | None = None) -> None:
        """Try two examples of this shape, with targets of another shape or without.

        Raises:
            ModelError: if a layer does not take such examples, or gives them another shape.
        """
        some = None if targets is None else tf.zeros((2, *targets), tf.float32 if self.blends else tf.uint8)
        for number, layer in enumerate(self.layers):
            with _placed(number):
                self._check_layer(layer, shape, some)

    def _check_layer(self, layer: Any, shape: tuple[int, ...], some: tf.Tensor | None) -> None:
        try:
            with missing_kernels_explained():
                changed, moved = self._transform(layer, tf.zeros((2, *shape)), tf.constant([0, 0]), some)
                given = tuple(changed.shape[1:])
        except (KerasrunError, MemoryError, tf.errors.ResourceExhaustedError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ModelError(f"augmentation: {layer.name} does not take examples of shape {shape}: {reason}") from error
        moves = moved is not some and type(layer).__name__ != "RandomFlip"
        if some is not None and moves and some.shape[1:3] != shape[:2]:
            raise _of_other_size(layer.name, shape, tuple(some.shape[1:]))
        if given != tuple(shape):
            raise ModelError(
                f"augmentation: {layer.name} makes examples of shape {given} from {shape}, but the network takes "
                f"{shape} in evaluation too; set image_size in the data section instead"
            )

    def __call__(
        self, images: tf.Tensor, step: tf.Tensor, masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """As `Augmentation.__call__`."""
        key = tf.random.experimental.stateless_fold_in([self.seed, 0], step)
        for position, layer in enumerate(self.layers):
            own = tf.random.experimental.stateless_fold_in(key, position)
            images, masks = self._transform(layer, images, own, masks)
        return images, masks

    def _transform(
        self, layer: Any, images: tf.Tensor, key: tf.Tensor, masks: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        draws = _Draws(key)
        if type(layer).__name__ in NOISE:
            vars(layer)["seed_generator"] = draws  # past Keras, which would count it among the layer's variables
            return layer.call(images / self.unit, training=True) * self.unit, masks
        if type(layer).__name__ in NEEDS_KNOWN_BATCH and images.shape[0] is None:
            return self._transform_one_by_one(layer, images, key, masks)
        # RandAugment and RandomColorJitter ask for their own generator whatever `seed=` is.
        layer._get_seed_generator = lambda backend=None: draws
        transformation = layer.get_random_transformation(images, training=True, seed=draws)
        if masks is not None and type(layer).__name__ not in LEAVES_MASKS:
            # RandomElasticTransform draws while it transforms: the same for an image and its mask.
            drawn = draws.count
            masks = self._moved(layer, masks, transformation)
            draws.count = drawn
        return layer.transform_images(images, transformation, training=True), masks

    def _transform_one_by_one(
        self, layer: Any, images: tf.Tensor, key: tf.Tensor, masks: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        given = [images] if masks is None else [images, masks]

        def one(numbers: tuple[tf.Tensor, tf.Tensor]) -> list[tf.Tensor]:
            row, in_batch = numbers
            own = tf.random.experimental.stateless_fold_in(key, in_batch)
            image, *mask = (tf.ensure_shape(some[row : row + 1], [1, *some.shape[1:]]) for some in given)
            changed = self._transform(layer, image, own, mask[0] if mask else None)
            return [some[0] for some in changed if some is not None]

        form = [tf.TensorSpec(some.shape[1:], some.dtype) for some in given]
        rows = tf.shape(images)[0]
        changed = tf.map_fn(one, (tf.range(rows), own_rows(tf.range, rows)), fn_output_signature=form)
        return changed[0], changed[1] if masks is not None else None

    def _moved(self, layer: Any, masks: tf.Tensor, transformation: Any) -> tf.Tensor:
        if self.mixes:  # labels, not masks
            return layer.transform_labels(masks, transformation, training=True)
        floats = tf.cast(masks, tf.float32)  # which every layer takes
        if self.blends and type(layer).transform_segmentation_masks is _TO_THE_NEAREST_PIXEL:
            return layer.transform_images(floats, transformation, training=True)
        # To the nearest pixel, so that they stay whole numbers.
        moved = layer.transform_segmentation_masks(floats, transformation, training=True)
        if moved is floats:
            return masks
        return moved if self.blends else tf.cast(moved, tf.uint8)


class _Draws(keras.random.SeedGenerator):  # type: ignore[misc]
    """A seed generator whose n-th draw is a function of its key: it owns no variable."""

    def __init__(self, key: tf.Tensor) -> None:
        self._key = key
        self.count = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        del ordered
        self.count += 1
        return tf.random.experimental.stateless_fold_in(self._key, self.count)


def _augmentation_layer(component: Component) -> Any:
    # Under mixed precision too: raw pixels are rounded to whole numbers in 16 bits.
    layer = build("layers", Component(component.name, {"dtype": "float32", **component.arguments}))
    if component.name in NOT_REPEATABLE:
        raise ModelError(
            f"augmentation: {component.name} draws from random state of its own, so that a resumed run could not "
            "repeat it; list the layers that it combines, or take RandAugment"
        )
    if canonical("layers", component.name) not in NOISE and not hasattr(layer, "get_random_transformation"):
        raise ModelError(
            f"augmentation: {component.name} does not augment images; layers that belong to the network go into model: "
            "{layers: …}"
        )
    return layer


@contextmanager
def _placed(number: int) -> Iterator[None]:
    """Say of an error which layer of the section it is about."""
    try:
        yield
    except ModelError as error:
        raise ModelError(str(error), ("augmentation", number)) from error


@contextmanager
def missing_kernels_explained() -> Iterator[None]:
    """Say what to do where TensorFlow refuses an operation because it must be deterministic.

    Raises:
        DeviceError: if an operation of the block has no deterministic kernel on its device.
    """
    try:
        yield
    except tf.errors.UnimplementedError as error:
        reason = " ".join((error.message or "").split())
        if "determinis" not in reason.lower():
            raise
        raise DeviceError(
            f"TensorFlow cannot compute this deterministically here: {reason} Set deterministic: false to do without "
            "(a resumed run may then end with other bits), or use other layers"
        ) from error
