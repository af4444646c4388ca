"""The random changes of `ImageDataGenerator`, for whole batches and as a function of the seed and the step.

The original transforms image after image with SciPy. Here rotation, shift, shear, zoom and flips of an image are one
matrix, and a batch is resampled at once. Two things differ on purpose: the original's matrix is made for (x, y), but it
is given the shifts of (height, width) and the centre of a picture on its side. Here x is the column, as it is meant, so
that `width_shift_range` moves along the width and images that are not squares turn about their middle.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.workers.draws import own_rows

# The numbers that an example draws; the order is part of what a seed means.
_DRAWS = (
    *("rotation", "height", "height_sign", "width", "width_sign", "shear", "zoom_x", "zoom_y"),
    *("horizontal_flip", "vertical_flip", "channel_shift", "brightness"),
)
# A coordinate computed in 32 bits may miss the edge by this much.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Parameters:
    """The random numbers of each example, by the names of the original; every tensor has the shape (batch,)."""

    theta: tf.Tensor
    """Degrees."""
    tx: tf.Tensor
    """Pixels along the width."""
    ty: tf.Tensor
    """Pixels along the height."""
    shear: tf.Tensor
    """Degrees."""
    zx: tf.Tensor
    zy: tf.Tensor
    flip_horizontal: tf.Tensor
    flip_vertical: tf.Tensor
    channel_shift_intensity: tf.Tensor
    brightness: tf.Tensor


class GeneratorAugmentation:
    """The random part of an `ImageDataGenerator`, applied to batches."""

    mixes = False

    def __init__(self, generator: ImageDataGenerator, seed: int, *, blends: bool = False) -> None:
        """
        Args:
            blends: whether masks are images of numbers, not of class numbers.
        """
        self.generator = generator
        self.seed = seed
        self.blends = blends

    def __call__(
        self, images: tf.Tensor, step: tf.Tensor, masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """As `Augmentation.__call__`."""
        height, width = images.shape[1:3]
        return self.transform(images, self.draw(step, tf.shape(images)[0], height, width), masks)

    def draw(self, step: tf.Tensor, examples: tf.Tensor, height: int, width: int) -> Parameters:
        """Draw for each example of a batch of images of this size."""
        key = tf.random.experimental.stateless_fold_in([self.seed, 0], step)
        uniform = own_rows(lambda rows: tf.random.stateless_uniform([rows, len(_DRAWS)], key), examples)
        u = dict(zip(_DRAWS, tf.unstack(uniform, axis=1), strict=True))
        own = self.generator
        low, high = own.zoom
        dark, bright = own.brightness_range or (1.0, 1.0)
        return Parameters(
            theta=_to_both_sides(u["rotation"], own.rotation_range),
            tx=_shift(u["width"], u["width_sign"], own.width_shift_range, width),
            ty=_shift(u["height"], u["height_sign"], own.height_shift_range, height),
            shear=_to_both_sides(u["shear"], own.shear_range),
            zx=low + (high - low) * u["zoom_x"],
            zy=low + (high - low) * u["zoom_y"],
            flip_horizontal=(u["horizontal_flip"] < 0.5) & own.horizontal_flip,
            flip_vertical=(u["vertical_flip"] < 0.5) & own.vertical_flip,
            channel_shift_intensity=_to_both_sides(u["channel_shift"], own.channel_shift_range),
            brightness=dark + (bright - dark) * u["brightness"],
        )

    def transform(
        self, images: tf.Tensor, parameters: Parameters, masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Apply what was drawn to images, float32 of 0 to 255, and to masks of class numbers."""
        own = self.generator
        if self.resamples:
            matrix = _matrix(parameters, *images.shape[1:3])
            images = _resample(images, matrix, own.fill_mode, own.cval, "BILINEAR")
            if masks is not None and self.blends:
                masks = _resample(tf.cast(masks, tf.float32), matrix, own.fill_mode, own.cval, "BILINEAR")
            elif masks is not None:
                masks = _resample(masks, matrix, own.fill_mode, 0, "NEAREST")
        else:
            images = self._flip(images, parameters)
            masks = None if masks is None else self._flip(masks, parameters)
        if own.channel_shift_range:
            lowest = tf.reduce_min(images, axis=[1, 2, 3], keepdims=True)
            highest = tf.reduce_max(images, axis=[1, 2, 3], keepdims=True)
            shifted = images + _each_image(parameters.channel_shift_intensity)
            images = tf.clip_by_value(shifted, lowest, highest)
        if own.brightness_range is not None:
            images = _brighten(images, _each_image(parameters.brightness))
        return images, masks

    @property
    def resamples(self) -> bool:
        """Whether pixels come to lie between pixels; flips alone do not, and take a fraction of the time."""
        own = self.generator
        ranges = own.rotation_range, own.width_shift_range, own.height_shift_range, own.shear_range
        return any(ranges) or own.zoom != (1, 1)

    def _flip(self, images: tf.Tensor, parameters: Parameters) -> tf.Tensor:
        if self.generator.horizontal_flip:
            images = _rows_where(parameters.flip_horizontal, tf.reverse(images, [2]), images)
        if self.generator.vertical_flip:
            images = _rows_where(parameters.flip_vertical, tf.reverse(images, [1]), images)
        return images


