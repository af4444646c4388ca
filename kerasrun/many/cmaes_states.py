"""What Optuna's sampler CmaEs keeps in a storage: pickles, which Optuna unpickles.

Whoever writes into the storage could have NumPy write into memory so. Optuna therefore never sees what is there: it is
read as data, and pickled again.
"""

import importlib
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasrun.reading import pickles

_KEY = "optimizer"
"""What Optuna writes between the sampler's prefix and the number of a part."""
_WITHIN = "_cma"
"""The attribute of CMAwM that holds a CMA."""
_CLASSES = ("cmaes._cma.CMA", "cmaes._sepcma.SepCMA", "cmaes._cmawm.CMAwM")
_LARGEST = 100_000
"""Of whole numbers, by which it counts what it tries."""


def pickled_again(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a trial, with the state of CmaEs, if there is one, as this program pickles it.

    Raises:
        ValueError: if there is anything but a state.
    """
    parts = {key: text for key, text in attributes.items() if _KEY in key}
    others = {key: value for key, value in attributes.items() if key not in parts}
    if not parts:
        return others
    start = next(iter(parts)).partition(_KEY)[0] + _KEY
    keys = [f"{start}:{number}" for number in range(len(parts))]
    if set(keys) != set(parts) or not all(isinstance(text, str) for text in parts.values()):
        raise ValueError("a state of CmaEs is not whole")
    described = pickles.read(bytes.fromhex("".join(parts[key] for key in keys)), _CLASSES)
    # By protocol 4, in which arrays can be written to again.
    return {**others, keys[0]: pickle.dumps(_optimizer(described), protocol=4).hex()}


def _optimizer(described: Any) -> Any:
    if not isinstance(described, pickles.Object) or not isinstance(described.value, dict):
        raise ValueError("it is no state of CmaEs")
    state = {key: _value(key, value) for key, value in described.value.items()}
    if described.name not in _CLASSES:
        raise ValueError(f"{described.name} is no state of CmaEs")
    module, _, name = described.name.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    optimizer = kind.__new__(kind)
    getattr(optimizer, "__setstate__", vars(optimizer).update)(state)
    return optimizer


def _value(key: Any, value: Any) -> Any:
    if isinstance(value, pickles.Object):
        if key == _WITHIN and value.name == _CLASSES[0]:
            return _optimizer(value)
        value = value.value
    if not isinstance(key, str) or not isinstance(value, int | float | np.floating | np.ndarray | None):
        raise ValueError(f"{key!r} is no attribute of CmaEs")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError(f"{key} is {value}; expected at most {_LARGEST:,}")
    return value
