"""Files are opened through one door, which waits for nobody, and as far as they may be long."""

import ast
import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun import model_file, regular_files
from kerasrun.errors import DataError, KerasrunError
from kerasrun.experiment.draft import draft_experiment
from kerasrun.experiment.load import load
from kerasrun.models._architecture import read_architecture
from kerasrun.reading.archives import check_weights
from kerasrun.reading.rows import TextTable
from kerasrun.results.examples import _from_arrays
from kerasrun.runs import checkpoints, directory
from kerasrun.runs.metrics import Table
from kerasrun.sources.csv import Csv
from kerasrun.sources.directory import Directory
from kerasrun.sources.hdf5 import Hdf5
from kerasrun.sources.idx import Idx
from kerasrun.sources.image_masks import ImageMasks
from kerasrun.sources.keras_dataset import KerasDataset
from kerasrun.sources.npy import Npy
from kerasrun.sources.npz import Npz
from kerasrun.sources.parquet import Parquet

PACKAGE = Path(kerasrun.__file__).parent


@pytest.fixture(autouse=True)
def impatient():
    """A read that waits fails its test."""

    def give_up(*_):
        raise TimeoutError("it waits")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)


@pytest.fixture(params=["pipe", "socket", "device", "endless"])
def special(request):
    """Make something under a name that is no regular file; with it the words that say what."""

    def make(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        match request.param:
            case "pipe":
                os.mkfifo(path)
            case "socket":
                with contextlib.chdir(path.parent):  # the name of a socket may have a hundred characters
                    server = socket.socket(socket.AF_UNIX)
                    server.bind(path.name)
                request.addfinalizer(server.close)
            case "device":
                path.symlink_to("/dev/tty")
            case "endless":
                path.symlink_to("/dev/zero")
        return path

    make.words = {"pipe": "it is a named pipe", "socket": "it is a socket"}.get(request.param, "it is a device")
    return make


def _csv(folder, make):
    Csv(train=make(folder / "a.csv"), label="y").open()


def _parquet(folder, make):
    Parquet(train=make(folder / "a.parquet"), label="y").open()


def _npz(folder, make):
    Npz(path=make(folder / "a.npz")).open()


def _hdf5(folder, make):
    Hdf5(path=make(folder / "a.h5")).open()


def _npy(folder, make):
    np.save(folder / "x.npy", np.zeros((4, 3)))
    Npy(x_train=folder / "x.npy", y_train=make(folder / "y.npy")).open()


def _npy_to_predict(folder, make):
    _from_arrays([make(folder / "a.npy")], (3,), None)


def _idx(folder, make):
    make(folder / "train-labels-idx1-ubyte")
    Idx(path=folder, train_images=make(folder / "x"), train_labels=folder / "train-labels-idx1-ubyte").open()


def _cifar(folder, make):
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for name in names:
        make(folder / "cifar-10-batches-py-target/cifar-10-batches-py" / name)
    KerasDataset(name="cifar10", path=folder).open()


def _images(folder, make):
    for name in ("a", "b"):
        (folder / f"x/train/{name}").mkdir(parents=True)
        Image.new("L", (4, 4)).save(folder / f"x/train/{name}/1.png")
    make(folder / "x/train/b/2.png")
    Directory(path=folder / "x").open().require_read()


def _masks(folder, make):
    for name in ("images", "masks"):
        (folder / "x" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(folder / f"x/{name}/1.png")
    make(folder / "x/masks/1.png")
    ImageMasks(path=folder / "x").open()


def _network(suffix):
    return lambda folder, make: read_architecture(make(folder / f"a{suffix}"))


def _run(name, read):
    def in_run(folder, make):
        run = directory.create(folder, "a")
        make(run.root / name)
        read(run)

    return in_run


def _plugin(folder, make):
    make(folder / "own.py")
    (folder / "a.yaml").write_text("data: {npz: {path: a.npz}}\nmodel: {MLP: {units: [4]}}\nplugins: [own.py]\n")
    load(folder / "a.yaml")


def _checkpoint(name):
    def in_checkpoint(folder, make):
        run = directory.create(folder, "a")
        checkpoints.save(run, 1, b"state", {}, 1)
        make(run.checkpoints / "00000001" / name)
        checkpoints.newest(run)

    return in_checkpoint


READERS = {
    "csv": _csv,
    "parquet": _parquet,
    "npz": _npz,
    "hdf5": _hdf5,
    "npy": _npy,
    "npy to predict": _npy_to_predict,
    "idx": _idx,
    "cifar": _cifar,
    "images": _images,
    "masks": _masks,
    "plugin": _plugin,
    "experiment": lambda folder, make: load(make(folder / "a.yaml")),
    "model file": lambda folder, make: model_file.check(make(folder / "a.keras")),
    "its input": lambda folder, make: model_file.read_input_shape(make(folder / "a.keras")),
    **{f"checkpoint: {name}": _checkpoint(name) for name in ("state.h5", "progress.json")},
    **{f"network {suffix}": _network(suffix) for suffix in (".keras", ".h5", ".json", ".yaml")},
    **{
        f"run: {name}": _run(name, read)
        for name, read in {
            "run.json": lambda run: run.read_run(),
            "resolved.yaml": lambda run: run.read_resolved({"resolved_sha256": ["0"]}),
            "metrics.csv": lambda run: Table(run.metrics_file).rows(),
        }.items()
    },
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_is_named_and_not_waited_for(tmp_path, special, name):
    with pytest.raises(KerasrunError) as error:
        READERS[name](tmp_path, special)
    assert special.words in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert error.value.exit_code == (2 if name in ("experiment", "plugin") else 1)


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_weights_are_not_waited_for(tmp_path, special, suffix):
    with pytest.raises(OSError, match=special.words):
        check_weights(special(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.h5", "a.parquet", "train-images-idx3-ubyte", "b/1.png", "c/1"])
def test_a_draft_waits_for_nobody(tmp_path, special, name):
    path = special(tmp_path / "data" / name)
    with pytest.raises(DataError, match=special.words):
        draft_experiment(path, tmp_path / "draft.yaml")
    with pytest.raises(DataError):
        draft_experiment(tmp_path / "data", tmp_path / "draft.yaml")


def test_a_run_that_cannot_be_read_does_not_hold_up_the_list(tmp_path, special):
    run = directory.create(tmp_path / "runs", "a")
    special(run.root / ".lock")
    other = directory.create(tmp_path / "runs", "b")
    command = [sys.executable, "-m", "kerasrun", "runs", "--output", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert other.name in done.stdout + done.stderr
    assert done.returncode == 0


def test_no_more_than_may_be_is_read(tmp_path):
    (tmp_path / "a").write_bytes(bytes(10))
    assert regular_files.read_bytes(tmp_path / "a", 10) == bytes(10)
    with pytest.raises(OSError, match="it has more than 9 bytes"):
        regular_files.read_bytes(tmp_path / "a", 9)


def test_a_file_that_grows_while_it_is_read_is_told(tmp_path, monkeypatch):
    """As the one of someone who writes faster than this reads, and so never lets it end."""
    (tmp_path / "a.csv").write_text("x,y\n1,0\n2,1\n" * 3)
    (tmp_path / "a.png").write_bytes(bytes(100))
    smaller = os.stat_result([*(tmp_path / "a.csv").stat()][:6] + [20] + [0] * 3)
    monkeypatch.setattr(os, "fstat", lambda _: smaller)
    with pytest.raises(OSError, match="it grows while it is read"):
        regular_files.read_bytes(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.csv: grows while it is read; expected a file that stays"):
        Csv(train=tmp_path / "a.csv", label="y").open()


def test_a_table_that_was_changed_while_it_was_read_is_told(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("x,y\n1,0\n2,1\n")
    real = TextTable.blocks

    def blocks(*arguments):
        yield from real(*arguments)
        (tmp_path / "a.csv").write_text("x,y\n")

    monkeypatch.setattr(TextTable, "blocks", blocks)
    with pytest.raises(DataError, match=r"a\.csv: was changed after the data were opened"):
        Csv(train=tmp_path / "a.csv", label="y").open()


OURS = {
    # The system's own, and what another process of ours wrote into a private folder.
    *(
        "reading/memory.py",
        "runs/environment.py",
        "runs/lock.py: Path",
        "training/verification.py",
        "training/trial.py",
    ),
    # Keras's source, and what is installed with kerasrun.
    *("keras_catalogue.py", "keras_source.py", "experiment/examples.py"),
    # What was exported, drawn or reported a moment ago.
    *("exports/json.py", "exports/yaml.py", "notebook.py"),
}
"""The files, or what they read, that no stranger wrote."""


def test_nothing_else_opens_files_for_reading():
    found = set()
    for file in PACKAGE.rglob("*.py"):
        name = file.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _reads_a_file(node):
                found.add((name, ast.unparse(node.func)))
    allowed = {one for one in found for ours in OURS if f"{one[0]}: {one[1]}".startswith(ours)}
    assert allowed
    doors = {
        ("regular_files.py", "open"),
        ("cli.py", "open"),  # a descriptor
        ("reading/hdf5.py", "h5py.File"),  # after `require_regular`
        *((file, "h5py.File") for file in ("engine/state.py", "model_file.py")),  # in memory
        *(("sources/parquet.py", f"parquet.{one}") for one in ("ParquetFile", "read_metadata")),  # of what was opened
        ("reading/images.py", "Image.open"),  # of what was read, or opened
        ("reading/archives.py", "zipfile.ZipFile"),  # of what was opened
        ("model_file.py", "zipfile.ZipFile"),  # to write
    }
    assert found - allowed == doors


def _reads_a_file(call):
    function = ast.unparse(call.func)
    if function.endswith((".read_text", ".read_bytes")):
        return not function.startswith("regular_files.")
    modes = [ast.unparse(one) for one in (*call.args, *(keyword.value for keyword in call.keywords))]
    if function.endswith(".open") and any(mode in ("'rb'", "'r'") for mode in modes):
        return True
    if function.endswith(".open") and not call.args and any(keyword.arg == "encoding" for keyword in call.keywords):
        return True
    names = (
        "open",
        "np.load",
        "h5py.File",
        "zipfile.ZipFile",
        "Image.open",
        "parquet.ParquetFile",
        "parquet.read_metadata",
        "gzip.open",
    )
    return function in names


@pytest.mark.skipif(sys.platform != "linux", reason="there are none elsewhere")
def test_a_stream_of_the_system_is_no_file(tmp_path, monkeypatch):
    """As Linux's /proc/kmsg, which says that it is a file of no bytes; here a pipe that says so."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    (tmp_path / "a").touch()
    monkeypatch.setattr(regular_files.os, "pread", lambda descriptor, *_: os.read(reading, 1))
    with pytest.raises(OSError, match="it is a stream of the system, not a file"):
        regular_files.open_regular(tmp_path / "a")
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none elsewhere")
def test_a_file_that_a_pipe_replaces_while_it_is_opened_is_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "a").touch()

    def replace(path):
        path.unlink()
        os.mkfifo(path)

    monkeypatch.setattr(regular_files, "require_regular", replace)
    with pytest.raises(OSError, match="it is a named pipe, not a file"):
        regular_files.open_regular(tmp_path / "a")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none elsewhere")
@pytest.mark.parametrize("source", ["npy", "npz", "parquet"])
def test_a_file_of_data_that_a_pipe_replaces_after_the_look_is_not_waited_for(tmp_path, monkeypatch, source):
    module = importlib.import_module(f"kerasrun.sources.{source}")
    real = module.first_bytes
    write = {"npy": np.save, "npz": lambda file, array: np.savez(file, x_train=array, y_train=array[:, 0])}
    with (tmp_path / "a").open("wb") as file:
        write.get(source, lambda file, _: file.write(b"PAR1PAR1"))(file, np.zeros((4, 3)))

    def replaced(path, expected):
        start = real(path, expected)
        path.unlink()
        os.mkfifo(path)
        return start

    monkeypatch.setattr(module, "first_bytes", replaced)
    opened = {
        "npy": lambda: module.mapped(tmp_path / "a"),
        "npz": lambda: Npz(path=tmp_path / "a").open(),
        "parquet": lambda: Parquet(train=tmp_path / "a", label="y").open(),
    }
    with pytest.raises((DataError, OSError), match="it is a named pipe"):
        opened[source]()
