import hashlib
import threading
from weakref import WeakSet

import numpy as np
import pytest

from kerasrun.errors import DataError
from kerasrun.reading import memory
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.image_files import ImageFiles
from kerasrun.reading.memory import kept_within, memory_budget

FORMAT = ImageFormat(6, 8, "rgb")
SECONDS = 60
"""After which a reading that never ends fails a test."""


@pytest.fixture
def folder(tmp_path, write_image):
    """Four images, and their pixels."""
    return tmp_path, np.array([write_image(tmp_path / f"{number}.png", seed=number) for number in range(4)])


def image_files(folder, *, kept, resize=False):
    with kept_within(1.0 if kept else 0):
        return ImageFiles(sorted(folder.iterdir()), FORMAT, resize=resize)


@pytest.fixture
def held_back(monkeypatch):
    """Nothing is read in the background before this event is set."""
    event, read_once = threading.Event(), ImageFiles._read_once

    def waiting(self, place):
        assert event.wait(SECONDS)
        read_once(self, place)

    monkeypatch.setattr(ImageFiles, "_read_once", waiting)
    yield event
    event.set()


def in_background(files):
    return files.read_in_background("Mend them.", lambda: "read")


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("reads", [lambda files: None, ImageFiles.read_all])
def test_images_come_in_the_order_that_is_asked_for(folder, kept, reads):
    path, pixels = folder
    files = image_files(path, kept=kept)
    reads(files)
    np.testing.assert_array_equal(files.inputs(range(4)).take(np.array([3, 0, 3])), pixels[[3, 0, 3]])


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_asked_for_before_it_was_read_is_read_at_once(folder, held_back, kept):
    path, pixels = folder
    files = image_files(path, kept=kept)
    inputs, told = files.inputs([1, 3]), in_background(files)
    np.testing.assert_array_equal(inputs.take(np.array([1])), pixels[[3]])
    assert inputs.array is None
    assert not files.is_read
    held_back.set()
    assert told.result(SECONDS) == "read"
    assert files.is_read
    if kept:
        np.testing.assert_array_equal(inputs.array, pixels[[1, 3]])
    np.testing.assert_array_equal(inputs.take(np.array([0, 1])), pixels[[1, 3]])


def test_images_are_an_array_only_if_they_are_kept_and_all_of_them_were_read(folder):
    path, _ = folder
    for kept in (True, False):
        inputs = (files := image_files(path, kept=kept)).inputs(range(4))
        assert inputs.is_kept == kept
        assert inputs.array is None
        files.read_all()
        assert (inputs.array is not None) == kept


def test_images_that_are_still_read_count_as_used_memory(folder, held_back, monkeypatch):
    path, pixels = folder
    monkeypatch.setattr(memory, "_filling", WeakSet())
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * pixels.nbytes)
    files = image_files(path, kept=True)
    told = in_background(files)
    assert memory_budget() == 3 * pixels.nbytes // 4
    files.take(np.arange(2))
    assert memory_budget() == 7 * pixels.nbytes // 8
    held_back.set()
    told.result(SECONDS)
    assert memory_budget() == pixels.nbytes


def test_the_digest_is_of_the_bytes_whoever_read_them_first(folder, held_back):
    path, _ = folder
    files = image_files(path, kept=False)
    files.take(np.array([2]))
    held_back.set()
    files.read_all()
    assert [files.digest(place) for place in range(4)] == [
        hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.iterdir())
    ]


@pytest.mark.parametrize("kept", [True, False])
def test_a_file_that_is_read_again_must_be_what_it_was(folder, kept):
    path, _ = folder
    files = image_files(path, kept=kept)
    files.read_all()
    (path / "2.png").write_bytes((path / "1.png").read_bytes())
    if kept:
        files.take(np.array([2]))
    else:
        with pytest.raises(DataError, match=r"2\.png: is not as it was when the data were opened"):
            files.take(np.array([2]))


def test_a_file_that_went_away_is_told(folder):
    path, _ = folder
    files = image_files(path, kept=False)
    (path / "0.png").unlink()
    with pytest.raises(DataError, match=r"0\.png: cannot be read"):
        files.take(np.array([0]))


def test_every_bad_file_is_told_when_all_were_read(folder):
    path, _ = folder
    (path / "1.png").write_bytes(b"")
    (path / "3.png").write_text("no image")
    files = image_files(path, kept=True)
    with pytest.raises(DataError, match=r"(?s)^2 of 4 image files .*1\.png: is empty.*3\.png: is not.*\nMend them\.$"):
        in_background(files).result(SECONDS)
    assert not files.is_read


def test_a_bad_file_that_was_asked_for_first_is_in_the_list_of_all(folder, held_back):
    path, _ = folder
    (path / "1.png").write_bytes((path / "1.png").read_bytes()[:60])
    files = image_files(path, kept=True)
    told = in_background(files)
    with pytest.raises(DataError, match=r"1\.png: is damaged"):
        files.take(np.array([1]))
    held_back.set()
    with pytest.raises(DataError, match=r"(?s)^1 of 4 .*1\.png: is damaged"):
        told.result(SECONDS)


def test_a_size_of_its_own_ends_the_reading(folder, write_image):
    path, _ = folder
    write_image(path / "2.png", size=(5, 5))
    with pytest.raises(DataError, match=r"0\.png is 6×8, .*2\.png is 5×5 \(height × width\); set `image_size"):
        in_background(image_files(path, kept=False)).result(SECONDS)
    assert in_background(image_files(path, kept=False, resize=True)).result(SECONDS) == "read"


def test_others_are_read_beside_and_their_bad_files_are_told_too(folder):
    path, pixels = folder
    files, others = image_files(path, kept=True), image_files(path, kept=True)
    assert files.read_in_background("Mend them.", lambda: "read", others).result(SECONDS) == "read"
    np.testing.assert_array_equal(others.array, pixels)
    (path / "2.png").write_bytes(b"")
    others = image_files(path, kept=True)
    with pytest.raises(DataError, match=r"(?s)^1 of 4 image files .*2\.png: is empty"):
        files.read_in_background("Mend them.", lambda: "read", others).result(SECONDS)
