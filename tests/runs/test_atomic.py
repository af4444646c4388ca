import errno
import itertools
import json
import math
import os
import stat

import pytest

from kerasrun.errors import RunDirectoryError
from kerasrun.runs import atomic


def test_what_is_written_comes_back(tmp_path, names):
    atomic.write_bytes(tmp_path / "a", b"\r\n\x00")
    atomic.write_text(tmp_path / "b", "größer\n")
    atomic.write_json(tmp_path / "c.json", {"x": [0.1, 1]})
    assert (tmp_path / "a").read_bytes() == b"\r\n\x00"
    assert (tmp_path / "b").read_bytes() == "größer\n".encode()
    assert (tmp_path / "c.json").read_text() == '{\n  "x": [\n    0.1,\n    1\n  ]\n}\n'
    assert names(tmp_path) == ["a", "b", "c.json"]


def test_a_missing_folder_is_made_but_not_its_parent(tmp_path):
    atomic.write_text(tmp_path / "evaluation" / "test.json", "{}")
    assert (tmp_path / "evaluation" / "test.json").exists()
    with pytest.raises(RunDirectoryError, match="cannot be written: No such file"):
        atomic.write_text(tmp_path / "gone" / "evaluation" / "test.json", "{}")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_any_operation_that_fails_leaves_the_old_content_or_the_new(
    tmp_path, failing_disk, leftovers, open_files, error
):
    path = tmp_path / "run.json"
    for at in itertools.count():
        failing_disk.fail(None)
        atomic.write_text(path, "old")
        opened = open_files()
        failure = failing_disk.attempt(at, error, atomic.write_text, path, "new, and longer")
        if not failing_disk.failed:
            break
        assert str(failure).startswith(f"{path} cannot be written: {os.strerror(error)}")
        # Behind the rename only the flush of the folder can fail: the new content is whole then.
        renamed = "replace" in failing_disk.calls and failing_disk.failed != "replace"
        assert path.read_text() == ("new, and longer" if renamed else "old")
        assert leftovers(tmp_path) == []
        assert open_files() == opened
    assert at >= 8
    assert path.read_text() == "new, and longer"


def test_a_full_disk_says_what_to_do(tmp_path, failing_disk):
    failing_disk.fail(0, errno.ENOSPC)
    with pytest.raises(RunDirectoryError, match="what was written before is kept; free some space"):
        atomic.write_text(tmp_path / "a", "")


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:7]))
    content = bytes(range(256))
    atomic.write_bytes(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == content


def test_a_disk_that_takes_no_bytes_is_an_error_and_no_endless_loop(tmp_path, monkeypatch, leftovers):
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(RunDirectoryError, match="Input/output error"):
        atomic.write_bytes(tmp_path / "a", b"x")
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_flushed_there_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


def test_a_private_file_keeps_the_suffix_and_takes_the_place(tmp_path, names):
    path = tmp_path / "best.keras"
    path.write_text("old")
    with atomic.replacing(path) as private:
        assert private.suffix == ".keras"
        assert private.parent == tmp_path
        private.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["best.keras"]


@pytest.mark.parametrize("error", [ValueError("not of the disk"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path, error, names):
    path = tmp_path / "best.keras"
    path.write_text("old")

    def write():
        with atomic.replacing(path) as private:
            private.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["best.keras"]


def test_replace_from_consumes_the_file_even_if_it_fails(tmp_path, failing_disk, names):
    path, private = tmp_path / "a", tmp_path / "made"
    path.write_text("old")
    private.write_text("new")
    failing_disk.fail(6)
    with pytest.raises(RunDirectoryError):
        atomic.replace_from(private, path)
    assert failing_disk.failed == "replace"
    assert names(tmp_path) == ["a"]
    assert path.read_text() == "old"


def test_json_keeps_every_float(tmp_path):
    values = [0.1 + 0.2, -0.0, 5e-324, math.inf, -math.inf]
    atomic.write_json(tmp_path / "a.json", values)
    assert list(map(repr, json.loads((tmp_path / "a.json").read_text()))) == list(map(repr, values))


def test_leftovers_are_removed_and_nothing_else(tmp_path, names):
    (tmp_path / "kept").write_text("")
    atomic.private_name(tmp_path / "best.keras").write_text("half")
    folder = atomic.private_name(tmp_path / "00000001")
    folder.mkdir()
    (folder / "state.h5").write_text("half")
    atomic.remove_leftovers(tmp_path)
    assert names(tmp_path) == ["kept"]


def test_a_full_disk_is_told_in_a_sentence_however_a_library_says_it(tmp_path):
    """As HDF5: with the time, the address of a buffer, and a line for each few words."""
    said = (
        f"Can't write data (file write failed: time = now\n, filename = 'a.h5', errno = {errno.ENOSPC}, buf = 0x55db)"
    )
    with pytest.raises(RunDirectoryError) as told, atomic.explained(tmp_path):
        raise OSError(errno.ENOSPC, said)
    assert str(told.value).startswith(f"{tmp_path} cannot be written: {os.strerror(errno.ENOSPC)}; what was written")
