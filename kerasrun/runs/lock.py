"""One writer of a run at a time.

The truth is the kernel's lock on the open file `.lock` (`flock`; `msvcrt.locking` on Windows): it ends with the process
that holds it, however that dies, so that no stale lock can stay and nobody has to guess. What the file says (host,
process, since when) is for messages, and for the two cases that the kernel cannot decide:

- Another machine. `flock` reaches over NFS only where client and server both support it, so a lock that another machine
  left is refused even if it seems free; a process that was killed there looks the same as one that is training. The
  message says how to remove it. "Another" means another host name and another boot, so that containers on one kernel,
  whose locks are shared, and a machine that was restarted are not other machines.
- A file system without locks. There the file's content decides, by process id and start time (a process id is used
  again), which is said. Of processes that take it in the same instant the last one to write has it: each looks again
  after a moment.
"""

import errno
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from kerasrun.errors import RunBusyError
from kerasrun.regular_files import read_bytes
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory
from kerasrun.text import json_text

logger = logging.getLogger("kerasrun")

_SETTLED_SECONDS = 0.5
"""Longer than another process takes from reading the file to writing it."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


@dataclass(frozen=True)
class Owner:
    """Who writes a run."""

    host: str
    boot: str | None
    """Identity of the running kernel, the same in all its containers."""
    pid: int
    start: str | None
    """When the process began, in the system's own terms: a process id is used again, the pair is not."""
    since: str

    @classmethod
    def myself(cls) -> "Owner":
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), _boot(), os.getpid(), process_start(os.getpid()), since)

    def is_elsewhere(self) -> bool:
        """Whether this is a process of another machine, about which nothing can be known here."""
        return self.host != socket.gethostname() and (self.boot is None or self.boot != _boot())

    def is_alive(self) -> bool:
        """Whether the process is still there; one of another machine counts as alive."""
        if self.is_elsewhere():
            return True
        return self.start is not None and self.boot == _boot() and self.start == process_start(self.pid)


@contextmanager
def lock(run: RunDirectory) -> Iterator[None]:
    """Be the only writer of `run` while the block runs, and remove what a killed writer left half written.

    Raises:
        RunBusyError: if another process is, or may be, writing; says which, and since when.
        RunDirectoryError: if the folder cannot be written.
    """
    with atomic.explained(run.lock_file):
        descriptor = atomic.open_file(run.lock_file, os.O_RDWR | os.O_CREAT)
    try:
        _take(run, descriptor)
        try:
            atomic.remove_leftovers(run.root)
            atomic.remove_leftovers(run.checkpoints)
            yield
        finally:
            # Emptied, not removed: who opened the old file and who makes a new one would both have "the" lock.
            with suppress(OSError):  # what it says is for messages only, closing it is what frees the run
                os.ftruncate(descriptor, 0)
    finally:
        with suppress(OSError):  # the descriptor is gone in any case, and the kernel's lock with it
            os.close(descriptor)


def owner(run: RunDirectory) -> Owner | None:
    """The living process that writes `run`, as far as its lock file tells; touches nothing."""
    found = _read(run.lock_file)
    return found if found and found.is_alive() else None


def _take(run: RunDirectory, descriptor: int) -> None:
    with atomic.explained(run.lock_file):
        free = _lock_file(descriptor)
    before = _read(run.lock_file)
    if free is False:
        raise RunBusyError(_busy(run, before))
    if before and before.is_elsewhere():
        raise RunBusyError(
            f"{run} was taken by process {before.pid} on another machine, {before.host}, at {before.since}, which may "
            f"still be writing it; if you know that it is not, remove {run.lock_file} and try again"
        )
    if free is None and before and before.is_alive():
        raise RunBusyError(_busy(run, before))
    myself = Owner.myself()
    with atomic.explained(run.lock_file):
        # In place: the kernel's lock is on this very file, and a new file under its name would be free.
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(asdict(myself)).encode())
    if free is None:
        time.sleep(_SETTLED_SECONDS)
        if (now := _read(run.lock_file)) != myself:
            raise RunBusyError(_busy(run, now))
        logger.warning(
            "%s lies on a file system without locks: %s says that this process writes it, so start no second one",
            run,
            run.lock_file,
        )


def _busy(run: RunDirectory, who: Owner | None) -> str:
    if who is None:
        return f"{run} is being written by another process, which has just begun; wait for it to end"
    return (
        f"{run} is being written by process {who.pid} on {who.host} since {who.since}; "
        "wait for it to end, or stop it (it saves its state first) and try again"
    )


def _read(path: Path) -> Owner | None:
    """What the lock file says; None if nothing, or the half of it that a kill left."""
    try:
        return json_text.checked(Owner, read_bytes(path))
    except (OSError, ValueError):
        return None


def process_start(pid: int) -> str | None:
    """When a process began, as the system says it; None if there is no such process, or no way to know."""
    if sys.platform == "linux":
        try:
            state, *fields = (
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
        except OSError:
            return None
        return None if state in "ZX" else fields[18]  # a dead process that nobody waited for is still listed
    if sys.platform == "win32":
        return None
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip() or None


def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


if sys.platform == "win32":
    import msvcrt

    def _lock_file(descriptor: int) -> bool | None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a locked byte cannot be read, so lock one behind the content
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock_file(descriptor: int) -> bool | None:
        """Take the kernel's lock: True, False if another process has it, None if this file system has no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return None
            raise
        return True
