"""Image files in class folders, or with a mask each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kerasrun.errors import DataError
from kerasrun.experiment.recognition._contract import Recognized, recognized
from kerasrun.reading.files import is_image, list_folder, listed
from kerasrun.reading.folders import class_folders, labelled_files, match_classes, split_folders
from kerasrun.sources.directory import Directory
from kerasrun.sources.image_masks import ImageMasks

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
"""To which images of several sizes are brought: the largest that is no larger than most of them."""
_LOOKED_AT = 200
IMAGES = ("images", "image", "imgs", "img", "frames")
MASKS = ("masks", "mask", "annotations", "annotation", "labels", "label")
"""How the folders of images and of masks may be called, without regard to case."""
# A network that goes down twice and up again needs sides that can be halved twice.
_MULTIPLE = 4


def class_folder_images(path: Path) -> Recognized | None:
    """A folder for each class, maybe below a folder for each split."""
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
        Directory.kind,
        {"path": path},
        f"{len(files):,} training images of {len(classes)} classes, {seen}",
        len(files),
        (*size, channels),
        len(classes),
        validates="validation" in folders,
        keys=keys,
    )


def images_with_masks(path: Path) -> Recognized | None:
    """A folder of images and one of masks, maybe below a folder for each split."""
    if not path.is_dir():
        return None
    folders = {folder.name.lower(): folder for folder in list_folder(path)[1]}
    inside = {folder.name.lower(): folder for folder in list_folder(folders.get("train", path))[1]}
    images, masks = (next((inside[name] for name in names if name in inside), None) for names in (IMAGES, MASKS))
    if images is None or masks is None:
        return None
    files = [file for file in list_folder(images)[0] if is_image(file)]
    if not files:
        raise DataError(f"{images}: no images in this folder")
    size, keys, seen = _image_keys(files)
    fitting = [max(_MULTIPLE, side // _MULTIPLE * _MULTIPLE) for side in size]
    if fitting != list(size):
        keys["image_size"] = fitting
    named = {"images": images.name, "masks": masks.name}
    keys |= {key: name for key, name in named.items() if name != key}
    data = ImageMasks(path=path, **keys).open()
    return recognized(ImageMasks.kind, {"path": path}, data, keys, f"; the images are {seen}")


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
