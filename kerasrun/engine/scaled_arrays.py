"""The scale of arrays that a network learns to make: what its preprocessing makes of the numbers in the data."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import ModelError
from kerasrun.reading.data import ArrayForm

_ROUNDING = 1e-4


def scaled_as(preprocessing: Any, form: ArrayForm, *, bytes_in: bool) -> ArrayForm:
    """Return the form of targets that are scaled as inputs are; bytes beside inputs that are none become 0 to 1.

    Args:
        preprocessing: the model of what is in front of the network.
        form: that of the arrays, without a scale.
        bytes_in: whether the inputs are bytes.

    Raises:
        ModelError: if the network is to make its own inputs, but preprocessing is not the same multiplication and
            addition for all numbers of a channel, so that its result could not be brought back.
    """
    if not form.of_inputs and not form.are_bytes:
        return form
    found = _scale(preprocessing, 255.0 if bytes_in else 1.0) if form.of_inputs or bytes_in else None
    if found is not None and (form.of_inputs or len(found[0]) in (1, form.shape[-1])):
        return replace(form, scale=found[0], offset=found[1])
    if form.of_inputs:
        raise ModelError(
            "preprocessing: the targets are the inputs as the network reads them, and what it makes is brought back to "
            "numbers of the data, so only Rescaling, and Normalization with a mean for each channel, can stand here",
            ("preprocessing", 0),
        )
    return replace(form, scale=(1 / 255,))


def _scale(preprocessing: Any, most: float) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return factors and summands, one each or one for each channel; None where preprocessing is something else."""
    shape = tuple(preprocessing.input.shape[1:])
    if tuple(preprocessing.output.shape[1:]) != shape:
        return None
    some = np.random.default_rng(0).uniform(0, most, (2, *shape)).astype(np.float32)
    nothing, whole, mixed = (
        np.asarray(preprocessing(one, training=False), np.float64)
        for one in (np.zeros((1, *shape), np.float32), np.full((1, *shape), most, np.float32), some)
    )
    offset, scale = _of_channels(nothing), _of_channels((whole - nothing) / most)
    if offset is None or scale is None or not scale.all():
        return None
    most_off = _ROUNDING * float(np.abs(scale).max()) * most
    if not np.allclose(mixed, some * scale + offset, rtol=_ROUNDING, atol=most_off):
        return None
    if len({*scale.tolist()}) == len({*offset.tolist()}) == 1:
        scale, offset = scale[:1], offset[:1]
    return tuple(scale.tolist()), tuple(offset.tolist())


def _of_channels(numbers: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the number of each channel; None where it is not the same everywhere."""
    rows = numbers.reshape(-1, numbers.shape[-1])
    same: bool = np.allclose(rows, rows[0], rtol=_ROUNDING, atol=_ROUNDING * float(np.abs(rows).max()))
    return rows[0] if same else None
