"""`augmentation: {ImageDataGenerator: {…}}`: the arguments of `keras.preprocessing.image.ImageDataGenerator`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from kerasrun.components import Kind

NETWORKS = (
    *("convnext", "densenet", "efficientnet", "efficientnet_v2", "inception_resnet_v2", "inception_v3", "mobilenet"),
    *("mobilenet_v2", "mobilenet_v3", "nasnet", "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19", "xception"),
)
"""Modules of `keras.applications` that have a `preprocess_input`."""

STANDARDIZATION = (
    *("preprocessing_function", "rescale", "samplewise_center", "samplewise_std_normalization", "featurewise_center"),
    *("featurewise_std_normalization", "zca_whitening"),
)
"""The arguments that become preprocessing in front of the network, for every split; others change training alone."""

NONE = "None"
"""Python's word for null, as tutorials write it."""
NOT_TAKEN: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "validation_split": ((0,), "expected it in the section 'fit'"),
    "data_format": ((None, NONE, "channels_last"), "expected none: images are channels_last"),
    "dtype": ((None, NONE, "float32"), "expected none: images are float32; see 'precision'"),
    "interpolation_order": ((1,), "expected none: it is 1, bilinear, as by default"),
}
"""Arguments of the original that are said elsewhere, or have one value here: what changes nothing, and the remedy."""

_TUPLE = re.compile(r"\(([^()]*)\)")
_QUOTIENT = re.compile(r"\s*([\d.]+)\s*/\s*([\d.]+)\s*")


def _quotient(value: Any) -> Any:
    """`1./255`, as every tutorial has it; 0 is the original's other word for none."""
    if not isinstance(value, bool) and value == 0:
        return None
    found = _QUOTIENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    try:
        return float(found[1]) / float(found[2])
    except (ValueError, ZeroDivisionError):
        raise ValueError("expected a number, or a quotient of two such as 1./255") from None


def _list(value: Any) -> Any:
    """`(0.8, 1.2)`, which is text in YAML, as the list that Python reads."""
    found = _TUPLE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    items = found[1].strip().removesuffix(",").split(",")
    try:
        return tuple(int(item) if re.fullmatch(r"\s*-?\d+\s*", item) else float(item) for item in items)
    except ValueError:
        raise ValueError("expected a list of numbers: [0.8, 1.2]") from None


def _network(value: Any) -> Any:
    if value is None or value in NETWORKS:
        return value
    raise ValueError(
        f"expected the name of a network whose preprocess_input is meant: {', '.join(NETWORKS)}; a function of one's "
        "own needs Python, which YAML cannot hold"
    )


NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Whether a number is whole decides how it is drawn.
ShiftNumber = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Quotient = Annotated[str, Field(pattern=f"^{_QUOTIENT.pattern}$")]
Shift = Annotated[ShiftNumber | Annotated[tuple[int | Number, ...], Field(min_length=1)], BeforeValidator(_list)]


