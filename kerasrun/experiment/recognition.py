"""What lies at a path: which kind of data, and what an experiment on it depends on. NumPy is imported when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.errors import DataError
from kerasrun.sources._contract import Data, LabelKind
from kerasrun.sources._files import list_folder, listed, missing
from kerasrun.sources._folders import class_folders, labelled_files, match_classes, split_folders
from kerasrun.sources.idx import Idx
from kerasrun.sources.npz import Npz

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
"""To which images of several sizes are brought: the largest that is no larger than most of them."""
_LOOKED_AT = 200
_MOST_CLASSES = 100


@dataclass(frozen=True)
class Recognized:
    """Data, as far as an experiment depends on them."""

    kind: str
    """The kind of source that reads them."""
    keys: Mapping[str, Any]
    """Its keys, beside where the data are."""
    about: str
    """What was seen, for a comment."""
    examples: int
    """For training."""
    shape: tuple[int, ...]
    """(height, width, channels), or (features,)."""
    classes: int
    label_kind: LabelKind = "classes"
    validates: bool = False
    """Whether there are validation examples."""
    path_keys: Mapping[str, Path] = field(default_factory=dict)
    """Where the data are, by the source's keys."""


def recognize(path: Path) -> Recognized:
    """Find out what lies at `path`.

    Raises:
        DataError: if it is nothing that a source reads, or is damaged.
    """
    if not path.exists():
        raise missing(path, "a folder or a file of data")
    for look in _LOOKS:
        found = look(path)
        if found:
            return found
    raise DataError(
        f"{path}: not recognized as data; expected class folders of images, a folder with MNIST's IDX files, or an "
        ".npz file with x_train and y_train"
    )


def _npz(path: Path) -> Recognized | None:
    if path.suffix.lower() != ".npz":
        return None
    # Every label is a number, so this reads them all.
    kind = _label_kind(Npz(path=path, labels="numbers").open().splits["train"].label_array)
    data = Npz(path=path, labels=kind).open()
    return _of_arrays("npz", path, data, {} if kind == "classes" else {"labels": kind})


def _idx(path: Path) -> Recognized | None:
    if not path.is_dir() or not any(file.name.startswith("train-images") for file in list_folder(path)[0]):
        return None
    return _of_arrays("idx", path, Idx(path=path).open(), {})


def _class_folders(path: Path) -> Recognized | None:
    if not path.is_dir() or not list_folder(path)[1]:
        return None
    folders = split_folders(path) or {"train": path}
    if "train" not in folders:
        raise DataError(f"{path}: no folder train beside {listed([folder.name for folder in folders.values()])}")
    found = {name: class_folders(folder) for name, folder in folders.items()}
    classes = match_classes(found, None)
    files = [file for file, _ in labelled_files(folders["train"], found["train"], classes)]
    size, keys, seen = _image_keys(files)
    channels = 1 if keys.get("color_mode") == "grayscale" else 3
    return Recognized(
        "directory",
        keys,
        f"{len(files):,} training images of {len(classes)} classes, {seen}",
        *(len(files), (*size, channels), len(classes)),
        validates="validation" in folders,
        path_keys={"path": path},
    )


_LOOKS: Sequence[Callable[[Path], Recognized | None]] = (_npz, _idx, _class_folders)


def _of_arrays(kind: str, path: Path, data: Data, keys: Mapping[str, Any]) -> Recognized:
    train = data.splits["train"]
    shape = train.inputs.example_shape
    what = "×".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} numbers"
    labels = {
        "classes": f"{len(data.classes)} classes",
        "multi_label": f"{len(data.classes)} labels that may hold together",
        "numbers": f"{len(data.classes)} numbers to be predicted",
    }[data.label_kind]
    return Recognized(
        kind,
        keys,
        f"{len(train):,} training examples of {what}, {labels}",
        *(len(train), shape, len(data.classes)),
        label_kind=data.label_kind,
        validates="validation" in data.splits,
        path_keys={"path": path},
    )


def _label_kind(labels: NDArray[Any]) -> LabelKind:
    """What labels are by what they look like: (examples, labels) of any numbers."""
    import numpy as np

    if labels.shape[1] > 1:
        if not np.isin(labels, (0, 1)).all():
            return "numbers"
        return "classes" if (labels.sum(axis=1) == 1).all() else "multi_label"
    whole = (labels == np.floor(labels)).all() and labels.min() >= 0
    return "classes" if whole and 2 <= labels.max() + 1 <= _MOST_CLASSES else "numbers"


def _image_keys(files: Sequence[Path]) -> tuple[tuple[int, int], dict[str, Any], str]:
    """Height and width of the examples, what the source must be told, and what was seen; from some of the files."""
    step = max(1, len(files) // _LOOKED_AT)
    looked = list(_looks_of(files[::step]))
    if not looked:
        raise DataError(f"{files[0]}: not a readable image, nor are the others that were looked at")
    keys: dict[str, Any] = {}
    sizes = Counter((height, width) for height, width, _ in looked)
    (size, _), *others = sizes.most_common()
    seen = f"{size[0]}×{size[1]}"
    if others:
        shorter = sorted(min(one) for one in sizes.elements())
        side = max([one for one in SIZES if one <= shorter[len(shorter) // 2]], default=SIZES[0])
        size, seen = (side, side), f"of several sizes (such as {seen})"
        keys["image_size"] = list(size)
    elif len(files) > len(looked):
        keys["image_size"] = list(size)  # most files were not looked at
    if all(mode in ("1", "L", "LA", "I;16") for _, _, mode in looked):
        keys["color_mode"] = "grayscale"
        seen += " and grey"
    return size, keys, seen


def _looks_of(files: Sequence[Path]) -> Iterator[tuple[int, int, str]]:
    """Height, width and Pillow's mode of the files that can be opened; training names the others."""
    from PIL import Image

    for file in files:
        try:
            with Image.open(file) as image:
                yield image.height, image.width, image.mode
        except OSError:
            continue
