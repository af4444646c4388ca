"""Images with a mask each: the class of every pixel."""

import difflib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kerasrun.components import ExperimentPath
from kerasrun.errors import DataError
from kerasrun.reading.data import (
    CHANNELS,
    ColorMode,
    Data,
    Decode,
    ImageFormat,
    Interpolation,
    LabelKind,
    Shape,
    Split,
    channel_names,
)
from kerasrun.reading.files import is_image, list_folder, listed, sha256_of, stamp
from kerasrun.reading.folders import by_split
from kerasrun.sources._first_look import fitting_size, image_keys
from kerasrun.sources.base import ClassName, ClassNames, Ignored, ImageSize, Recognized, Source, Value, once

if TYPE_CHECKING:
    from kerasrun.reading.image_files import ImageFiles
    from kerasrun.reading.masks import MaskFiles

IMAGES = ("images", "image", "imgs", "img", "frames")
MASKS = ("masks", "mask", "annotations", "annotation", "labels", "label")
"""The names by which folders of images and of masks are recognized, without regard to case."""
_REMEDY = "Repair them, or remove them with their masks or images."
logger = logging.getLogger("kerasrun")


def _by_value(given: Any) -> Any:
    """Turn `{class: value}` into `{value: class}`, which is what keys that are numbers say."""
    if not isinstance(given, Mapping) or all(key == "rest" or str(key).lstrip("-").isdecimal() for key in given):
        return given
    for name, value in given.items():
        if value != "rest" and not (str(value).isdecimal() and float(value) <= 255):
            raise ValueError(f"expected a value of 0 to 255, or rest, for each class; {name} has {value}")
    return dict(zip(once(tuple(str(value) for value in given.values())), given, strict=True))


Colour = tuple[Value, Value, Value]
MaskValue = Value | Literal["rest"]
ValueList = Annotated[tuple[Value, ...], Field(min_length=2), AfterValidator(once)]


