"""Decoded images on disk: a file for a list of image files and the rule by which they are decoded.

Image number i has slot i: its pixels, then the sha256 of the image file that they were decoded from, then a checksum
over both, which is computed again whenever a slot is read. So a slot is either the pixels of exactly these bytes, or it
counts as empty and the image file is decoded: after a kill in the middle of a write, a power failure, damage, a change
of the image file. Nothing has to be locked or flushed either: any number of processes may read and write at once, and
whoever reads half of what another one writes finds that the checksum is wrong.

Slots are read and written by position, and not through a memory map: of a file that somebody truncates, and on a disk
that is full, a map ends the process by a signal, where a read is short and a write is an error. Both cost the same, as
the pixels are copied into a batch anyway.
"""

import errno
import json
import logging
import os
import platform
import shutil
import stat
import struct
import weakref
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from kerasrun.reading import images
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.files import sha256_of
from kerasrun.reading.memory import disk_limit
from kerasrun.regular_files import open_regular, sha256_of_file
from kerasrun.text.json_text import checked
from kerasrun.user_folders import user_folder
from kerasrun.version import VERSION

logger = logging.getLogger("kerasrun")

AUTO_SHARE = 10
"""With `auto`, the cache takes at most so small a part of the room that the disk would have without it."""
_SUFFIX = ".images"
_HEADER = 4096
"""Bytes before the first slot: what `kerasrun cache` tells of the file."""
_END = struct.Struct("<32siii")
"""Behind the pixels: sha256 of the image file; width and height in it; EXIF orientation, 0 if it has no EXIF data."""
_SUM = struct.Struct("<QI")
"""Checksums of the pixels, eight bytes each, and of all else."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Stored(NamedTuple):
    """The size and the EXIF orientation of an image file."""

    width: int
    height: int
    orientation: int


class DiskCache:
    """The slots of some image files; reading and writing never raise."""

    def __init__(self, path: Path, descriptor: int, pixels: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._slot = slot_bytes(pixels)
        self._writes = True
        weakref.finalize(self, os.close, descriptor)

    def read(self, place: int, digest: bytes, into: NDArray[np.uint8]) -> Stored | None:
        """Read the image that was decoded from a file of this sha256, contiguous; None if it is not there."""
        end = bytearray(_END.size + _SUM.size)
        try:
            size = os.preadv(self._descriptor, [into.data, end], _HEADER + place * self._slot)
        except OSError:
            return None
        if size != self._slot or not end.startswith(digest) or end[_END.size :] != _sum(into, end):
            return None
        return Stored(*_END.unpack_from(end)[1:])

    def write(self, place: int, digest: bytes, image: NDArray[np.uint8], stored: Stored) -> None:
        """Write an image; once that fails, nothing is written any more."""
        if not self._writes:
            return
        image = np.ascontiguousarray(image)
        end = _END.pack(digest, *stored)
        try:
            size = os.pwritev(self._descriptor, [image.data, end, _sum(image, end)], _HEADER + place * self._slot)
            if size != self._slot:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._end_writing(error)

    def _end_writing(self, error: OSError) -> None:
        self._writes = False
        if error.errno in _FULL:  # the run itself has files to write on this disk
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                self.path.unlink(missing_ok=True)
        logger.warning("cache.disk: %s: %s; images that are not there are decoded", self.path, error.strerror)


@dataclass(frozen=True)
class Entry:
    """A file of the cache."""

    path: Path
    size: int
    """Bytes when every slot is full."""
    used: int
    """Bytes that it takes now."""
    seconds: float
    """When it was used last, since 1970."""

    def described(self) -> "Described | None":
        """Return what its header tells; None if it tells nothing."""
        try:
            with open_regular(self.path) as file:
                return checked(Described, file.read(_HEADER).rstrip(b"\0"))
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Described:
    """The header of a file of the cache."""

    data: str
    """The folder of the image files."""
    images: int
    shape: tuple[int, int, int]
    """That of a decoded image."""


def open_disk_cache(paths: Sequence[Path], image_format: ImageFormat) -> DiskCache | None:
    """Open the file that has the images of `paths`, or make it; None if there is to be none, or cannot be one."""
    limit = disk_limit()
    if limit == 0 or not paths:
        return None
    say = logger.info if limit == "auto" else logger.warning
    pixels = int(np.prod(image_format.shape))
    needed = _HEADER + len(paths) * slot_bytes(pixels)
    try:
        if not hasattr(os, "preadv"):
            raise OSError(errno.ENOSYS, "this system cannot read at a position")
        folder = _own_folder()
        path = folder / (_key(paths, image_format) + _SUFFIX)
        problem = _make_room(folder, path, needed, limit)
        if problem is None:
            return DiskCache(path, _opened(path, needed, paths, image_format), pixels)
    except (OSError, ValueError) as error:
        problem = str(error)
    say("cache.disk: %s; images are decoded in each epoch", problem)
    return None


def slot_bytes(pixels: int) -> int:
    return pixels + _END.size + _SUM.size


def cache_folder() -> Path:
    """Return where the files are, or will be; raises as `user_folder`."""
    return user_folder("XDG_CACHE_HOME", ".cache") / "images"


def entries(folder: Path) -> list[Entry]:
    """Return the files of the cache, those first that were used last.

    Raises:
        OSError: if there may be some, and they cannot be listed.
    """
    found = []
    for path in folder.glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError):  # removed by another process
            state = path.lstat()
            if stat.S_ISREG(state.st_mode):
                found.append(Entry(path, state.st_size, min(state.st_size, 512 * state.st_blocks), state.st_mtime))
    return sorted(found, key=lambda entry: -entry.seconds)


def _sum(image: NDArray[np.uint8], end: bytes | bytearray) -> bytes:
    flat = image.reshape(-1)
    whole = flat.size - flat.size % 8
    words = flat[:whole].view(np.uint64)
    # A third of the time of crc32, which would be most of the time of reading; and twice its bits.
    return _SUM.pack(
        int(np.dot(words, _factors(len(words)))), zlib.crc32(flat[whole:].data, zlib.crc32(end[: _END.size]))
    )


@cache
def _factors(count: int) -> NDArray[np.uint64]:
    """Return odd factors without a pattern, of splitmix64: any change of one word changes the sum."""
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31)) | np.uint64(1)


def _key(paths: Sequence[Path], image_format: ImageFormat) -> str:
    """Return the name for these files, decoded by this rule; their contents are in the slots."""
    decoders = [f"{name} {features.version(name)}" for name in ("jpg", "libjpeg_turbo", "zlib", "webp", "libtiff")]
    # Whatever changes the bytes that the one decoder gives, changes its text.
    rule = [VERSION, sha256_of_file(Path(images.__file__)), PIL.__version__, *decoders, platform.machine()]
    return sha256_of([rule, [json.dumps(asdict(image_format))], [str(path.absolute()) for path in paths]])


def _own_folder() -> Path:
    """Make the folder, if need be; raise an OSError where others may write what would be taken for images."""
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.geteuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(
            errno.EPERM, "expected a folder that is yours, in which nobody else may write", str(folder)
        )
    return folder


def _make_room(folder: Path, path: Path, needed: int, limit: float | str) -> str | None:
    """Remove what was used longest ago until the file has room; return why there is none."""
    found = entries(folder)
    free = shutil.disk_usage(folder).free
    most = (free + sum(entry.used for entry in found)) / AUTO_SHARE if limit == "auto" else float(limit)
    others = [entry for entry in found if entry.path != path]
    if needed > most:
        return f"the decoded images have {needed:,} bytes, and {most:,.0f} are allowed"
    total = needed + sum(entry.size for entry in others)
    while others and total > most:
        oldest = others.pop()
        oldest.path.unlink(missing_ok=True)
        total -= oldest.size
    there = sum(entry.used for entry in found if entry.path == path)
    if needed - there > (free := shutil.disk_usage(folder).free):
        return f"the decoded images have {needed:,} bytes, and {free:,} are free in {folder}"
    return None


def _opened(path: Path, needed: int, paths: Sequence[Path], image_format: ImageFormat) -> int:
    """Open the file in its whole length, whose slots take no room before they are written."""
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "expected a file", str(path))
        if state.st_size != needed:
            os.ftruncate(descriptor, needed)
            where = os.path.commonpath([path.absolute().parent for path in (paths[0], paths[-1])])[: _HEADER // 8]
            told = Described(where, len(paths), image_format.shape)
            os.pwrite(descriptor, json.dumps(asdict(told)).encode().ljust(_HEADER, b"\0"), 0)
        os.utime(descriptor)  # the time of the last use
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
