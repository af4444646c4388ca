import errno
import os
from pathlib import Path

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


@pytest.mark.parametrize(("name", "method"), [("a.weights.h5", "save_weights"), ("a.keras", "save")])
def test_a_full_disk_leaves_the_file_of_an_earlier_epoch(tmp_path, name, method):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    adapter = build(tmp_path, filepath=f"kept/{name}", save_weights_only=method == "save_weights")
    file = tmp_path / "kept" / name
    adapter.callback.set_model(model)
    adapter.write_whole(atomic.replacing)
    adapter.callback.on_epoch_end(0, {})
    before = file.read_bytes()
    assert len(before) > 1000

    def full(path, **_):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    setattr(model, method, full)
    with pytest.raises(RunDirectoryError, match=rf"{name} cannot be written: No space left on device"):
        adapter.callback.on_epoch_end(1, {})
    assert file.read_bytes() == before
    assert [*file.parent.iterdir()] == [file]
    assert adapter.callback.model is model