class ImageMasks(Source):
    """Images and masks in two folders: `<path>/{train,validation,test}/{images,masks}/*`, or `<path>/{images,masks}/*`.

    A mask belongs to the image of the same name, whatever the extensions (see `mask_suffix`), and has its size. Its
    values say the class of each pixel: 0 and 255 for two classes, class numbers from 0, or what `mask_values` says; a
    palette's indices count, or its colours where the same index has another one in another file. Of masks that are
    colours, `mask_colors` says which is which class. Masks are resized to the nearest pixel: no values are mixed. With
    `labels: arrays` the second folder holds images that are to be made of those in the first.
    """

    kind: ClassVar[str] = "image_masks"
    form: ClassVar[str] = "folders images and masks"
    generality: ClassVar[int] = 2

    path: ExperimentPath
    """The folder that holds the two folders, or the folders of the splits."""
    images: str = "images"
    """The name of the folders of images."""
    masks: str = "masks"
    """The name of the folders of masks; with `mask_suffix` it may be that of the images."""
    labels: Literal["masks", "arrays"] = "masks"
    """What the files in `masks` are: `masks`, or `arrays`: images to be made of the images, such as clean ones of noisy
    ones; they are resized as images are, and may be larger than these where there is no `image_size`."""
    mask_color_mode: ColorMode | None = None
    """The `color_mode` of images in `masks`, with `labels: arrays`; by default that of `images`."""
    mask_suffix: str = ""
    """What the name of a mask has behind that of its image: `_mask` for `1_mask.png`; others are passed over."""
    image_size: ImageSize | None = None
    """`[height, width]` to which every image and mask is brought; by default all images must have one size."""
    color_mode: ColorMode = "rgb"
    """`grayscale` (1 channel), `rgb` (3) or `rgba` (4); of the images."""
    interpolation: Interpolation = "bilinear"
    """How pixels of an image are computed when it is resized."""
    decode: Decode = "exact"
    """`exact` decodes every pixel; `scaled` decodes a JPEG that is at least twice as large as `image_size` at a half, a
    quarter or an eighth of its size, which is faster and gives slightly other pixels. Masks are always exact."""
    classes: ClassNames | None = None
    """The names of the classes, in the order of the class numbers; by default the values of the masks."""
    mask_values: Annotated[
        ValueList | Mapping[MaskValue, ClassName] | None,
        BeforeValidator(_by_value, json_schema_input_type=ValueList | Mapping[str, ClassName] | None),
    ] = None
    """The value of each class, in order: `[0, 255]`; or the class of each value: `{0: membrane, 255: cell}`;
    or the value of each class: `{background: 0, person: rest}`, where `rest` is every other value."""
    mask_colors: Annotated[Mapping[ClassName, Colour | Literal["rest"]], Field(min_length=2, max_length=256)] | None = (
        None
    )
    """The colour of each class, in the order of the class numbers: `{road: [128, 64, 128], other: rest}`; `rest` is
    every other colour."""
    ignore: Ignored = ()
    """Classes, or values of masks, whose pixels do not count: `[void]`, `[255]`. They are kept out of the loss, of
    every metric and of `evaluate`, and the network has no output for them."""

    @model_validator(mode="after")
    def _values_of_classes(self) -> "ImageMasks":
        of_classes = [key for key in ("classes", "mask_values", "mask_colors", "ignore") if getattr(self, key)]
        if self.labels == "arrays" and of_classes:
            raise ValueError(f"expected no {' and '.join(of_classes)} beside labels: arrays, which have no classes")
        if self.labels == "masks" and self.mask_color_mode:
            raise ValueError("expected no mask_color_mode beside labels: masks")
        if self.mask_values is not None and self.mask_colors is not None:
            raise ValueError("expected mask_values or mask_colors, not both")
        if self.mask_colors is not None:
            once(tuple(self.mask_colors.values()))
            self._require_classes(self.mask_colors, "mask_colors")
        elif isinstance(self.mask_values, Mapping):
            self._require_classes(self.mask_values.values(), "mask_values")
        elif self.mask_values and self.classes and len(self.classes) != len(self.mask_values):
            raise ValueError(f"expected as many classes as mask_values: {len(self.mask_values)}")
        names = self._names or ()
        for one in self.ignore:
            if one not in names and (isinstance(one, str) or self.mask_colors):
                known = listed(list(names)) or "named by classes, mask_values or mask_colors"
                raise ValueError(
                    f"expected in ignore values of 0 to 255 or classes, which are {known}; {one} is neither"
                )
        if names and len(self.listed_classes or ()) < 2:
            raise ValueError("expected ignore to leave at least two classes")
        return self

    def _require_classes(self, meant: Iterable[str], key: str) -> None:
        if len(set(meant)) < 2:
            raise ValueError(f"expected {key} of at least two classes")
        if self.classes and {*meant}.difference(self.ignore) != {*self.classes}.difference(self.ignore):
            raise ValueError(f"expected classes and {key} to name the same classes: {listed(sorted(set(meant)))}")

    @property
    def listed_classes(self) -> tuple[str, ...] | None:
        if self._names is None:
            return None
        values = self.mask_values or ()
        meant = list(values.items() if isinstance(values, Mapping) else zip(values, self.classes or (), strict=False))
        left = {name for value, name in meant if value not in self.ignore}
        gone = {name for _, name in meant} - left
        return tuple(name for name in self._names if name not in gone.union(self.ignore))

    @property
    def _names(self) -> tuple[str, ...] | None:
        """All classes, of which some may be ignored."""
        named = self.mask_colors or (self.mask_values.values() if isinstance(self.mask_values, Mapping) else ())
        return tuple(dict.fromkeys((*(self.classes or ()), *named))) or None

    @property
    def ignores(self) -> bool:
        return bool(self.ignore)

    @property
    def label_kind(self) -> LabelKind:
        return self.labels

    @property
    def example_shape(self) -> Shape:
        return (*(self.image_size or (None, None)), CHANNELS[self.color_mode])

    def open(self) -> Data:
        from kerasrun.reading.masks import MaskFiles

        pairs = {name: self._pairs(folder) for name, folder in self._splits().items()}
        every = [pair for split in pairs.values() for pair in split]
        images = self._files([image for image, _ in every], self.color_mode)
        seconds, classes = self._seconds([second for _, second in every], images.image_format)
        splits, begin = {}, 0
        for name, split in pairs.items():
            places = range(begin, begin + len(split))
            names = tuple(image.relative_to(self.path).as_posix() for image, _ in split)
            splits[name] = Split(name, images.inputs(places), seconds.inputs(places), names)
            begin += len(split)
        entries = [name for split in splits.values() for name in split.names or ()]

        def fingerprint() -> str:
            digests = ((name, images.digest(place), seconds.digest(place)) for place, name in enumerate(entries))
            read = [*digests, *images.image_format.entries]
            if not isinstance(seconds, MaskFiles):
                return sha256_of(read)
            _check_sizes(images, seconds)
            used = seconds.classes_in(range(len(pairs["train"])))
            for number in sorted(set(range(len(classes))) - used) if self.limit is None else ():
                raise DataError(f"{self.path}: no pixel to train on is of the class {classes[number]!r}")
            return sha256_of([*read, *([("palettes by colour",)] if seconds.tables else [])])

        stamps = sha256_of((name, *map(stamp, pair)) for name, pair in zip(entries, every, strict=True))
        contents = images.read_in_background(_REMEDY, fingerprint, seconds)
        return Data(splits, classes, images.image_format, contents, self.labels, files=stamps)

    def _seconds(self, paths: list[Path], image_format: ImageFormat) -> "tuple[ImageFiles, tuple[str, ...]]":
        """Return the files in `masks`, of which those are read whose values decide what the classes are; and these."""
        from kerasrun.reading.masks import MaskFiles, may_have_palette, number_classes, palettes_read

        if self.labels == "arrays":
            images = self._files(paths, self.mask_color_mode or self.color_mode)
            return images, channel_names(images.image_format.shape)
        colours, names = self._colours_of_classes(), self._names
        given = self.mask_values if colours is None else tuple(range(len(colours)))
        masks = MaskFiles(paths, (image_format.height, image_format.width), colours)
        if given is None or (colours is None and any(map(may_have_palette, paths))):
            masks.read_all()
            masks.require_all_usable(_REMEDY)
            palettes_read(masks, given, names, self.ignore)
        return masks, number_classes(masks, given, names, self.ignore)

    def _files(self, paths: list[Path], color_mode: ColorMode) -> "ImageFiles":
        from kerasrun.reading.image_files import ImageFiles, first_readable

        first, size = (None, self.image_size) if self.image_size else first_readable(paths)
        image_format = ImageFormat(*size, color_mode, self.interpolation, decode=self.decode)
        files = ImageFiles(paths, image_format, resize=self.image_size is not None)
        if not self.image_size and first is None:  # before a network finds images without a size too small
            files.read_all()
            files.require_all_usable(_REMEDY)
        return files

    def _colours_of_classes(self) -> list[Colour | None] | None:
        """Return the colour of each class, None for that of the rest; None without `mask_colors`."""
        if self.mask_colors is None:
            return None
        found = [self.mask_colors[name] for name in self._names or ()]
        return [None if isinstance(colour, str) else colour for colour in found]

    @classmethod
    def recognize(cls, path: Path) -> Recognized | None:
        if not path.is_dir():
            return None
        folders = {folder.name.lower(): folder for folder in list_folder(path)[1]}
        inside = {folder.name.lower(): folder for folder in list_folder(folders.get("train", path))[1]}
        images, masks = (next((inside[name] for name in names if name in inside), None) for names in (IMAGES, MASKS))
        if images is None or masks is None:
            return None
        size, keys, seen = image_keys(_images_in(images))
        fitting = list(fitting_size(size))
        if fitting != list(size):
            keys["image_size"] = fitting
        named = {"images": images.name, "masks": masks.name}
        if suffix := _suffix(*(_by_stem(one) for one in (images, masks))):
            keys["mask_suffix"] = suffix
        keys |= {key: name for key, name in named.items() if name != key}
        return cls.recognized({"path": path}, keys, f"; the images are {seen}")

    def _splits(self) -> dict[str, Path]:
        """Find the folders that hold the two folders, by the split's name."""
        folders = list_folder(self.path)[1]
        if any(folder.name == self.images for folder in folders):
            return {"train": self.path}
        found = by_split(self.path, folders)
        if "train" not in found:
            names = [folder.name for folder in folders]
            near = difflib.get_close_matches(self.images, names, n=1)
            raise DataError(
                f"{self.path}: no folder {self.images!r} here, and no folder train; expected {self.images}/<image> and "
                f"{self.masks}/<mask>, or train/{self.images}/<image> and so on; there are {listed(names) or 'none'}"
                + (f"; did you mean `images: {near[0]}`?" if near else "")
            )
        return found

    def _pairs(self, folder: Path) -> list[tuple[Path, Path]]:
        """Return every image with its mask, by name, as far as `limit` goes."""
        import numpy as np

        from kerasrun.reading.inputs import within_limit

        images, masks = _by_stem(folder / self.images), _by_stem(folder / self.masks, self.mask_suffix)
        if self.images == self.masks:
            images = {stem: path for stem, path in images.items() if path not in masks.values()}
        for here, there, kind, other, name, suffix in (
            (images, masks, "image", "mask", self.masks, self.mask_suffix),
            (masks, images, "mask", "image", self.images, ""),
        ):
            lonely = [(stem, path) for stem, path in here.items() if stem not in there]
            if lonely:
                stem, path = lonely[0]
                found = _suffix(images, masks) if not self.mask_suffix else ""
                raise DataError(
                    f"{path}: {'an' if kind == 'image' else 'a'} {kind} without its {other}: no {name}/"
                    f"{stem}{suffix}.* in {folder}"
                    + (f"; {len(lonely)} of {len(here)} are so" if lonely[1:] else "")
                    + (f"; did you mean `mask_suffix: {found}`?" if found else "")
                )
        every = [(images[stem], masks[stem]) for stem in images]
        # Two dimensions, as labels without classes have: the kept examples are evenly spaced.
        return [every[place] for place in within_limit(np.zeros((len(every), 0)), self.limit)]


