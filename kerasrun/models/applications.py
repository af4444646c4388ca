"""Every network of `keras.applications` by its name, with a custom head, for fine-tuning."""

import difflib
import functools
import importlib
import math
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model, field_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import ModelError, is_full_memory
from kerasrun.keras_catalogue import Parameter
from kerasrun.models._keras_applications import Application, application
from kerasrun.models._keras_applications import application_names as kind_names  # noqa: F401  see components
from kerasrun.models.base import (
    Network,
    image_and_row,
    refuse_masks,
    require_image_shape,
    require_images,
    sentence,
    with_head,
    without_head,
)
from kerasrun.network_layers import derive_state, freeze, layers_after
from kerasrun.reading.archives import check_weights
from kerasrun.reading.data import LabelKind, Shape
from kerasrun.tasks.base import Output, task_named

MANY = "a network of keras.applications"
OWN_MEANINGS = {
    "alpha": "Width of the network: so many times the filters in each layer.",
    "depth_multiplier": "Filters of each depthwise convolution for one channel.",
    "minimalistic": "Without squeeze-and-excite blocks, hard-swish and 5×5 convolutions.",
    "include_preprocessing": "Whether the network's first layers scale pixels of 0 to 255; else nothing does.",
}
"""What the arguments that not every network has mean; others are known by name alone."""


