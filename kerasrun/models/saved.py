"""`model: {saved: {path: …}}`: a network from a file, with or without its weights, and with a new head if wanted."""

import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import ModelError, is_full_memory
from kerasrun.keras_configs import refusal
from kerasrun.models._architecture import parsed, preprocesses, read_architecture
from kerasrun.models.base import Network, free_name, sentence, with_head, without_head
from kerasrun.network_layers import derive_state, freeze, layers_after
from kerasrun.reading.archives import check_weights
from kerasrun.reading.data import INPUT
from kerasrun.run_files import RunFile
from kerasrun.tasks.base import Output

logger = logging.getLogger("kerasrun")

_NOT_FOUND = re.compile(r"Could not locate (class|function) '(\w+)'|Unknown (\w+): '(\w+)'")  # .keras and .json, .h5
COLOR_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}


class Saved(Network):
    """A Sequential or functional network that was saved by Keras or by kerasrun, or only its architecture.

    Code in a file (such as a `Lambda` layer) is refused unless the command line has `--trust`.

    Its architecture is kept in the run's `resolved.yaml`, so that the run does not need the file. Default preprocessing
    (see below) is left out where the network begins with its own: `Rescaling`, `Normalization` or arithmetic.
    """

    kind: ClassVar[str] = "saved"
    takes_several = True

    path: ExperimentPath
    """A model file (`.keras`, `.h5`), a run, of which the best model is taken, or an architecture (`.json` as
    `model.to_json()` writes it, `.yaml` the same). With `drop_last: 1` it is a backbone for other classes."""
    architecture: str | None = None
    """The network as JSON; filled in from the file."""
    weights: Literal["saved"] | ExperimentPath | None = "saved"
    """`saved`, those of the file (an architecture has none, and begins at random); a file of weights (`.weights.h5`,
    `.h5`, `.keras`); or null, to begin at random."""
    by_name: bool = False
    """Whether the weights of a `.h5` file are matched by the layers' names, others staying random."""
    skip_mismatch: bool = False
    """Whether layers of other shapes than those in the file of weights stay random."""
    trainable: bool | str = True
    """Whether the layers learn; the name of a layer freezes everything before it."""
    drop_last: int = Field(0, ge=0)
    """How many layers are taken off the end; the output layer that the labels need is then added."""
    head: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Units of dense layers between the network and the output layer."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of units dropped in training after each layer of the head, before the output where there is none; 0 adds
    no layer."""

    _trusted: bool = PrivateAttr(False)
    """Whether code in the file may run; no key, so that no experiment of someone else can say so."""

    @field_validator("path")
    @classmethod
    def _of_run(cls, value: Path) -> Path:
        return value / RunFile.BEST_MODEL if value.is_dir() else value

    @field_validator("weights", mode="before")
    @classmethod
    def _keep_the_name(cls, value: Any) -> Any:
        """`saved` is a name, so it must not be read as a path."""
        return "saved" if value == "saved" else value

    @field_validator("by_name", "skip_mismatch")
    @classmethod
    def _with_a_file(cls, value: bool, info: ValidationInfo) -> bool:
        weights = info.data.get("weights")
        if value and not isinstance(weights, Path):
            raise ValueError("expected false, or a file of weights: that is what it is about")
        if value and info.field_name == "by_name" and str(weights).endswith((".weights.h5", ".keras")):
            raise ValueError("expected false: Keras matches by name only in .h5 files of the older layout")
        return value

    def is_there(self) -> bool:
        return self.path.exists()

    def settled(self, *, trust: bool = False) -> Self:
        key = ("model", "saved")
        try:
            architecture = self.architecture or read_architecture(self.path)
            config = parsed(architecture)
        except ModelError as error:
            raise ModelError(str(error), key) from error
        if not trust and (why := refusal(config, self.path)):
            raise ModelError(why, key)
        settled = self.model_copy(update={"architecture": architecture})
        settled._trusted = trust
        return settled

    def preprocess(self, inputs: Any) -> Any | None:
        return inputs if preprocesses(self._config()) else None

    def build(self, inputs: Any, output: Output) -> Any:
        import keras

        given = _by_name(inputs)
        whole = self._rebuilt(given)
        names = self._matched(whole, given)
        kept = self._kept(whole)
        ends = [kept[-1].output] if self.drop_last else whole.outputs
        if len(ends) > 1:
            raise ModelError(f"{self.path.name}: a network of several outputs; take off with drop_last what parts them")
        tensors = []
        for wanted, name in zip(whole.inputs, names, strict=True):
            x = given[name]
            if len(wanted.shape) < len(x.shape):  # grey images without their channel
                taken = self.taken_names()
                named = {"name": free_name("reshape", taken)} if "reshape" in taken else {}
                x = keras.layers.Reshape(wanted.shape[1:], **named)(x)
            tensors.append(x)
        several = len(tensors) > 1
        x = keras.Function(whole.inputs if several else whole.inputs[0], ends[0]).call(
            tensors if several else tensors[0]
        )
        freeze(layers_after(inputs, x), self.trainable, self.kind)
        if not (self.drop_last or self.head):
            return x
        return with_head(x, self.head, self.dropout, output, self.kind, {layer.name for layer in kept})

    def taken_names(self) -> set[str]:
        return set(re.findall(r'"name": "([^"]+)"', self.architecture or ""))

    def check_trainable(self, trainable: bool | str) -> None:
        """Its layers are known once its file is read."""
        del trainable

    def set_trainable(self, layers: Sequence[Any], trainable: bool | str) -> None:
        """Choose which layers of the file's network learn; a new head always does."""
        has_head = self.drop_last or self.head
        freeze(without_head(layers, self.head) if has_head else layers, trainable, self.kind)

    @property
    def _weights_file(self) -> Path | None:
        if self.weights != "saved":
            return self.weights
        return self.path if self.path.suffix in (".keras", ".h5") else None

    def check_weights(self) -> None:
        path = self._weights_file
        if path is not None and not path.is_file():
            raise ModelError(f"{path}: no such file of weights")
        if path is not None and path.suffix not in (".keras", ".h5"):
            raise ModelError(f"{path}: Keras reads weights from a file that ends in .weights.h5, .h5 or .keras")

    def load_pretrained(self, model: Any, inputs: Any) -> None:
        path = self._weights_file
        if path is None:
            return
        self.check_weights()
        whole = self._rebuilt(_by_name(inputs))
        self._load_weights(whole, path)
        own = {layer.name: layer for layer in layers_after(inputs, model.output)}
        for layer in self._kept(whole):
            if layer.weights and layer.name in own:  # a branch that led to what was taken off is gone with it
                own[layer.name].set_weights(layer.get_weights())
        derive_state(own.values())

    def _rebuilt(self, inputs: Mapping[str, Any]) -> Any:
        """The whole network of the file, with random weights, for inputs by their names."""
        import keras

        try:
            model = keras.saving.deserialize_keras_object(self._config(), safe_mode=not self._trusted)
            if not model.built:
                model.build((None, *next(iter(inputs.values())).shape[1:]))
        except MemoryError:
            raise
        except Exception as error:  # Keras believes a config, and fails in every way where it is wrong
            if own := _NOT_FOUND.search(str(error)):
                kind, name = own[1] or own[3].lower(), own[2] or own[4]
                raise ModelError(
                    f"{self.path.name} needs the {kind} '{name}', which is not Keras's: name the Python file that has "
                    "it under plugins:"
                ) from error
            raise ModelError(f"{self.path.name}: Keras cannot rebuild this network: {sentence(error)}") from error
        return model

    def _matched(self, model: Any, inputs: Mapping[str, Any]) -> list[str]:
        """Return for each input of the network, by its name or else its shape, which of the experiment's it takes.

        Raises:
            ModelError: if they are not made for each other.
        """
        if len(model.inputs) != len(inputs):
            an_example = f"{len(inputs)}: {', '.join(inputs)}" if len(inputs) > 1 else "one"
            several = f"{len(model.inputs)} inputs" if len(model.inputs) > 1 else "one input"
            raise ModelError(f"{self.path.name}: a network of {several}, but an example is {an_example}")
        shapes = {name: tuple(one.shape[1:]) for name, one in inputs.items()}
        wanted = {one.name: tuple(one.shape[1:]) for one in model.inputs}
        found = list(wanted) if wanted.keys() == shapes.keys() else []
        for shape in () if found else wanted.values():
            found += [name for name in shapes if name not in found and _fits(shape, shapes[name])][:1]
        if len(found) == len(wanted) and all(map(_fits, wanted.values(), map(shapes.__getitem__, found))):
            return found
        if len(wanted) > 1:
            raise ModelError(
                f"{self.path.name} takes inputs of the shapes {_said(wanted)}, but these are {_said(shapes)}"
            )
        (shape,), (received,) = wanted.values(), shapes.values()
        raise ModelError(
            f"{self.path.name} takes examples of the shape {shape}, but these have {received}{_hint(shape, received)}"
        )

    def _config(self) -> dict[str, Any]:
        assert self.architecture is not None, "a network is settled before it is built"
        return parsed(self.architecture)

    def _kept(self, whole: Any) -> list[Any]:
        layers = list(whole.layers)
        if self.drop_last >= len(layers):
            raise ModelError(f"model.saved.drop_last: {self.drop_last}, but the network has {len(layers)} layers")
        return layers[: len(layers) - self.drop_last]

    def _load_weights(self, whole: Any, path: Path) -> None:
        options = {"by_name": True} if self.by_name else {}
        try:
            check_weights(path)
            if self.by_name:
                _check_names(whole, path)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                whole.load_weights(path, skip_mismatch=self.skip_mismatch, **options)
        except Exception as error:  # Keras believes a file, and fails in every way where it is wrong
            if is_full_memory(error):
                raise
            raise ModelError(f"{path}: these are not the weights of {self.path.name}: {sentence(error)}") from error
        for warning in caught:
            if issubclass(warning.category, UserWarning):
                logger.warning("%s: %s", path, sentence(warning.message))


