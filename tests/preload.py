"""Libraries that are loaded before the C library and answer in its place: a file system, a clock."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def preloaded(source: str, folder: Path) -> dict[str, str]:
    """Return the environment of a process that loads this source in C first; skip the test without a compiler."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("needs a C compiler (cc)")
    library = folder / "preloaded.so"
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    subprocess.run(command, input=source, text=True, check=True)
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "LD_PRELOAD": str(library)}
