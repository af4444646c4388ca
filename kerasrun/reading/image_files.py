"""Image files: each is read, checked and hashed once, and always decoded to the same bytes."""

import hashlib
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasrun.errors import DataError, UnreadableImageError
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.disk_cache import Stored, open_disk_cache
from kerasrun.reading.files import listed
from kerasrun.reading.images import (
    as_array,
    changed,
    fit,
    large_in_turn,
    orientation_of,
    own_size,
    read_bytes,
    read_image,
)
from kerasrun.reading.inputs import aligned, in_threads, usable_cores
from kerasrun.reading.memory import fills, memory_budget


class ImageFiles:
    """Image files, whose images are kept if all of them fit into `memory_budget()`.

    They are decoded to the size and colour mode of `image_format`; without `resize` another size is an error.
    `read_all` reads them, or threads in the background; what is asked for meanwhile is read at once. Several threads
    may ask.
    """

    named: ClassVar[str] = "image files"
    is_cached: ClassVar[bool] = True
    """Whether `cache.disk` may keep what does not fit into memory."""

    def __init__(self, paths: Sequence[Path], image_format: ImageFormat, *, resize: bool) -> None:
        self.paths = paths
        self.image_format = image_format
        self.is_kept = len(paths) * math.prod(image_format.shape) <= memory_budget()
        self.is_read = False
        """Whether every file was read."""
        self.sizes = np.zeros((len(paths), 2), np.int32)
        """Width and height of each image in its file, as far as it was read."""
        self.orientations: dict[int, int] = {}
        """The EXIF orientations of those images that have one, by their places in `paths`."""
        self.errors: dict[int, UnreadableImageError] = {}
        """The errors of files, by their places in `paths`."""
        self._resize = resize
        self._images = np.empty((len(paths) if self.is_kept else 0, *image_format.shape), np.uint8)
        self.digests = np.zeros((len(paths), hashlib.sha256().digest_size), np.uint8)
        """The sha256 of each file's bytes, as far as it was read."""
        self._is_hashed = np.zeros(len(paths), np.bool_)
        self._is_checked = np.zeros(len(paths), np.bool_)
        """A file that is, is in `_images` as well if images are kept."""
        self._lock = threading.Lock()
        self.disk = open_disk_cache(paths, image_format) if self.is_cached and not self.is_kept else None
        """Where decoded images are kept that do not fit into memory, if anywhere."""
        fills(self)

    @property
    def missing_bytes(self) -> int:
        """The memory that the images that are not read yet will take, if they are kept."""
        missing = len(self.paths) - int(np.count_nonzero(self._is_checked))
        return missing * math.prod(self.image_format.shape) if self.is_kept and not self.is_read else 0

    @property
    def array(self) -> NDArray[np.uint8] | None:
        """Every image, if all of them are read and kept; rows of files that cannot be used mean nothing."""
        return self._images if self.is_kept and self.is_read else None

    def digest(self, place: int) -> str:
        """Return the sha256 of the bytes of a file that was read, as hexadecimal text."""
        return bytes(self.digests[place]).hex()

    def inputs(self, places: Sequence[int]) -> "ImageInputs":
        """Return some of the images, as the examples of a split."""
        return ImageInputs(self, np.array(places, np.int64))

    def read_all(self) -> None:
        """Read every file, and collect their `errors`.

        Raises:
            DataError: if an image has another size and is not to be resized; the message names two files.
        """
        for _ in in_threads(self._read_once, len(self.paths)):
            pass
        self.is_read = True

    def read_in_background(self, remedy: str, conclude: Callable[[], str], *others: "ImageFiles") -> Future[str]:
        """Begin to read every file, and after each its counterparts in `others`, with half of the processor's cores.

        The future has what `conclude` gives when every file was read; or a `DataError`, which says the `remedy`, if a
        file cannot be used.
        """
        concluded: Future[str] = Future()
        every = (self, *others)
        threads = max(1, usable_cores() // 2)
        # One for all threads, which gives out each once; a generator could not.
        places = itertools.product(range(len(self.paths)), every)
        ended = itertools.count(1)

        def read() -> None:
            try:
                for place, files in places:
                    if concluded.done():
                        return
                    files._read_once(place)
                if next(ended) == threads:
                    for files in every:
                        files.require_all_usable(remedy)
                        files.is_read = True
                    concluded.set_result(conclude())
            except Exception as error:  # noqa: BLE001  it is raised where the result is asked for
                with self._lock:
                    if not concluded.done():
                        concluded.set_exception(error)

        for number in range(threads):
            # A daemon does not hold up the end of the process, for which nobody would see the reason.
            threading.Thread(target=read, name=f"read-{number}", daemon=True).start()
        return concluded

    def require_all_usable(self, remedy: str) -> None:
        """Raise a `DataError` if a file cannot be used, which lists the first ones, and says the `remedy`."""
        if self.errors:
            bad = [f"  {error}" for _, error in sorted(self.errors.items())]
            raise DataError(
                f"{len(bad)} of {len(self.paths)} {self.named} cannot be used:\n"
                + listed(bad, separator="\n")
                + f"\n{remedy}"
            )

    def take(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return images as uint8 of shape (len(places), height, width, channels).

        Raises:
            DataError: if a file cannot be used, or is not as it was when it was read first.
        """
        if self.is_kept and self._is_checked[places].all():
            return self._images[places]
        images = aligned((len(places), *self.image_format.shape), np.dtype(np.uint8))

        # To hand over a copy to another thread takes longer than to make it.
        missing = [row for row, place in enumerate(places.tolist()) if not self._copied(place, images[row])]

        def put(number: int) -> None:
            images[missing[number]] = self._decoded(int(places[missing[number]]))

        for _ in in_threads(put, len(missing)):
            pass
        return images

    def _copied(self, place: int, target: NDArray[np.uint8]) -> bool:
        """Copy an image and return true, if its file was read and it is kept anywhere."""
        if not self._is_checked[place]:
            return False
        if self.is_kept:
            target[...] = self._images[place]
            return True
        return self.disk is not None and self.disk.read(place, self.digests[place].tobytes(), target) is not None

    def _read_once(self, place: int) -> None:
        if self._is_checked[place]:
            return
        try:
            if self.is_kept or self.disk:
                self._decoded(place)
            else:
                self._image(place, self._content(place))
                self._is_checked[place] = True
        except UnreadableImageError as error:
            self.errors[place] = error

    def _decoded(self, place: int) -> NDArray[np.uint8]:
        """Read a file, and decode it unless what its bytes become is on disk."""
        content = self._content(place)
        array = self._from_disk(place)
        if array is None:
            with large_in_turn():
                array = as_array(fit(self._image(place, content), self.image_format))
            if self.disk:
                width, height = self.sizes[place].tolist()
                stored = Stored(width, height, self.orientations.get(place, 0))
                self.disk.write(place, self.digests[place].tobytes(), array, stored)
        if self.is_kept:
            self._images[place] = array
        self._is_checked[place] = True
        return array

    def _from_disk(self, place: int) -> NDArray[np.uint8] | None:
        image = np.empty(self.image_format.shape, np.uint8)
        stored = self.disk.read(place, self.digests[place].tobytes(), image) if self.disk else None
        if stored is None:
            return None
        self._note(place, (stored.width, stored.height), stored.orientation)
        return image

    def _content(self, place: int) -> bytes:
        """Read the bytes of a file, which must be what they were when it was read before."""
        content = read_bytes(self.paths[place])
        digest = hashlib.sha256(content).digest()
        with self._lock:
            if self._is_hashed[place] and self.digests[place].tobytes() != digest:
                raise changed(self.paths[place])
            self.digests[place] = np.frombuffer(digest, np.uint8)
            self._is_hashed[place] = True
        return content

    def _image(self, place: int, content: bytes) -> Image.Image:
        image_format = self.image_format
        image = read_image(content, image_format.color_mode, self.paths[place], image_format.scaled_for)
        self._note(place, own_size(image), orientation_of(image) if "exif" in image.info else 0)
        return image

    def _note(self, place: int, size: tuple[int, int], orientation: int) -> None:
        """Remember the size and the orientation of an image file; orientation 0 says that it has no EXIF data."""
        self.sizes[place] = size
        if orientation:
            self.orientations[place] = orientation
        height, width = self.image_format.height, self.image_format.width
        if not self._resize and size != (width, height):
            raise DataError(
                f"the images differ in size: {first_readable(self.paths)[0]} is {height}×{width}, {self.paths[place]} "
                f"is {size[1]}×{size[0]} (height × width); set `image_size: [height, width]` to bring all of them to "
                "one size"
            )


class ImageInputs:
    """Some of many image files, as the examples of a split."""

    def __init__(self, files: ImageFiles, places: NDArray[np.int64]) -> None:
        self.example_shape = files.image_format.shape
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        self.is_kept = files.is_kept
        """Whether the images stay in memory once they are read."""
        self.is_on_disk = files.disk is not None
        """Whether they are kept decoded on disk."""
        self.files = files
        self.places = places
        """Which of the files, (examples,)."""
        self._array: NDArray[np.uint8] | None = None

    @property
    def array(self) -> NDArray[np.uint8] | None:
        """Every example, read-only, if all of them are in memory by now."""
        whole = self.files.array
        if whole is not None and self._array is None:
            self._array = _rows(whole, self.places)
            self._array.flags.writeable = False
        return self._array

    def __len__(self) -> int:
        return len(self.places)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.files.take(self.places[indices])


def read_images(paths: Sequence[Path], image_format: ImageFormat, *, resize: bool) -> ImageFiles:
    """Read image files, every one of them; arguments and errors are those of `ImageFiles` and its `read_all`."""
    files = ImageFiles(paths, image_format, resize=resize)
    files.read_all()
    return files


def first_readable(paths: Sequence[Path]) -> tuple[Path | None, tuple[int, int]]:
    """Return the first image that can be read, with its height and width; None and (1, 1) if there is none."""
    for path in paths:
        try:
            image = read_image(read_bytes(path), "rgb", path)
        except UnreadableImageError:  # reading all of them reports it
            continue
        return path, (image.height, image.width)
    return None, (1, 1)


def _rows(array: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Return a view where the rows are together, as they are unless files were skipped."""
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return array[places[0] : places[-1] + 1]
    return array[places]