def _by_name(inputs: Any) -> Mapping[str, Any]:
    return inputs if isinstance(inputs, Mapping) else {INPUT: inputs}


def _said(shapes: Mapping[str, tuple[int | None, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _fits(wanted: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    """Return whether a network takes examples of a shape; grey images may be without their channel."""
    if shape[-1] == 1 and len(wanted) == len(shape) - 1:
        shape = shape[:-1]
    return len(wanted) == len(shape) and all(a in (None, b) for a, b in zip(wanted, shape, strict=True))


def _hint(wanted: tuple[int | None, ...], shape: tuple[int, ...]) -> str:
    if len(wanted) != 3 or len(shape) != 3:
        return ""
    keys = []
    if None not in wanted[:2] and wanted[:2] != shape[:2]:
        keys.append(f"image_size: [{wanted[0]}, {wanted[1]}]")
    if wanted[2] != shape[2] and wanted[2] in COLOR_MODES:
        keys.append(f"color_mode: {COLOR_MODES[wanted[2]]}")
    return f"; set {' and '.join(keys)} in the data section" if keys else ""


def _check_names(whole: Any, path: Path) -> None:
    from kerasrun.reading.hdf5 import Contents

    with Contents(path) as contents:
        there = set(contents.file.get("model_weights", contents.file))
    here = [layer.name for layer in whole.layers if layer.weights]
    if not there & set(here):
        raise ValueError(f"no layer there is called {', '.join(here)}; there are {', '.join(sorted(there))}")
