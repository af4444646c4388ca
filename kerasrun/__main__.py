"""`python -m kerasrun` is `kerasrun`."""

import os
import sys

# Python puts the working directory first, where a random.py of the user's would be taken for Python's own.
if sys.path and not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109  pathlib imports too much
    del sys.path[0]

from kerasrun.cli import main

main()