def _to_both_sides(u: tf.Tensor, most: float) -> tf.Tensor:
    return (2 * u - 1) * most


def _shift(u: tf.Tensor, sign: tf.Tensor, given: int | float | tuple[int | float, ...], size: int) -> tf.Tensor:
    """Pixels. As the original: one of several values to either side, or a number between both sides."""
    if isinstance(given, tuple):
        choices = np.asarray(given, np.float32)
    elif isinstance(given, int) and given:
        choices = np.arange(given, dtype=np.float32)
    else:
        return _to_both_sides(u, given) * (size if given < 1 else 1)
    # In 32 bits a number just below one may be rounded up to the length.
    place = tf.minimum(tf.cast(u * len(choices), tf.int32), len(choices) - 1)
    chosen = tf.gather(choices, place) * tf.where(sign < 0.5, -1.0, 1.0)
    most = max(given) if isinstance(given, tuple) else given
    return chosen * (size if most < 1 else 1)


def _matrix(parameters: Parameters, height: int, width: int) -> tf.Tensor:
    """Where each pixel (x, y) of the result lies in the image: rows of [a, b, c, d, e, f, 0, 0].

    The product of flips, zoom, shear, shift and rotation about the middle of the image, from right to left:
    x' = a x + b y + c, y' = d x + e y + f.
    """
    theta, shear = (angle * (np.pi / 180) for angle in (parameters.theta, parameters.shear))
    a, b = parameters.zx * tf.cos(theta), -parameters.zy * tf.sin(theta + shear)
    d, e = parameters.zx * tf.sin(theta), parameters.zy * tf.cos(theta + shear)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    c = tf.cos(theta) * parameters.tx - tf.sin(theta) * parameters.ty + middle_x - (a * middle_x + b * middle_y)
    f = tf.sin(theta) * parameters.tx + tf.cos(theta) * parameters.ty + middle_y - (d * middle_x + e * middle_y)
    # A flipped pixel x is looked up at width - 1 - x.
    horizontal, vertical = parameters.flip_horizontal, parameters.flip_vertical
    c, f = c + tf.where(horizontal, a * (width - 1), 0.0), f + tf.where(horizontal, d * (width - 1), 0.0)
    c, f = c + tf.where(vertical, b * (height - 1), 0.0), f + tf.where(vertical, e * (height - 1), 0.0)
    a, d = tf.where(horizontal, -a, a), tf.where(horizontal, -d, d)
    b, e = tf.where(vertical, -b, b), tf.where(vertical, -e, e)
    zero = tf.zeros_like(a)
    return tf.stack([a, b, c, d, e, f, zero, zero], axis=1)


