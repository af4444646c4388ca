"""A disk that fails once."""

import errno
import os
import stat

from kerasrun.errors import RunDirectoryError

OPERATIONS = (
    "open",
    "write",
    "fsync",
    "close",
    "replace",
    "rename",
    "mkdir",
    "unlink",
    "rmdir",
    "truncate",
    "ftruncate",
)


class FailingDisk:
    """Counts the operations that change a disk, and lets one of them fail once."""

    def __init__(self, monkeypatch):
        self.calls = []
        self.fail_at = None
        self.error = errno.ENOSPC
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name, real):
        def operation(*arguments, **options):
            if name == "close" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode):
                return real(*arguments)  # closing a folder does not fail, and `shutil.rmtree` would close it twice
            if name == "open" and arguments[1] == os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK:
                return real(*arguments, **options)  # that of `open_regular`, to read
            self.calls.append(name)
            if len(self.calls) - 1 != self.fail_at:
                return real(*arguments, **options)
            if name == "close":
                real(*arguments, **options)
            if name == "write":
                real(arguments[0], bytes(arguments[1])[:3])
            raise OSError(self.error, os.strerror(self.error))

        return operation

    def fail(self, at, error=errno.ENOSPC):
        """Let the operation `at`, counted from now, fail; None lets none fail."""
        self.calls, self.fail_at, self.error = [], at, error

    def attempt(self, at, error, function, *arguments, **options):
        """Call `function` with operation `at` failing; its RunDirectoryError, or None if it came to its end."""
        self.fail(at, error)
        try:
            function(*arguments, **options)
        except RunDirectoryError as failure:
            return failure
        return None

    @property
    def failed(self):
        """The name of the operation that failed, or None if there were not so many."""
        return self.calls[self.fail_at] if self.fail_at is not None and self.fail_at < len(self.calls) else None
