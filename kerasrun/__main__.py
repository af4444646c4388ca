"""`python -m kerasrun` is `kerasrun`."""

import os
import sys

# Python puts the working directory first, where a random.py of the user's would be taken for Python's own.
# It is asked for last, and not by pathlib, which imports too much: it may have been removed.
if sys.path and not sys.flags.safe_path and (not sys.path[0] or sys.path[0] == os.getcwd()):  # noqa: PTH109
    del sys.path[0]

from kerasrun.cli import main

main()