class FineTuned(Network):
    """The convolutions of a network of `keras.applications` and a new head for your own classes.

    Columns beside the image (`features` of `image_table`) join what the convolutions give, in front of the head.
    """

    takes_several = True
    application: ClassVar[Application]

    weights: Literal["imagenet"] | ExperimentPath | None = "imagenet"
    """`imagenet` (through Keras's own download and cache), the path of a `.h5` file in its layout, or null."""
    trainable: bool | str = False
    """Whether the convolutions learn; the name of a layer freezes everything before it."""
    pooling: Literal["avg", "max"] | None = None
    """Global pooling after the convolutions; null flattens them."""
    head: tuple[Annotated[int, Field(ge=1)], ...] = (256,)
    """Units of the dense layers between the convolutions and the output."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of units dropped in training after each layer of the head, before the output where there is none; 0 adds
    no layer."""

    @field_validator("weights", mode="before")
    @classmethod
    def _are_weights(cls, value: Any) -> Any:
        """Refuse what cannot be a file of weights."""
        if isinstance(value, str) and value != "imagenet" and not value.endswith(".h5"):
            raise ValueError("expected imagenet, the path of a .h5 file, or null")
        return value

    @field_validator("trainable")
    @classmethod
    def _name_a_layer(cls, value: bool | str) -> bool | str:
        if expected := cls._expected(value):
            raise ValueError(expected)
        return value

    @classmethod
    def _expected(cls, trainable: bool | str) -> str | None:
        """What is expected instead of a name that no layer has; None where that is not known."""
        layers = cls.application.layers
        if not isinstance(trainable, str) or layers is None or trainable in layers:
            return None
        near = difflib.get_close_matches(trainable, layers, n=1)
        return f"expected true, false or one of {', '.join(layers)}" + (f"; did you mean {near[0]}?" if near else "")

    def check_examples(self, shape: Shape, labels: LabelKind) -> None:
        refuse_masks(self.kind, per_pixel=task_named(labels).per_pixel and len(shape) > 1)
        require_image_shape(shape, self.kind, self.application.least, channels=3)

    def preprocess(self, inputs: Any) -> Any:
        """As the weights were trained; several networks have their own layers for it and take pixels as they are."""
        require_images(inputs, self.kind, self.application.least, channels=3)
        return importlib.import_module(self.application.module).preprocess_input(inputs)

    def build(self, inputs: Any, output: Output) -> Any:
        image, row = image_and_row(inputs)
        require_images(image, self.kind, self.application.least, channels=3)
        base = self._base(include_top=False, weights=None, input_tensor=image, pooling=self.pooling)
        freeze(layers_after(image, base.output), self.trainable, self.kind)
        x = self._scaled_once_more(base) if self.weights == "imagenet" else base.output
        return with_head(x, self.head, self.dropout, output, self.kind, row=row)

    def check_weights(self) -> None:
        path, name = self.weights, self.kind
        if not isinstance(path, Path):
            return
        if not path.is_file():
            raise ModelError(f"{path}: no such weights file; set model.{name}.weights to a .h5 file, imagenet or null")

    def check_trainable(self, trainable: bool | str) -> None:
        if expected := self._expected(trainable):
            raise ModelError(f"{self.kind} has no layer '{trainable}'; {expected}")

    def set_trainable(self, layers: Sequence[Any], trainable: bool | str) -> None:
        """Choose which of the convolutions learn; the head always does."""
        freeze(without_head(layers, self.head), trainable, self.kind)

    def load_pretrained(self, model: Any, inputs: Any) -> None:
        if self.weights is None:
            return
        self.check_weights()
        shape = tuple(image_and_row(inputs)[0].shape[1:])
        pretrained = self._imagenet(shape) if self.weights == "imagenet" else self._local(Path(self.weights), shape)
        own = [layer for layer in layers_after(inputs, model.output) if layer.weights]
        own = own[: len(own) - len(self.head) - 1]
        there = [layer for layer in pretrained.layers if layer.weights][: len(own)]
        for layer, trained in zip(own, there, strict=True):
            layer.set_weights(trained.get_weights())
        derive_state(own)

    def _base(self, **arguments: Any) -> Any:
        from keras import applications

        own = {one.name: getattr(self, one.name) for one in self.application.own}
        return getattr(applications, self.kind)(**own, **arguments)

    def _scaled_once_more(self, base: Any) -> Any:
        """EfficientNet was trained with pixels divided by the deviation where Keras divides by its root.

        Keras mends that with a layer that it adds for its own weights alone; here they are loaded later.
        """
        from keras import Model, layers

        if self.application.module != "keras.applications.efficientnet":
            return base.output
        normalized = next(layer for layer in base.layers if isinstance(layer, layers.Normalization)).output
        scale = [1 / math.sqrt(deviation) for deviation in (0.229, 0.224, 0.225)]
        return Model(normalized, base.output).call(layers.Rescaling(scale, name="rescaling_imagenet")(normalized))

    def _imagenet(self, shape: tuple[int, ...]) -> Any:
        try:
            with warnings.catch_warnings(action="error", category=UserWarning):
                # Of another size than those that weights were trained on, Keras takes those for 224×224.
                warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
                return self._base(include_top=False, weights="imagenet", input_shape=shape)
        except Exception as error:  # Keras's get_file raises a bare Exception where the download fails
            file = _looked_for(error)
            if file is None:
                raise ModelError(f"model.{self.kind}: {sentence(error)}") from error
            raise ModelError(
                f"{self.kind}'s ImageNet weights are not at hand: {file} is missing or damaged, and Keras could not "
                f"download it ({sentence(error)}). Put {file.name} into {file.parent} by hand, or set weights: to "
                "the path of a .h5 file in the same layout, or weights: null to begin with random weights"
            ) from error

    def _local(self, path: Path, shape: tuple[int, ...]) -> Any:
        layouts: list[dict[str, Any]] = [{"include_top": False, "input_shape": shape}, {"include_top": True}]
        errors = []
        try:
            check_weights(path)
        except Exception as error:  # of a damaged file h5py raises anything
            if is_full_memory(error):
                raise
            raise ModelError(f"{path}: {sentence(error)}") from error
        for layout in layouts:
            try:
                # Where a file lacks a layer, Keras warns and leaves that layer's random weights.
                with warnings.catch_warnings(action="error", category=UserWarning):
                    return self._base(weights=str(path), **layout)
            except Exception as error:  # Keras believes a file, and fails in every way where it is wrong
                if is_full_memory(error):
                    raise
                errors.append(error)
        raise ModelError(
            f"{path}: these are not the weights of {self.kind}, neither without its top nor with it: "
            f"{sentence(errors[0])}"
        ) from errors[0]


@functools.cache
def kind(name: str) -> type[FineTuned]:
    """The kind for a network of `keras.applications`, with the arguments that only it has.

    Raises:
        KeyError: if Keras has no such network.
    """
    found = application(name)
    fields: dict[str, Any] = {one.name: _field(one, name) for one in found.own}
    made = create_model(name, __base__=FineTuned, __module__=__name__, **fields)
    made.kind, made.application = name, found
    made.__doc__ = f"`keras.applications.{name}` without its top, and a new head for your own classes."
    return made


def _field(parameter: Parameter, network: str) -> tuple[type, Any]:
    default = parameter.plain_default
    limits: dict[str, Any] = {} if isinstance(default, bool) else {"ge": 1} if isinstance(default, int) else {"gt": 0}
    meaning = OWN_MEANINGS.get(parameter.name, f"As in `keras.applications.{network}`.")
    field: Any = Field(default, description=meaning, **limits)
    return type(default), field


def _looked_for(error: Exception) -> Path | None:
    """The file of Keras's cache that was wanted, which no message of Keras names; None where none was."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "get_file":
            return Path(frame.f_locals["download_target"])
    return None
