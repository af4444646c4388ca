"""HDF5 files: the one place that opens them, and which arrays in them are read.

HDF5 takes values from other files where a file says so: through external links, raw data in files of any form
(external storage) and virtual data sets. A file of someone else could so bring any file of this machine into a model.
Keras's own rule (`keras/src/saving/saving_lib.py`) is the model: `Contents` has the arrays that lie in the file itself,
and why the others are refused. Besides, HDF5 makes values of nothing: what was never written reads as zeros.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import h5py

from kerasrun.reading.memory import too_packed
from kerasrun.regular_files import require_regular

MOST_OBJECTS = 15_000
DEEPEST = 100
_CHUNK_CACHE = 2**20
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
_CHECKSUM = 4
"""Bytes at the end of a chunk with fletcher32, which HDF5 takes off without a look at how many there are."""


class Contents:
    """An open HDF5 file; used by `with`, or closed with the last of its arrays."""

    def __init__(self, source: Path | BinaryIO, chunk_cache: int = _CHUNK_CACHE) -> None:
        """
        Args:
            chunk_cache: how many bytes of decompressed chunks are kept for each array.

        Raises:
            OSError: or whatever else h5py raises of a damaged file.
            ValueError: if there are too many objects in it, or groups are nested too deeply.
        """
        if isinstance(source, Path):
            require_regular(source)
        # Nobody else writes a file that is read here, and HDF5's locks do not exist on every file system.
        self.file: Any = h5py.File(source, "r", locking=False, rdcc_nbytes=chunk_cache)
        self.arrays: dict[str, Any] = {}
        """Each array that lies in this file, by its path."""
        self.refused: dict[str, str] = {}
        """Why the others, and links to other files, are not read."""
        self.virtual: dict[str, Any] = {}
        """Those of the refused whose values are pieces of other arrays: in this file, or in others."""
        try:
            self._look_through()
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def require_own(self) -> Self:
        """Raise a ValueError if anything in the file is refused."""
        for name, why in self.refused.items():
            raise ValueError(f"{name}: {why}")
        return self

    def _look_through(self) -> None:
        seen, groups, count = {_address(self.file)}, [("", self.file, 1)], 0
        while groups:
            prefix, group, depth = groups.pop()
            count += len(group)
            if count > MOST_OBJECTS:
                raise ValueError(f"it has more than {MOST_OBJECTS:,} objects")
            for name, item in _items(group):
                path = f"{prefix}{name}"
                if isinstance(item, str):
                    self.refused[path] = item
                elif isinstance(item, h5py.Dataset):
                    self._add(path, item)
                elif isinstance(item, h5py.Group) and _address(item) not in seen:
                    if depth == DEEPEST:
                        raise ValueError(f"its groups are nested more than {DEEPEST} deep")
                    seen.add(_address(item))
                    groups.append((f"{path}/", item, depth + 1))

    def _add(self, path: str, array: Any) -> None:
        if array.external:
            self.refused[path] = f"its values are in another file, {array.external[0][0]}, which is not read"
        elif array.is_virtual:
            self.virtual[path] = array
            self.refused[path] = "it is a virtual data set, whose values are elsewhere"
        elif why := _too_packed(array) or _why_damaged(array):
            self.refused[path] = why
        else:
            self.arrays[path] = array


def _too_packed(array: Any) -> str | None:
    """As `too_packed`; a chunk is unpacked whole, and may be far larger than its array."""
    if array.dtype.kind == "O":
        return None
    unpacked = array.id.get_num_chunks() * math.prod(array.chunks) if array.chunks else 0
    numbers = max(math.prod(array.shape or (0,)), unpacked)
    return too_packed(numbers * array.dtype.itemsize, array.id.get_storage_size())


def _why_damaged(array: Any) -> str | None:
    """Return why HDF5 would read beyond the end of a chunk, or by a filter that is not h5py's; None if it would not."""
    if not array.chunks:
        return None
    filters = array.id.get_create_plist()
    codes = {filters.get_filter(number)[0] for number in range(filters.get_nfilters())}
    if others := sorted(codes - _FILTERS):
        return f"its values went through the filter {others[0]} of HDF5; expected gzip, lzf, shuffle or fletcher32"
    sizes: list[int] = []
    array.id.chunk_iter(lambda chunk: sizes.append(chunk.size))
    least = _CHECKSUM + 1 if h5py.h5z.FILTER_FLETCHER32 in codes else 1
    return "a chunk of it is damaged" if min(sizes, default=least) < least else None


def check(source: Path | BinaryIO) -> int:
    """Look through a file that Keras will open by itself, and return how many numbers it holds.

    Raises:
        OSError: or whatever else h5py raises of a damaged file.
        ValueError: if something in it is refused.
    """
    with Contents(source) as contents:
        return sum(array.size or 0 for array in contents.require_own().arrays.values())


def _items(group: Any) -> Iterator[tuple[str, Any]]:
    """Give what a group holds by name: what is there, or why a link is not followed; links within the file are left."""
    for name in group:
        if isinstance(name, bytes):  # as h5py gives one that is not UTF-8
            yield name.decode("utf-8", "backslashreplace"), "its name is not UTF-8"
            continue
        kind = group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type
        if kind == h5py.h5l.TYPE_HARD:
            yield name, group[name]
        elif kind == h5py.h5l.TYPE_EXTERNAL:
            yield name, f"it is a link to another file, {group.get(name, getlink=True).filename}, which is not read"
        elif kind != h5py.h5l.TYPE_SOFT:
            yield name, f"it is a link of the unknown type {kind}"


def _address(group: Any) -> tuple[int, int]:
    info = h5py.h5o.get_info(group.id)
    return info.fileno, info.addr
