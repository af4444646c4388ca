"""Arrays: `.npz`, HDF5, a file for each, and the files of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.experiment.recognition._contract import Recognized, recognized
from kerasrun.reading.data import SPELLINGS, LabelKind
from kerasrun.reading.files import list_folder
from kerasrun.sources.hdf5 import Hdf5
from kerasrun.sources.idx import Idx
from kerasrun.sources.npy import Npy
from kerasrun.sources.npz import Npz

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARCHIVES: dict[str, type[Npz] | type[Hdf5]] = {".npz": Npz, ".h5": Hdf5, ".hdf5": Hdf5}
# With more whole numbers than these, labels are rather counts than classes.
_MOST_CLASSES = 100


def array_file(path: Path) -> Recognized | None:
    """One file with the arrays of every split."""
    archive = _ARCHIVES.get(path.suffix.lower())
    if archive is None or path.is_dir():
        return None
    # Every label is a number, so this reads them all.
    kind = _label_kind(archive(path=path, labels="numbers").open().splits["train"].label_array)
    data = archive(path=path, labels=kind).open()
    return recognized(archive.kind, {"path": path}, data, _said(archive, kind))


def npy_files(path: Path) -> Recognized | None:
    """A folder with an `.npy` file for each array, called as in an archive."""
    there = {} if path.is_file() else {file.name: file for file in list_folder(path)[0]}
    names = {
        f"{axis}_{split}": [f"{axis}_{spelling}.npy" for spelling in spellings]
        for split, spellings in SPELLINGS.items()
        for axis in "xy"
    }
    found = {key: there[name] for key, spelled in names.items() for name in spelled if name in there}
    if not {"x_train", "y_train"} <= found.keys():
        return None
    # Without its labels a split serves nothing.
    paths = {key: file for key, file in found.items() if {f"x{key[1:]}", f"y{key[1:]}"} <= found.keys()}
    kind = _label_kind(Npy.model_validate({**paths, "labels": "numbers"}).open().splits["train"].label_array)
    keys = _said(Npy, kind)
    return recognized(Npy.kind, paths, Npy.model_validate({**paths, **keys}).open(), keys)


def idx_files(path: Path) -> Recognized | None:
    """The folder of MNIST, or of what was made like it."""
    if not path.is_dir() or not any(file.name.startswith("train-images") for file in list_folder(path)[0]):
        return None
    return recognized(Idx.kind, {"path": path}, Idx(path=path).open(), {})


def _said(source: type[Npz] | type[Hdf5] | type[Npy], kind: LabelKind) -> dict[str, Any]:
    """What must be said of the labels; nothing where they are what the source takes them for."""
    return {} if kind == source.model_fields["labels"].default else {"labels": kind}


def _label_kind(labels: NDArray[Any]) -> LabelKind:
    """What labels are by what they look like: (examples, labels) of any numbers."""
    import numpy as np

    if labels.shape[1] > 1:
        if not np.isin(labels, (0, 1)).all():
            return "numbers"
        return "classes" if (labels.sum(axis=1) == 1).all() else "multi_label"
    whole = (labels == np.floor(labels)).all() and labels.min() >= 0
    return "classes" if whole and 2 <= labels.max() + 1 <= _MOST_CLASSES else "numbers"
