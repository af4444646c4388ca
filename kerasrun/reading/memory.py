"""How much memory examples may take."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal
from weakref import WeakSet

DEFAULT_SHARE = 0.25
_UNKNOWN_MEMORY = 4 * 2**30
_SMALL = 2**26
_MOST_PACKED = 1000
CONTAINER = Path("/sys/fs/cgroup")
"""The folder in which Linux reports how much memory this container may use."""


_filling: WeakSet[Any] = WeakSet()


def fills(one: Any) -> None:
    """Count the `missing_bytes` of one as used: it has not touched them yet, so that the system counts them as free."""
    _filling.add(one)


# Whether arrays are kept is decided far below `Source.open`, whose parameters are the same for all sources.
_memory: ContextVar[tuple[float, int]] = ContextVar("memory", default=(DEFAULT_SHARE, 1))
DiskLimit = float | Literal["auto"]
_disk: ContextVar[DiskLimit] = ContextVar("disk", default=0)


@contextmanager
def kept_within(memory: float, processes: int = 1, disk: DiskLimit = 0) -> Iterator[None]:
    """Bound what is kept in memory: a share of what is available, up to 1, or else a number of bytes.

    Args:
        processes: how many on this machine keep as much, and share it.
        disk: how many bytes the cache on disk may have, for what does not fit into memory.
    """
    tokens = _memory.set((memory, processes)), _disk.set(disk)
    try:
        yield
    finally:
        _memory.reset(tokens[0])
        _disk.reset(tokens[1])


def disk_limit() -> DiskLimit:
    """Return how many bytes the cache on disk may have, `auto` for a part of the room that the disk has."""
    return _disk.get()


def memory_budget() -> int:
    """Return the number of bytes of examples, or of what is computed of them, that may be kept in memory."""
    missing: int = sum(one.missing_bytes for one in list(_filling))
    available = max(0, available_memory() - missing)
    memory, processes = _memory.get()
    return min(available, int(available * memory) if memory <= 1 else int(memory)) // processes


def too_packed(promised: int, stored: Path | int, *, small: int = _SMALL) -> str | None:
    """Return why nothing is unpacked that promises far more bytes than are stored, by a file or part of one.

    None if it may be, or is small: deflate packs zeros, and nothing else, into a thousandth.
    """
    if promised <= small:
        return None
    if isinstance(stored, Path):
        state = stored.stat()
        blocks = 512 * getattr(state, "st_blocks", 0)  # fewer bytes where a file has holes; some systems say none
        stored = min(state.st_size, blocks or state.st_size)
    if promised <= _MOST_PACKED * stored:
        return None
    return f"promises {promised:,} bytes, of which {stored:,} are stored; expected at least a thousandth"


def too_large(needed: int) -> str | None:
    """Return why so many bytes are not read into memory at once; None if they may be."""
    available = available_memory()
    return f"has {needed:,} bytes, but {available:,} bytes of memory are free" if needed > available else None


def available_memory() -> int:
    """Return the number of bytes that are free, as far as the system says."""
    known = []
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        known.append(int(fields["MemAvailable"].split()[0]) * 1024)
    elif hasattr(os, "sysconf"):
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if (CONTAINER / "memory.max").exists() and (limit := (CONTAINER / "memory.max").read_text().strip()) != "max":
        known.append(max(0, int(limit) - int((CONTAINER / "memory.current").read_text())))
    known += [left for name in ("AS", "DATA") if (left := _left_of(name)) is not None]
    return min(known, default=_UNKNOWN_MEMORY)


def addresses_left() -> float:
    """Return how many addresses `ulimit -v` leaves to this process; without a limit without an end."""
    left = _left_of("AS")
    return math.inf if left is None else left


def _left_of(name: str) -> int | None:
    """Return what is left to this process of a limit (`AS`: ulimit -v; `DATA`: ulimit -d), where it is set."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    import resource  # not there on every system that has no /proc either

    size, *_, data, _ = (int(pages) * resource.getpagesize() for pages in statm.read_text().split())
    limit = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
    return None if limit == resource.RLIM_INFINITY else max(0, limit - {"AS": size, "DATA": data}[name])
