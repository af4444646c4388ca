"""Begin a new run with the weights of another one: find the file that has them, and fit them to the network.

Light to import, and to find the file: a missing run is reported before TensorFlow is loaded.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from kerasrun import model_file
from kerasrun.errors import CheckpointError, ModelError, RunDirectoryError
from kerasrun.network_layers import derive_state
from kerasrun.regular_files import sha256_of_file
from kerasrun.runs import checkpoints, directory
from kerasrun.runs.directory import RunDirectory, model_of
from kerasrun.runs.records import OriginRecord, described

logger = logging.getLogger("kerasrun")

SEED_STATE = "seed_generator_state"
"""Keras's name for the state of Dropout and similar layers, which is not a weight: it begins again."""


@dataclass(frozen=True)
class Branch:
    """The weights that a new run begins with."""

    run: RunDirectory | str | Path
    weights: Literal["best", "last"] | int = "best"
    """The best epoch, the end of training, or the checkpoint at the end of an epoch, counted from one."""


@dataclass(frozen=True)
class Origin:
    """The file that has the weights, found and undamaged."""

    run: RunDirectory
    file: Path
    weights: str
    """The name of the weights in `run.json`: `best.keras`, `last.keras` or `checkpoint <step>`."""
    epoch: int
    """Epochs of training behind the weights."""
    classes: tuple[str, ...]
    """The classes that the weights tell apart."""
    sha256: str
    """The checksum of the file."""

    def __str__(self) -> str:
        return f"{self.run}, {self.weights}"

    def description(self) -> OriginRecord:
        """Return what `run.json` keeps."""
        return {"run": str(self.run.root), "weights": self.weights, "epoch": self.epoch, "sha256": self.sha256}


@dataclass(frozen=True)
class Weight:
    """A variable of the network, under the name of its layer."""

    layer: str
    name: str
    array: NDArray[Any]


def find(branch: Branch, *, trust: bool = False) -> Origin:
    """
    Args:
        trust: whether code that the run brings may be run.

    Raises:
        KerasrunError: if the run, or the file that is meant, is not there or damaged, or brings code.
    """
    run = branch.run if isinstance(branch.run, RunDirectory) else directory.open_run(branch.run)
    if isinstance(branch.weights, int):
        found = _checkpoint(run, branch.weights)
        file, weights, epoch = found.state_file, f"checkpoint {found.step:08d}", branch.weights
        classes = tuple(described(found.progress["files"]["run"], found.state_file.parent)["classes"])
    else:
        file = model_of(run, last=branch.weights == "last")
        info = model_file.check(file, trust=trust).info
        weights, epoch, classes = file.name, info.epoch, info.classes
    return Origin(run, file, weights, epoch, classes, _sha256(file))


def read(origin: Origin, *, trust: bool = False) -> list[Weight]:
    """Read the weights in the order of the network's layers; TensorFlow must have been started.

    Args:
        trust: whether code that the model brings may be run.

    Raises:
        KerasrunError: if the file cannot be read, or was replaced since it was found.
    """
    weights = list(_of_model(origin.file, trust) if origin.file.suffix == ".keras" else _of_checkpoint(origin.file))
    if _sha256(origin.file) != origin.sha256:
        raise RunDirectoryError(f"{origin.file} was replaced while it was read: {origin.run} is training; try again")
    return weights


def put(weights: Sequence[Weight], model: Any, origin: Origin) -> None:
    """Give the network the weights; optimizer, random state and metrics stay as they are.

    Raises:
        ModelError: if they are not this network's, naming the first layer that differs; the model is then unchanged.
    """
    variables = [(layer, variable) for layer in model.layers for variable in layer.weights]
    for place, weight in zip_longest(variables, weights):
        if place is None or weight is None or not _fits(place, weight):
            raise ModelError(_difference(place, weight, origin))
    for (_, variable), weight in zip(variables, weights, strict=True):
        variable.assign(weight.array)
    derive_state([model])


def note_other_classes(classes: Sequence[str], origin: Origin) -> None:
    """Warn if the weights fit but have learned to tell other classes apart."""
    if tuple(classes) != origin.classes:
        logger.warning(
            "the classes are not those of %s: the last layer begins with weights that it learned for %s",
            *(origin.run, ", ".join(origin.classes)),
        )


def _checkpoint(run: RunDirectory, epoch: int) -> checkpoints.Checkpoint:
    readable, reasons = checkpoints.readable(run)
    ends = {found.progress["epoch"]: found for found in readable if not found.progress["step"]}
    if epoch in ends:
        return ends[epoch]
    there = ", ".join(str(number) for number in sorted(ends) if number)
    damaged = "".join(f"\n  {reason}" for reason in reasons)
    raise CheckpointError(
        f"{run} has no checkpoint at the end of epoch {epoch}; "
        + (f"there is one of: {there}" if there else "there is none of any epoch")
        + f" (epochs, seconds_between and keep in checkpoint decide which are kept){damaged}"
    )


def _of_model(file: Path, trust: bool) -> Iterator[Weight]:
    model, _ = model_file.load(file, trust=trust)
    for layer in model.layers:
        for variable in layer.weights:
            yield Weight(layer.name, variable.name, variable.value.numpy())


def _of_checkpoint(file: Path) -> Iterator[Weight]:
    from kerasrun.engine.state import from_hdf5

    arrays = from_hdf5(file)
    for key in sorted(arrays):
        group, _, *path = key.split("/")
        if group == "model" and path[-1] != SEED_STATE:
            yield Weight(path[0], path[-1], arrays[key])


def _fits(place: tuple[Any, Any], weight: Weight) -> bool:
    layer, variable = place
    # A layer within a wrapper is not always built under the wrapper's name.
    is_the_layer = weight.layer in (layer.name, variable.path.split("/")[0])
    return is_the_layer and weight.name == variable.name and weight.array.shape == tuple(variable.shape)


def _difference(place: tuple[Any, Any] | None, weight: Weight | None, origin: Origin) -> str:
    here = there = "nothing"
    if weight is not None:
        there = f"{weight.layer}/{weight.name} of shape {weight.array.shape}"
        name = weight.layer
    if place is not None:
        layer, variable = place
        here = f"{layer.name}/{variable.name} of shape {tuple(variable.shape)}"
        name = layer.name
    return (
        f"the weights of {origin} do not fit this network: the first layer that differs is {name}: {here}, there "
        f"{there}. Take the network of {origin.run}/{origin.run.resolved_file.name}, or train without --from"
    )


def _sha256(file: Path) -> str:
    try:
        return sha256_of_file(file)
    except OSError as error:
        raise RunDirectoryError(f"{file} cannot be read: {error.strerror}") from error
