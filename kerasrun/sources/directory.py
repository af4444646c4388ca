"""Images in class folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import (
    CHANNELS,
    ColorMode,
    Data,
    FitMode,
    ImageFormat,
    Interpolation,
    Shape,
    SkippedFile,
    Split,
)
from kerasrun.reading.files import list_folder, listed, sha256_of, stamp
from kerasrun.reading.folders import check_classes, class_folders, labelled_files, match_classes, split_folders
from kerasrun.sources._first_look import image_keys
from kerasrun.sources.base import ClassNames, ImageSize, OnBadFile, Recognized, Source

if TYPE_CHECKING:
    from kerasrun.reading.image_files import ImageFiles

LabelledFiles = Sequence[tuple[Path, int]]
_REMEDY = "Repair or remove them, or set `on_bad_file: skip` to leave them out."


class Directory(Source):
    """Image files in one folder per class: `<path>/{train,validation,test}/<class>/*`, or `<path>/<class>/*`.

    `validation` may be spelt `valid` or `val`. Without such folders every image is for training. The class of an image
    is the name of its class folder, however deep below it is; a split may lack classes, but every class must be in
    `train`. Hidden files are passed over. Files that are not images by their extension (.jpg .jpeg .jpe .jfif .png .bmp
    .ppm .pgm .pbm .pnm .gif .webp .tif .tiff), or without one by how they begin, are counted and passed over. The order
    of the examples is by class and name. Rotation by EXIF data is applied; of an animation the first frame is read;
    samples of 16 bits keep their high byte; an alpha channel is dropped unless `color_mode` is `rgba`.
    """

    kind: ClassVar[str] = "directory"
    form: ClassVar[str] = "class folders of images"
    generality: ClassVar[int] = 3

    path: ExperimentPath
    """The folder that holds the class folders, or the folders of the splits."""
    image_size: ImageSize | None = None
    """`[height, width]` to which every image is brought; by default all images must have one size."""
    color_mode: ColorMode = "rgb"
    """`grayscale` (1 channel), `rgb` (3) or `rgba` (4)."""
    interpolation: Interpolation = "bilinear"
    """How pixels are computed when an image is resized."""
    fit_mode: FitMode = "resize"
    """`resize` stretches to `image_size`; `pad` keeps the aspect, centres the image, and fills with zeros."""
    classes: ClassNames | None = None
    """The class folders to use, in the order of the class numbers; by default all, sorted by name."""
    on_bad_file: OnBadFile = "error"
    """What a file that is not an image, damaged, empty or misnamed does: stop the run, or be left out and listed."""

    @property
    def example_shape(self) -> Shape:
        return (*(self.image_size or (None, None)), CHANNELS[self.color_mode])

    def open(self) -> Data:
        from kerasrun.reading.image_files import ImageFiles, first_readable

        folders = _folders(self.path)
        found = {name: class_folders(folder) for name, folder in folders.items()}
        classes = match_classes(found, self.classes)
        every = {name: labelled_files(folder, found[name], classes) for name, folder in folders.items()}
        files = {name: _within_limit(split, self.limit) for name, split in every.items()}
        paths = [path for split in files.values() for path, _ in split]
        first, size = (None, self.image_size) if self.image_size else first_readable(paths)
        image_format = ImageFormat(*size, self.color_mode, self.interpolation, self.fit_mode)
        images = ImageFiles(paths, image_format, resize=self.image_size is not None)
        if self.on_bad_file == "skip":  # how many examples there are, only reading tells
            images.read_all()
        elif not self.image_size and first is None:  # before a network finds images without a size too small
            images.read_all()
            images.require_all_usable(_REMEDY)
        splits = _splits(images, files, self.path)
        left_out = _numbers(every["train"]) - _numbers(files["train"])
        for number in set(range(len(classes))) - left_out - set(splits["train"].label_array.tolist()):
            raise DataError(f"{found['train'][classes[number]]}: no image to train on in this class folder")
        # They do not depend on where the data are.
        names = [f"{name}/{classes[number]}/{path.name}" for name, split in files.items() for path, number in split]

        def fingerprint() -> str:
            usable = (place for place in range(len(names)) if place not in images.errors)
            return sha256_of((names[place], images.digest(place)) for place in usable)

        if images.is_read:
            return Data(splits, classes, image_format, fingerprint())
        stamps = sha256_of(zip(names, map(stamp, paths), strict=True))
        contents = images.read_in_background(_REMEDY, fingerprint)
        return Data(splits, classes, image_format, contents, files=stamps)

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        if not path.is_dir() or not list_folder(path)[1]:
            return None
        folders = _folders(path)
        found = {name: class_folders(folder) for name, folder in folders.items()}
        classes = match_classes(found, None)
        files = [file for file, _ in labelled_files(folders["train"], found["train"], classes)]
        size, keys, seen = image_keys(files)
        return Recognized(
            cls.kind,
            {"path": path},
            f"{len(files):,} training images of {len(classes)} classes, {seen}",
            len(files),
            (*size, 1 if keys.get("color_mode") == "grayscale" else 3),
            len(classes),
            validates="validation" in folders,
            keys=keys,
        )


def open_folder_with(
    image_format: ImageFormat, classes: Sequence[str], folder: Path, on_bad_file: OnBadFile = "error"
) -> Split:
    """Read a folder of class folders, by a trained model's classes and image format.

    Of folders of splits `test` is read, else `validation`, else `train`. `on_bad_file` is as in the experiment file.

    Raises:
        DataError: as `Directory.open` does, and if there is a class that is not in `classes`.
    """
    from kerasrun.reading.image_files import read_images

    folders = split_folders(folder)
    name = next((name for name in ("test", "validation", "train") if name in folders), folder.resolve().name)
    root = folders.get(name, folder)
    found = class_folders(root)
    check_classes(found, classes, "the model")
    files = labelled_files(root, found, classes)
    images = read_images([path for path, _ in files], image_format, resize=True)
    if on_bad_file == "error":
        images.require_all_usable(_REMEDY)
    return _splits(images, {name: files}, folder)[name]


def _folders(path: Path) -> dict[str, Path]:
    """Return the folders of the splits by their names."""
    folders = split_folders(path) or {"train": path}
    if "train" not in folders:
        raise DataError(f"{path}: no folder train beside {listed([folder.name for folder in folders.values()])}")
    return folders


def _within_limit(files: LabelledFiles, limit: int | None) -> LabelledFiles:
    import numpy as np

    from kerasrun.reading.inputs import within_limit

    return [files[index] for index in within_limit(np.array([number for _, number in files]), limit)]


def _numbers(files: LabelledFiles) -> set[int]:
    return {number for _, number in files}


def _splits(images: "ImageFiles", files: Mapping[str, LabelledFiles], root: Path) -> dict[str, Split]:
    """Make the splits, without the files that are known to be unusable."""
    import numpy as np

    splits, start = {}, 0
    above = f"{root.as_posix().rstrip('/')}/"  # `Path.relative_to` takes half of the time of listing a large folder
    for name, split in files.items():
        errors = [images.errors.get(start + place) for place in range(len(split))]
        kept = [place for place, error in enumerate(errors) if error is None]
        skipped = tuple(SkippedFile(split[place][0], error.reason) for place, error in enumerate(errors) if error)
        if not kept:
            first = f"{skipped[0].path}: {skipped[0].reason}"
            raise DataError(f"{root}: none of the {len(split)} images for {name} can be read, among them {first}")
        splits[name] = Split(
            name,
            images.inputs([start + place for place in kept]),
            np.array([split[place][1] for place in kept], np.int64),
            tuple(split[place][0].as_posix().removeprefix(above) for place in kept),
            skipped,
        )
        start += len(split)
    return splits
