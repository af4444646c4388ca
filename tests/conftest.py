"""What every test may use."""

import gc
import importlib
import os
import shutil
import signal
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasrun.engine import devices
from kerasrun.runs.environment import environment
from tests import seeds

# What tests compute in their own process is compared with what kerasrun computed in others, after `devices.start`.
devices._compute_with_onednn()


MEMORY = Path("/dev/shm")
"""The file system in memory that Linux has."""
ENOUGH = 8 * 2**30
LONG = (
    *("torture/test_torture.py", "workers/test_training.py", "engine/test_sharded_steps.py", "training/test_links.py"),
    *("test_configs.py", "docs/test_readme.py", "docs/test_tutorial.py", "training/test_exact_resume.py"),
)
"""Files that take a minute or so. They are begun first, so that at the end no process waits for another's long file."""


def pytest_addoption(parser):
    parser.addoption("--other-seeds", type=int, default=0, metavar="N", help=seeds.__doc__)


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a shell leaves it to what it begins in the background; tests send this signal to processes that they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as nohup leaves it
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Here, since test modules copy the environment for processes that they start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of hundreds of processes compiles the package again
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="kerasrun-state-")
    # Matplotlib's list of fonts stays where it is: making it anew takes seconds.
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    os.environ.setdefault("MPLCONFIGDIR", str(own))
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="kerasrun-cache-")
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        # A small training waits for the disk 48 times, so that its files outlive a power failure; a test's need not.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if times := config.getoption("--other-seeds"):
        os.environ[seeds.VARIABLE] = str(times)
        seeds.exchange()


def pytest_unconfigure(config):
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        shutil.rmtree(os.environ[variable])


def pytest_collection_modifyitems(config, items):
    """Begin with long files, and leave numbers of 16 bits out where oneDNN is told of an older processor than this one.

    TensorFlow's matrix product asks the processor, not oneDNN, whether it has bfloat16 and float16, hands them
    to oneDNN, and ends in a segmentation fault.
    """
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))
    here = environment(config.rootpath)["processor"]["instruction_sets"]
    if os.environ.get("ONEDNN_MAX_CPU_ISA") in ("SSE41", "AVX", "AVX2") and "avx512f" in here:
        for item in items:
            if item.get_closest_marker("half_precision"):
                item.add_marker(pytest.mark.skip("oneDNN is told of a processor without such numbers"))


@pytest.fixture(autouse=True, scope="module")
def leave_tensorflow_out_of_the_garbage(request):
    """Keras looks for garbage before each training, and TensorFlow's objects are by far the most to look through."""
    if request.node.get_closest_marker("tensorflow"):
        importlib.import_module("keras")
    if "tensorflow" in sys.modules:
        gc.collect()
        gc.freeze()


@pytest.fixture
def write_image():
    """Write an image of random pixels; returns its array of shape (height, width[, channels])."""

    def write(path, size=(6, 8), mode="RGB", seed=0, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, *channels), dtype=np.uint8)
        Image.fromarray(pixels, mode=None if mode != "CMYK" else "CMYK").save(path, **options)
        return pixels

    return write


@pytest.fixture
def write_idx():
    """Write uint8 values as an IDX file."""

    def write(path, array):
        array = np.asarray(array, np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        path.write_bytes(header + array.tobytes())

    return write


@pytest.fixture
def class_folders(tmp_path, write_image):
    """`train` with 3 cats and 2 dogs, `test` with 1 of each: 6×8 RGB PNG."""
    for seed, name in enumerate(["train/cat/a", "train/cat/b", "train/cat/c", "train/dog/a", "train/dog/b"]):
        write_image(tmp_path / f"pets/{name}.png", seed=seed)
    for seed, name in enumerate(["test/cat/x", "test/dog/y"]):
        write_image(tmp_path / f"pets/{name}.png", seed=10 + seed)
    return tmp_path / "pets"