def _resample(images: tf.Tensor, matrix: tf.Tensor, fill_mode: str, fill: float, interpolation: str) -> tf.Tensor:
    """The images at the places that the matrix gives, as `scipy.ndimage.affine_transform` computes them."""
    if fill_mode == "wrap":
        return _resample_wrapped(images, matrix, interpolation)
    height, width = images.shape[1:3]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=matrix,
        output_shape=tf.constant([height, width]),
        fill_value=fill,
        interpolation=interpolation,
        fill_mode=fill_mode.upper(),
    )
    moved = tf.ensure_shape(moved, images.shape)
    if fill_mode != "constant":
        return moved
    # The operator blends the edge with the fill; SciPy fills whatever lies beyond the middle of the last pixel.
    x, y = _places(matrix, height, width)
    inside = (x > -_ROUNDING) & (x < width - 1 + _ROUNDING) & (y > -_ROUNDING) & (y < height - 1 + _ROUNDING)
    pixels = tf.reshape(moved, [-1, images.shape[-1]])
    filled = tf.fill(tf.shape(pixels), tf.cast(fill, images.dtype))
    return tf.reshape(_rows_where(tf.reshape(inside, [-1]), pixels, filled), tf.shape(moved))


def _resample_wrapped(images: tf.Tensor, matrix: tf.Tensor, interpolation: str) -> tf.Tensor:
    """SciPy's `wrap` repeats an image after its size less one; TensorFlow's operator after its size."""
    height, width = images.shape[1:3]
    x, y = _places(matrix, height, width)
    x, y = _wrapped(x, width), _wrapped(y, height)
    if interpolation == "NEAREST":
        return _pixels(images, tf.floor(x + 0.5), tf.floor(y + 0.5))
    left, top = tf.floor(x), tf.floor(y)
    right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
    across, down = (x - left)[..., tf.newaxis], (y - top)[..., tf.newaxis]
    above = _pixels(images, left, top) * (1 - across) + _pixels(images, right, top) * across
    below = _pixels(images, left, bottom) * (1 - across) + _pixels(images, right, bottom) * across
    return above * (1 - down) + below * down


def _places(matrix: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """x and y in the image for each pixel of the result, (batch, height, width)."""
    a, b, c, d, e, f, *_ = (one[:, tf.newaxis, tf.newaxis] for one in tf.unstack(matrix, axis=1))
    x = tf.range(width, dtype=tf.float32)[tf.newaxis, tf.newaxis, :]
    y = tf.range(height, dtype=tf.float32)[tf.newaxis, :, tf.newaxis]
    return a * x + b * y + c, d * x + e * y + f


def _wrapped(place: tf.Tensor, length: int) -> tf.Tensor:
    period = max(length - 1, 1)
    before = period - tf.math.floormod(-place, float(period))
    after = tf.where(place > period, tf.math.floormod(place, float(period)), place)
    return tf.where(place < 0, before, after)


def _pixels(images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    height, width, channels = images.shape[1:]
    rows = tf.reshape(images, [-1, height * width, channels])
    index = tf.reshape(tf.cast(y * width + x, tf.int32), [-1, height * width])
    return tf.reshape(tf.gather(rows, index, batch_dims=1), [-1, height, width, channels])


def _rows_where(chosen: tf.Tensor, rows: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Whole rows of one of two tensors: `tf.where` would compare number by number, and take four times as long."""
    return tf.raw_ops.Select(condition=chosen, x=rows, y=others)


def _brighten(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """As Pillow's `ImageEnhance.Brightness` does it to 8 bits; an alpha channel stays."""
    whole = tf.floor(images)
    changed = tf.floor(tf.clip_by_value(whole * factor, 0.0, 255.0))
    return tf.concat([changed[..., :3], whole[..., 3:]], axis=-1) if images.shape[-1] == 4 else changed


def _each_image(values: tf.Tensor) -> tf.Tensor:
    """(batch,) → (batch, 1, 1, 1)."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]
