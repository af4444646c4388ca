"""The fields that the kinds of data share whose examples are image files, and how the files become data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.errors import DataError
from kerasrun.reading.data import (
    CHANNELS,
    FEATURES,
    ColorMode,
    Data,
    Decode,
    FitMode,
    ImageFormat,
    Interpolation,
    LabelKind,
    Shape,
    SkippedFile,
    Split,
    channel_names,
)
from kerasrun.reading.files import sha256_of, stamp
from kerasrun.sources.base import ImageSize, OnBadFile, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kerasrun.reading.division import Marks
    from kerasrun.reading.image_files import ImageFiles

_REMEDY = "Repair or remove them, or set `on_bad_file: skip` to leave them out."


@dataclass(frozen=True)
class ListedImages:
    """The image files of a split, in the order of the examples."""

    paths: Sequence[Path]
    labels: "NDArray[Any] | None"
    """As in `Split`; None where they are the images themselves."""
    entries: Sequence[str]
    """What the fingerprint has of each file beside its contents: nothing that depends on where the data are."""
    sample_weight: "NDArray[np.float32] | None" = None
    skipped: tuple[SkippedFile, ...] = ()
    """Files that are left out already."""
    marks: "Marks | None" = None
    features: "NDArray[np.float32] | None" = None
    """The row beside each image, (examples, features)."""


class ImageSource(Source):
    """Base of the kinds of data whose examples are image files."""

    image_size: ImageSize | None = None
    """`[height, width]` to which every image is brought; by default all images must have one size."""
    color_mode: ColorMode = "rgb"
    """`grayscale` (1 channel), `rgb` (3) or `rgba` (4)."""
    interpolation: Interpolation = "bilinear"
    """How pixels are computed when an image is resized."""
    fit_mode: FitMode = "resize"
    """`resize` stretches to `image_size`; `pad` keeps the aspect, centres the image, and fills with zeros."""
    decode: Decode = "exact"
    """`exact` decodes every pixel; `scaled` decodes a JPEG that is at least twice as large as `image_size` at a half, a
    quarter or an eighth of its size, which is faster and gives slightly other pixels."""
    on_bad_file: OnBadFile = "error"
    """What a file that is not an image, damaged, empty or misnamed does: stop the run, or be left out and listed."""

    @property
    def example_shape(self) -> Shape:
        return (*(self.image_size or (None, None)), CHANNELS[self.color_mode])

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels, which images have in the place of classes where they are their own labels."""
        return channel_names((1, 1, CHANNELS[self.color_mode]))

    def data_of(
        self,
        root: Path,
        listed: Mapping[str, ListedImages],
        classes: tuple[str, ...],
        label_kind: LabelKind = "classes",
        needed: Mapping[int, str] | None = None,
    ) -> Data:
        """Begin to read the files of every split, and make data of them.

        Args:
            root: the folder from which messages name the files.
            needed: what to say where no example to train on has a class, by the numbers of the classes.

        Raises:
            DataError: as `Source.open`.
        """
        from kerasrun.reading.division import require_groups_apart
        from kerasrun.reading.image_files import ImageFiles, first_readable

        require_groups_apart({name: split.marks for name, split in listed.items() if split.marks})
        paths = [path for split in listed.values() for path in split.paths]
        first, size = (None, self.image_size) if self.image_size else first_readable(paths)
        image_format = ImageFormat(*size, self.color_mode, self.interpolation, self.fit_mode, decode=self.decode)
        images = ImageFiles(paths, image_format, resize=self.image_size is not None)
        if self.on_bad_file == "skip":  # how many examples there are, only reading tells
            images.read_all()
        elif not self.image_size and first is None:  # before a network finds images without a size too small
            images.read_all()
            images.require_all_usable(_REMEDY)
        splits = _splits(images, listed, root)
        trained = set(splits["train"].label_array.tolist()) if needed else ()
        for number, problem in (needed or {}).items():
            if number not in trained:
                raise DataError(problem)
        # They do not depend on where the data are.
        entries = [entry for split in listed.values() for entry in split.entries]

        def fingerprint() -> str:
            usable = (place for place in range(len(entries)) if place not in images.errors)
            return sha256_of([*((entries[place], images.digest(place)) for place in usable), *image_format.entries])

        if images.is_read:
            return Data(splits, classes, image_format, fingerprint(), label_kind)
        stamps = sha256_of(zip(entries, map(stamp, paths), strict=True))
        contents = images.read_in_background(_REMEDY, fingerprint)
        return Data(splits, classes, image_format, contents, label_kind, files=stamps)


def split_of(
    root: Path, name: str, listed: ListedImages, image_format: ImageFormat, on_bad_file: OnBadFile = "error"
) -> Split:
    """Read a split by a trained model's image format; arguments and errors are those of `ImageSource.data_of`."""
    from kerasrun.reading.image_files import read_images

    images = read_images(listed.paths, image_format, resize=True)
    if on_bad_file == "error":
        images.require_all_usable(_REMEDY)
    return _splits(images, {name: listed}, root)[name]


def _splits(images: "ImageFiles", listed: Mapping[str, ListedImages], root: Path) -> dict[str, Split]:
    """Make the splits, without the files that are known to be unusable."""
    from kerasrun.reading.inputs import ArrayInputs

    splits, start = {}, 0
    above = f"{root.as_posix().rstrip('/')}/"  # `Path.relative_to` takes half of the time of listing a large folder
    for name, split in listed.items():
        errors = [images.errors.get(start + place) for place in range(len(split.paths))]
        kept = [place for place, error in enumerate(errors) if error is None]
        bad = tuple(SkippedFile(split.paths[place], error.reason) for place, error in enumerate(errors) if error)
        skipped = (*split.skipped, *bad)
        groups, times = split.marks.arrays(kept) if split.marks else (None, None)
        if not kept:
            first = f"{skipped[0].path}: {skipped[0].reason}"
            raise DataError(f"{root}: none of the {len(skipped)} images for {name} can be read, among them {first}")
        inputs = images.inputs([start + place for place in kept])
        splits[name] = Split(
            name,
            inputs,
            inputs if split.labels is None else split.labels[kept],
            tuple(split.paths[place].as_posix().removeprefix(above) for place in kept),
            skipped,
            None if split.sample_weight is None else split.sample_weight[kept],
            groups,
            times,
            {} if split.features is None else {FEATURES: ArrayInputs(split.features[kept])},
        )
        start += len(split.paths)
    return splits
