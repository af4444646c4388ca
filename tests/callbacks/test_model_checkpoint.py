import pytest

from kerasrun.callbacks import build_callbacks
from kerasrun.components import Component

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
