"""A full memory, wherever it is noticed, ends with exit code 1: what was done, how large it was, what to change."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasrun.engine.prepared import open_data
from kerasrun.errors import DataError, ModelError, OutOfMemoryError, is_full_memory, within_memory
from kerasrun.experiment.load import load
from kerasrun.results.model import untrained
from kerasrun.sources.npz import Npz

DIGITS = Path(__file__).parents[1] / "data/digits/digits.npz"
EXPERIMENT = f"data: {{npz: {{path: {DIGITS}, limit: 60}}}}\nmodel: {{MLP: {{units: [4]}}}}\nfit: {{epochs: 1}}\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3.2 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("libx.so: failed to map segment from shared object"),
    ],
)
def test_it_is_known_whoever_notices_it(error):
    told = pytest.raises(OutOfMemoryError, match=r"reading a\.npz: there is not enough memory \(.*\); set data\.npz")
    with told, within_memory("reading a.npz", "set data.npz.limit"):
        raise error


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("x"), ImportError("no x"), ValueError()]
)
def test_other_errors_stay_what_they_are(error):
    assert not is_full_memory(error)
    with pytest.raises(type(error)), within_memory("reading", "read less"):
        raise error


def test_a_thread_that_cannot_be_started_may_be_one_too_many():
    told = pytest.raises(OutOfMemoryError, match=r"\(can't start new thread, which ulimit -u bounds too\); less$")
    with told, within_memory("reading", "less"):
        raise RuntimeError("can't start new thread")


def test_the_innermost_says_what_was_done():
    told = pytest.raises(OutOfMemoryError, match=r"^inner: there is not enough memory; less$")
    with told, within_memory("outer", "more"), within_memory("inner", "less"):
        raise MemoryError


@pytest.mark.parametrize("kind", [MemoryError, DataError])
def test_data_are_told_with_the_key_to_change(tmp_path, monkeypatch, kind):
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    experiment = load(tmp_path / "e.yaml").experiment

    def full(source):
        raise kind("Unable to allocate 3.2 GiB")

    monkeypatch.setattr(Npz, "open", full)
    with pytest.raises(DataError if kind is DataError else OutOfMemoryError) as error:
        open_data(experiment)
    if kind is MemoryError:
        assert "digits.npz: there is not enough memory (Unable to allocate 3.2 GiB); set data.npz.limit" in str(
            error.value
        )


def limited(tmp_path, megabytes, *arguments):
    """Run a command within an address space of so many megabytes."""
    command = ["/bin/sh", "-c", f'ulimit -c 0; ulimit -v {megabytes * 1024}; exec "$@"', "sh", sys.executable, "-m"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "kerasrun", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("megabytes", [400, 900, 1500])
def test_too_few_addresses_to_start_are_told(tmp_path, megabytes):
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    done = limited(tmp_path, megabytes, "train", "e.yaml", "--dry-run")
    assert done.returncode == 1, done.stderr
    assert (
        "error: starting TensorFlow: it takes 1.7 GB of addresses, and the limit of this process leaves" in done.stderr
    )


@pytest.mark.long
def test_data_that_no_address_is_left_for_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.ones((200, 10**6), np.uint8), y_train=np.arange(200) % 2)
    (tmp_path / "e.yaml").write_text("data: {npz: {path: a.npz}}\nmodel: {MLP: {units: [4]}}\n")
    for command in ("train", "preview"):
        done = limited(tmp_path, 250, command, "e.yaml")
        assert done.returncode == 1, done.stderr
        assert "a.npz: x_train has 200,000,128 bytes, but" in done.stderr


@pytest.mark.tensorflow
def test_a_network_that_no_address_is_left_for_is_told_before_tensorflow_crashes(tmp_path):
    (tmp_path / "e.yaml").write_text(EXPERIMENT.replace("[4]", "[20000, 20000]"))
    done = limited(tmp_path, 6000, "train", "e.yaml", "--dry-run")
    assert done.returncode == 1, done.stderr
    assert "do not fit into memory: 20,000 × 20,000 = 400,000,000 numbers, 2 GB as float32" in done.stderr


@pytest.mark.tensorflow
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_dilated_layer_pads_is_told_before_tensorflow_waits_for_memory(tmp_path, nested):
    """Waits for ten seconds, and says nothing of the layer."""
    import keras

    inner = [keras.layers.Conv2D(1, 3, padding="same", dilation_rate=10**6, name="wide"), keras.layers.Flatten()]
    layers = [keras.Sequential([keras.Input((32, 32, 1)), *inner])] if nested else inner
    model = keras.Sequential([keras.Input((32, 32, 1)), *layers])
    (tmp_path / "a.json").write_text(model.to_json())
    (tmp_path / "e.yaml").write_text(EXPERIMENT.replace("{MLP: {units: [4]}}", "{saved: {path: a.json}}"))
    with pytest.raises(ModelError, match=r"the layer 'wide' gives 32 × 1,000,000,000,000 = .* numbers for a batch"):
        untrained(tmp_path / "e.yaml")


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("layer", "key"),
    [("Dense", "units"), ("RepeatVector", "n"), ("Embedding", "output_dim"), ("ZeroPadding2D", "padding")],
)
def test_a_number_of_hundreds_of_digits_in_a_network_of_someone_else_is_refused(tmp_path, layer, key):
    import keras

    others = {"Embedding": {"input_dim": 4}}.get(layer, {})
    front = [] if layer == "ZeroPadding2D" else [keras.layers.Flatten(), keras.layers.Dense(32)]
    made = getattr(keras.layers, layer)(**others, **{key: 7})
    model = keras.Sequential([keras.Input((32, 32, 1)), *front, made, keras.layers.Flatten()])
    config = json.loads(model.to_json())
    config["config"]["layers"][-2]["config"][key] = 10**400
    (tmp_path / "a.json").write_text(json.dumps(config))
    (tmp_path / "e.yaml").write_text(EXPERIMENT.replace("{MLP: {units: [4]}}", "{saved: {path: a.json}}"))
    with pytest.raises(ModelError, match=r"fit into memory|a\.json|numbers for a batch"):
        untrained(tmp_path / "e.yaml")


@pytest.mark.tensorflow
def test_what_the_optimizer_keeps_is_told(monkeypatch, tmp_path):
    from kerasrun import network_size
    from kerasrun.engine import building
    from kerasrun.training.train import dry_run

    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    monkeypatch.setattr(network_size, "_SMALL", 10_000)
    available = iter([10**9] + [10_000] * 100)  # one kernel of the network is larger than 10,000 bytes
    monkeypatch.setattr(network_size, "available_memory", lambda: next(available))
    monkeypatch.setattr(building, "_require_memory", lambda *_: None)
    with pytest.raises(OutOfMemoryError, match=r"compile\.optimizer: what it keeps for each weight: .*shape\[1024,4\]"):
        dry_run(tmp_path / "e.yaml", output=tmp_path / "runs")


@pytest.mark.tensorflow
def test_a_model_that_is_not_loaded_is_told(monkeypatch, tmp_path):
    import keras

    from kerasrun import model_file
    from kerasrun.results.model import open_model

    def full(*_, **__):
        raise MemoryError("Unable to allocate 3 GiB")

    monkeypatch.setattr(model_file, "check", lambda *_, **__: None)
    monkeypatch.setattr(model_file, "build", full)
    assert keras.backend.backend() == "tensorflow"
    with pytest.raises(
        OutOfMemoryError, match=r"loading a\.keras: there is not enough memory \(Unable to allocate 3 GiB"
    ):
        open_model(Path("a.keras"))


def test_what_nobody_explained_ends_with_the_command(tmp_path):
    code = (
        "import sys; from kerasrun import cli; from kerasrun.commands import runs\n"
        "def full(*_): raise MemoryError\n"
        "import kerasrun.results.runs_table as table\n"
        "import kerasrun.runs.listing as listing\n"
        "listing.list_runs = full\n"
        "for module in (runs, table):\n"
        "    if hasattr(module, 'list_runs'): module.list_runs = full\n"
        "sys.argv = ['kerasrun', 'runs']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "error: kerasrun runs: there is not enough memory; end other programs" in done.stderr
