"""The whole training state as named arrays: every variable of model, optimizer and metrics, and what callbacks keep."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import CheckpointError
from kerasrun.network_layers import derive_state
from kerasrun.reading.hdf5 import Contents

Arrays = dict[str, NDArray[Any]]


def model_arrays(model: Any) -> Arrays:
    """Return every variable under a unique and stable name: its place in the model, and its path.

    `model.variables` holds what `.keras` files leave out: the state of Dropout's and other seed generators.
    """
    return {name: variable.value.numpy() for name, variable in _variables(model)}


def restore_model(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Assign every variable; nothing is left out and nothing is left over.

    Raises:
        CheckpointError: if the checkpoint's variables are not exactly the model's; the model is then unchanged.
    """
    variables = dict(_variables(model))
    saved = {name for name in arrays if name.split("/")[0] in ("model", "optimizer", "metrics")}
    if different := sorted(saved ^ variables.keys()):
        raise CheckpointError(
            f"the checkpoint is of another model: {len(different)} variables are not in both, the first is "
            f"{different[0]}"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointError(
                f"the checkpoint is of another model: {name} has the shape {arrays[name].shape}, "
                f"the model needs {tuple(variable.shape)}"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])
    derive_state([model])


def to_hdf5(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the arrays as an HDF5 file in memory: a dataset for each, under its name."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return buffer.getvalue()


def from_hdf5(path: Path) -> Arrays:
    """Read a file that `to_hdf5` wrote.

    Raises:
        CheckpointError: if it is damaged, takes values from other files, or holds what no checkpoint does.
    """
    try:
        with Contents(path) as contents:
            return {name: _numbers(name, array[()]) for name, array in contents.require_own().arrays.items()}
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _numbers(name: str, value: Any) -> NDArray[Any]:
    """Return an array of a checkpoint; HDF5 has no bfloat16, and gives its bytes."""
    array = np.asarray(value)
    if array.dtype == "V2":
        array = array.view("bfloat16")
    elif array.dtype.kind not in "biuf":
        raise ValueError(f"{name} does not hold numbers")
    if len(name.split("/")) < len(("group", "number", "path")):
        raise ValueError(f"{name} is not the name of a variable")
    return array


def _variables(model: Any) -> Iterator[tuple[str, Any]]:
    groups = {
        "model": model.variables,
        "optimizer": _optimizer_variables(model.optimizer),
        "metrics": model.metrics_variables,
    }
    for group, variables in groups.items():
        for number, variable in enumerate(variables):
            yield f"{group}/{number:04d}/{variable.path}", variable


def _optimizer_variables(optimizer: Any) -> list[Any]:
    """Return every variable of an optimizer; `LossScaleOptimizer.variables` leaves out Nadam's running product."""
    listed = list(optimizer.variables)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    known = {id(variable) for variable in listed}
    return listed + [v for v in vars(inner).values() if isinstance(v, keras.Variable) and id(v) not in known]
