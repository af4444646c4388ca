"""VGG16's convolutions with a head of one's own, for fine-tuning."""

import difflib
import os
import warnings
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import ModelError
from kerasrun.models._contract import Network, Output, require_images

CONVOLUTIONS_PER_BLOCK = (2, 2, 3, 3, 3)
CONVOLUTIONS = tuple(
    f"block{block}_conv{number}"
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK, start=1)
    for number in range(1, count + 1)
)
IMAGENET_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"


class VGG16(Network):
    """The 13 convolutions of VGG16 (Simonyan, Zisserman 2015, arXiv:1409.1556) and a new head for one's own classes."""

    kind: ClassVar[str] = "VGG16"

    weights: Literal["imagenet"] | ExperimentPath | None = "imagenet"
    """`imagenet` (through Keras's own download and cache), the path of a `.h5` file in its layout, or null."""
    trainable: bool | str = False
    """Whether the convolutions learn; a name (`block5_conv1`) freezes everything before it."""
    pooling: Literal["avg", "max"] | None = None
    """Global pooling after the convolutions; null flattens them."""
    head: tuple[Annotated[int, Field(ge=1)], ...] = (256,)
    """Units of the dense layers between the convolutions and the output."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of units dropped after each layer of the head in training; 0 adds no layer."""

    @field_validator("weights", mode="before")
    @classmethod
    def _keep_the_name(cls, value: Any) -> Any:
        """`imagenet` is a name, so it must not be read as a path."""
        return "imagenet" if value == "imagenet" else value

    @field_validator("trainable")
    @classmethod
    def _name_a_convolution(cls, value: bool | str) -> bool | str:
        if isinstance(value, str) and value not in CONVOLUTIONS:
            near = difflib.get_close_matches(value, CONVOLUTIONS, n=1)
            raise ValueError(
                f"expected true, false or one of {', '.join(CONVOLUTIONS)}"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        return value

    def preprocess(self, inputs: Any) -> Any:
        """RGB to BGR, minus the mean colour of ImageNet, not scaled: as the weights were trained."""
        from keras.applications import vgg16

        require_images(inputs, "VGG16", least=32, channels=3)
        return vgg16.preprocess_input(inputs)

    def build(self, inputs: Any, output: Output) -> Any:
        from keras import applications, layers

        require_images(inputs, "VGG16", least=32, channels=3)
        base = applications.VGG16(include_top=False, weights=None, input_tensor=inputs, pooling=self.pooling)
        frozen = _frozen(self.trainable)
        for name in CONVOLUTIONS:
            base.get_layer(name).trainable = name not in frozen
        x = base.output
        if self.pooling is None:
            x = layers.Flatten(name="flatten")(x)
        for number, units in enumerate(self.head, start=1):
            x = layers.Dense(units, activation="relu", name=f"head{number}")(x)
            if self.dropout:
                x = layers.Dropout(self.dropout, name=f"dropout{number}")(x)
        return output.layer()(x)

    def load_pretrained(self, model: Any) -> None:
        if self.weights is None:
            return
        pretrained = _imagenet() if self.weights == "imagenet" else _local(Path(self.weights))
        for name in CONVOLUTIONS:
            model.get_layer(name).set_weights(pretrained.get_layer(name).get_weights())


def _frozen(trainable: bool | str) -> tuple[str, ...]:
    if isinstance(trainable, bool):
        return () if trainable else CONVOLUTIONS
    return CONVOLUTIONS[: CONVOLUTIONS.index(trainable)]


def _imagenet() -> Any:
    from keras import applications

    try:
        return applications.VGG16(include_top=False, weights="imagenet")
    except Exception as error:  # Keras's get_file raises a bare Exception where the download fails
        folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
        raise ModelError(
            f"VGG16's ImageNet weights are not at hand: {folder / IMAGENET_FILE} is missing or damaged, and Keras "
            f"could not download it ({error}). Put {IMAGENET_FILE} into {folder} by hand, or set weights: to the path "
            "of a .h5 file in the same layout, or weights: null to begin with random weights"
        ) from error


def _local(path: Path) -> Any:
    from keras import applications

    if not path.is_file():
        raise ModelError(f"{path}: no such weights file; set model.VGG16.weights to a .h5 file, imagenet or null")
    if not path.name.endswith(".h5"):
        raise ModelError(f"{path}: Keras reads VGG16's weights from a file that ends in .h5")
    try:
        # Where a file lacks a layer, Keras warns and leaves that layer's random weights; that is not what was asked.
        with warnings.catch_warnings(action="error", category=UserWarning):
            return applications.VGG16(include_top=False, weights=str(path))
    except (ValueError, OSError, KeyError, UserWarning) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: these are not the weights of VGG16 without its top: {reason}") from error
