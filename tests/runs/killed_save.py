"""Saves a checkpoint again and again, killed before one operation after the other: killed_save.py FOLDER STEP.

For each place a copy of FOLDER/base is made as FOLDER/<place>; the last copy is of the save that nobody killed.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from kerasrun.runs import checkpoints
from kerasrun.runs.directory import RunDirectory

OPERATIONS = ("open", "write", "fsync", "close", "replace", "rename", "mkdir", "unlink", "rmdir")


def main(folder, step):
    place = 0
    while not _killed(shutil.copytree(folder / "base", folder / str(place)), step, place):
        place += 1


def _killed(copy, step, place):
    """Whether the save came to its end before `place` operations were done."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    _kill_before(place)
    checkpoints.save(RunDirectory(copy), step, b"new", {"saved": "new"}, keep=2)
    os._exit(0)


def _kill_before(place):
    count = 0

    def wrap(real):
        def operation(*arguments, **options):
            nonlocal count
            if count == place:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return real(*arguments, **options)

        return operation

    for name in OPERATIONS:
        setattr(os, name, wrap(getattr(os, name)))


main(Path(sys.argv[1]), int(sys.argv[2]))
