"""The entries that a `.keras` file may have."""

import errno
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path

import pytest

from kerasrun import model_file
from kerasrun.errors import KerasrunError, ModelError, ModelFileError
from kerasrun.models._architecture import read_architecture
from kerasrun.reading.archives import opened_archive
from kerasrun.regular_files import LARGEST_TEXT

INFO = model_file.ModelInfo(("a", "b"), None, 2, "probabilities", "e", 1)
WRITTEN = ("metadata.json", "config.json", "model.weights.h5", "kerasrun.json")


def archive(path, *names):
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as file:  # that a name is there twice
        for name in (*WRITTEN, *names):
            file.writestr(name, "{}")
    return path


def test_what_keras_writes_is_taken(tmp_path):
    names = ("assets/layers/text_vectorization/vocabulary.txt", "assets/layers/string lookup/a.txt")
    with opened_archive(archive(tmp_path / "a.keras", *names)) as file:
        assert file.namelist() == [*WRITTEN, *names]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x",
            "model.weights.npz",
            "assets",
            "assets/",
            "assets//a",
            "/etc/passwd",
            "../a",
            "assets/../a",
            "assets/./a",
        ),
        *(
            "assets\\..\\a",
            "assets/" + "a" * 256,
            "assets/" + "é" * 128,
            "assets/" + "a/" * 500 + "b",
            "assets/\x1b[31m",
        ),
        *("./config.json", "config.json/", "config.json/x", "assets/a\n"),
    ],
)
def test_an_entry_that_keras_does_not_write_is_told(tmp_path, name):
    path = archive(tmp_path / "a.keras", name)
    for read in (model_file.check, model_file.read_info, read_architecture):
        with pytest.raises(KerasrunError, match=r"has the entry .*, which Keras does not write"):
            read(path)


def test_an_entry_may_not_be_there_twice(tmp_path):
    with pytest.raises(ModelError, match="it has two entries of one name"):
        read_architecture(archive(tmp_path / "a.keras", "config.json"))


def test_no_entry_lies_in_a_file(tmp_path):
    with pytest.raises(ModelError, match=r"the entry 'assets/a/b/c' lies in a file"):
        read_architecture(archive(tmp_path / "a.keras", "assets/a", "assets/a/b/c"))


def test_assets_unpack_to_no_more_than_texts_have(tmp_path):
    path = archive(tmp_path / "a.keras")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("assets/a", bytes(LARGEST_TEXT))
    with opened_archive(path) as file:
        assert "assets/a" in file.namelist()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("assets/b", b"1")
    with pytest.raises(ModelError, match=r"its assets unpack to 33,554,433 bytes; expected at most 33,554,432"):
        read_architecture(path)


def test_an_npz_may_have_any_names(tmp_path):
    with opened_archive(archive(tmp_path / "a.npz", "x.npy", "x.npy")) as file:
        assert len(file.namelist()) == 6


@pytest.mark.tensorflow
def test_what_keras_saves_with_assets_is_taken_and_leaves_nothing(tmp_path, monkeypatch):
    import keras

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    lookup = keras.layers.StringLookup()
    lookup.adapt(["a", "b"])
    keras.Sequential([keras.Input((1,), dtype="string"), lookup]).save(tmp_path / "a.keras")
    with opened_archive(tmp_path / "a.keras") as file:
        assert any(name.startswith("assets/") for name in file.namelist())
    shutil.copy(tmp_path / "a.keras", tmp_path / "b.keras")
    with zipfile.ZipFile(tmp_path / "b.keras", "a") as file:
        file.writestr("pad", bytes(1000))
    with pytest.raises(KerasrunError, match="'pad', which Keras does not write"):
        model_file.load(tmp_path / "b.keras")
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.tensorflow
def test_a_disk_that_is_full_while_keras_unpacks_is_told_and_emptied(tmp_path, monkeypatch):
    import keras

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    layers = [keras.Input((2,)), keras.layers.Dense(2, activation="softmax")]
    model_file.save(keras.Sequential(layers), INFO, tmp_path / "a.keras")
    assert model_file.load(tmp_path / "a.keras")[1] == INFO
    unpacked = []

    def fill(archive, *_, **__):
        unpacked.append(archive.filename)
        Path(tempfile.mkdtemp(), "half").write_text("")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", fill)
    with pytest.raises(ModelFileError, match=r"a\.keras: no room in .*temporary, where Keras unpacks it; free"):
        model_file.load(tmp_path / "a.keras")
    assert unpacked
    assert not list((tmp_path / "temporary").iterdir())
    assert tempfile.gettempdir() == str(tmp_path / "temporary")