class ImageDataGenerator(Kind):
    """Keras's former class for augmentation, with its arguments; [augmentation.md](augmentation.md) compares the two.

    The random arguments change training examples only, by one affine transformation an image. `preprocessing_function`,
    `rescale`, `samplewise_…`, `featurewise_…` and `zca_whitening` stand in front of the network instead of its default
    preprocessing, for every split, and are saved with it.
    """

    kind: ClassVar[str] = "ImageDataGenerator"

    rotation_range: NotNegative = 0.0
    """Degrees: the angle is drawn between minus and plus this."""
    width_shift_range: Shift = 0.0
    """Shift to the side: below 1 a share of the width, else pixels; a whole number n draws from 0 to n - 1 pixels, a
    list one of its values, either to both sides."""
    height_shift_range: Shift = 0.0
    """Shift up or down: as `width_shift_range`, of the height."""
    brightness_range: Annotated[tuple[NotNegative, NotNegative] | None, BeforeValidator(_list)] = None
    """Lowest and highest factor of brightness: 1 changes nothing, 0 is black."""
    shear_range: NotNegative = 0.0
    """Degrees: the angle of shear is drawn between minus and plus this."""
    zoom_range: Annotated[Annotated[float, Field(ge=0, lt=1)] | tuple[Positive, Positive], BeforeValidator(_list)] = 0.0
    """Factors of width and of height, drawn apart, between `[lowest, highest]`; a number z is `[1 - z, 1 + z]`."""
    channel_shift_range: NotNegative = 0.0
    """What is added to every pixel is drawn between minus and plus this; the image keeps its lowest and highest
    value."""
    fill_mode: Literal["constant", "nearest", "reflect", "wrap"] = "nearest"
    """What stands beyond the edge of an image."""
    cval: Number = 0.0
    """The value for `fill_mode: constant`; masks get class 0."""
    horizontal_flip: bool = False
    """Mirror left and right, half of the examples."""
    vertical_flip: bool = False
    """Mirror up and down, half of the examples."""
    preprocessing_function: Annotated[
        str | None, BeforeValidator(_network), WithJsonSchema({"enum": [*NETWORKS, None]})
    ] = None
    """The `preprocess_input` of a network of `keras.applications`, by the network's name: `mobilenet`, `vgg16`."""
    rescale: Annotated[Number | None, BeforeValidator(_quotient, json_schema_input_type=Number | _Quotient | None)] = (
        None
    )
    """Every pixel is multiplied by this; `1./255` is read as a number."""
    samplewise_center: bool = False
    """Take the mean of each image from it."""
    samplewise_std_normalization: bool = False
    """Divide each image by its standard deviation; implies `samplewise_center`."""
    featurewise_center: bool = False
    """Take the mean of each channel over the training examples from it."""
    featurewise_std_normalization: bool = False
    """Divide each channel by its standard deviation over the training examples; implies `featurewise_center`."""
    zca_whitening: bool = False
    """Multiply each image with the matrix that whitens the training examples; takes the place of
    `featurewise_std_normalization`, implies `featurewise_center`."""
    zca_epsilon: Positive = 1e-6
    """Added to the singular values before they are divided by."""

    @model_validator(mode="after")
    def _together(self) -> "ImageDataGenerator":
        """Refuse what the original computes otherwise than it is meant, or cannot compute."""
        other = "preprocessing_function" if self.preprocessing_function else "samplewise_center"
        if self.centers_features and (self.preprocessing_function or self.centers_samples):
            raise ValueError(
                f"expected {other} without featurewise_center, featurewise_std_normalization and zca_whitening: the "
                "original measures the training examples before it, so that its statistics are not theirs"
            )
        if self.brightness_range and self.fill_mode == "constant" and not 0 <= self.cval <= 255:
            raise ValueError("expected a cval of 0 to 255 with brightness_range, which works on pixels of 8 bits")
        return self

    @property
    def augments(self) -> bool:
        """Return whether it changes training examples."""
        numbers = self.rotation_range, self.shear_range, self.channel_shift_range
        shifts = self.width_shift_range, self.height_shift_range
        flips = self.horizontal_flip, self.vertical_flip
        return any((*numbers, *shifts, *flips)) or self.zoom != (1, 1) or self.brightness_range is not None

    @property
    def standardizes(self) -> bool:
        """Return whether it says how the network's input is made."""
        return any(getattr(self, name) not in (None, False) for name in STANDARDIZATION)

    @property
    def centers_samples(self) -> bool:
        return self.samplewise_center or self.samplewise_std_normalization

    @property
    def centers_features(self) -> bool:
        return self.featurewise_center or self.featurewise_std_normalization or self.zca_whitening

    @property
    def scales_features(self) -> bool:
        return self.featurewise_std_normalization and not self.zca_whitening

    @property
    def zoom(self) -> tuple[float, float]:
        """Lowest and highest factor."""
        if isinstance(self.zoom_range, tuple):
            return self.zoom_range
        return 1 - self.zoom_range, 1 + self.zoom_range
