import errno
import io
import os
import zipfile
from pathlib import Path

import h5py
import pytest

from kerasrun.callbacks import build_callbacks
from kerasrun.components import Component
from kerasrun.errors import RunDirectoryError
from kerasrun.runs import atomic

pytestmark = pytest.mark.tensorflow

SAMPLE = {"filepath": "kept/{epoch}-{val_loss:.1f}.keras", "save_best_only": True}


def build(tmp_path, **arguments):
    (adapter,) = build_callbacks([Component("ModelCheckpoint", arguments)], tmp_path)
    return adapter


@pytest.mark.parametrize(("arguments", "every_step"), [({}, False), ({"save_freq": 5}, True)])
def test_only_one_that_saves_by_steps_needs_every_step(tmp_path, arguments, every_step):
    assert build(tmp_path, filepath="a.keras", **arguments).needs_every_step() is every_step


@pytest.mark.parametrize(
    ("arguments", "watched"),
    [
        ({"filepath": "a.keras"}, set()),
        ({"filepath": "{epoch}-{loss:.2f}.keras"}, {"epoch", "loss"}),
        ({"filepath": "{val_auc}.keras", "save_best_only": True}, {"val_auc", "val_loss"}),
        ({"filepath": "{loss}.keras", "save_freq": 5}, set()),
    ],
)
def test_it_watches_what_its_files_are_named_after(tmp_path, arguments, watched):
    assert build(tmp_path, **arguments).watched() == watched


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras", "a.h5"])
def test_a_full_disk_leaves_the_file_of_an_earlier_epoch(tmp_path, name, monkeypatch):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    weights_only = name == "a.weights.h5"
    adapter = build(tmp_path, filepath=f"kept/{name}", save_weights_only=weights_only)
    file = tmp_path / "kept" / name
    adapter.callback.set_model(model)
    adapter.write_whole(atomic.replacing)
    adapter.callback.on_epoch_end(0, {})
    before = file.read_bytes()
    (model.save_weights if weights_only else model.save)(tmp_path / name)
    assert contents(file) == contents(tmp_path / name)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(model, "save", full)
    with pytest.raises(RunDirectoryError, match=rf"{name} cannot be written: No space left on device"):
        adapter.callback.on_epoch_end(1, {})
    assert file.read_bytes() == before
    assert [*file.parent.iterdir()] == [file]
    assert adapter.callback.model is model


def contents(path):
    """Return the arrays in a file of HDF5, or in that of a model file, by their names."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            path = io.BytesIO(archive.read("model.weights.h5"))
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, one: found.update({name: one[()].tolist()} if hasattr(one, "dtype") else {}))
    assert found
    return found