def _images_in(folder: Path) -> list[Path]:
    files = [file for file in list_folder(folder)[0] if is_image(file)]
    if not files:
        raise DataError(f"{folder}: no images in this folder")
    return files


def _by_stem(folder: Path, suffix: str = "") -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in _images_in(folder):
        if not file.stem.endswith(suffix):
            continue
        stem = file.stem.removesuffix(suffix)
        if stem in found:
            raise DataError(f"{folder}: {found[stem].name} and {file.name} have one name; keep one of them")
        found[stem] = file
    if not found:
        raise DataError(f"{folder}: no image here has a name that ends in {suffix!r}, as `mask_suffix` says")
    return found


def _suffix(images: Iterable[str], masks: Iterable[str]) -> str:
    """Return what the name of a mask has behind that of its image, if it is the same for every image; else nothing."""
    image, names = next(iter(images)), set(masks)
    found = sorted({name.removeprefix(image) for name in names if name.startswith(image)} - {""}, key=len)
    return next((suffix for suffix in found if {f"{stem}{suffix}" for stem in images} <= names), "")


def _check_sizes(images: "ImageFiles", masks: "MaskFiles") -> None:
    """Refuse masks that are not as large as their images, and warn where one of the two alone was turned unseen."""
    doubtful = []
    for place, (image, mask) in enumerate(zip(images.paths, masks.paths, strict=True)):
        size, own_size = tuple(images.sizes[place].tolist()), tuple(masks.sizes[place].tolist())
        turns = [images.orientations.get(place, 1), masks.orientations[place]]
        if size != own_size:
            turned = f"; their EXIF orientations are {turns[1]} and {turns[0]}: turn the mask as its image"
            raise DataError(
                f"{mask}: the mask is {own_size[1]}×{own_size[0]}, but its image {image} is {size[1]}×{size[0]} "
                "(height × width); they must have one size"
                + (turned if turns[0] != turns[1] and size == own_size[::-1] else "")
            )
        lies = [turn > 4 for turn in turns]  # on its side: height and width are exchanged
        if turns[0] != turns[1] and (size[0] == size[1] or lies[0] == lies[1]):
            doubtful.append(image)
    if doubtful:
        logger.warning(
            "%s%s: an EXIF orientation that the mask does not have, and the sizes do not tell whether the mask was "
            "drawn on the turned image: `kerasrun preview` shows both",
            *(doubtful[0], f" and {len(doubtful) - 1} more" if doubtful[1:] else ""),
        )
