import errno
import itertools
import json
import multiprocessing
import os
import shlex
from pathlib import Path

import pytest

from kerasrun.errors import DamagedFileError, RunDirectoryError
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory, create, follow_latest, open_run, run_names
from kerasrun.runs.listing import find_run


def test_runs_are_numbered_and_latest_points_at_the_newest(tmp_path, names):
    output = tmp_path / "deep" / "runs"
    assert [create(output, name).name for name in ("lenet", "lenet", "mlp", "lenet")] == [
        *("lenet-1", "lenet-2", "mlp-1", "lenet-3"),
    ]
    assert str((output / "latest").readlink()) == "lenet-3"
    assert open_run(output / "latest").root == output / "lenet-3"
    assert names(output) == ["latest", "lenet-1", "lenet-2", "lenet-3", "mlp-1"]


def test_a_number_is_not_used_again_while_a_higher_one_is_there(tmp_path):
    for name in ("lenet-2", "lenet-10", "lenet-x", "le-99", "lenet-"):
        (tmp_path / name).mkdir()
    assert create(tmp_path, "lenet").name == "lenet-11"


def create_many(output, count):
    return [create(output, "lenet").name for _ in range(count)]


def test_two_processes_never_share_a_run(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        made = pool.starmap(create_many, [(tmp_path, 20)] * 3)
    names = [name for part in made for name in part]
    assert sorted(set(names)) == sorted(names)
    assert sorted(run_names(tmp_path)) == sorted(names)
    assert str((tmp_path / "latest").readlink()) in names


def test_where_links_cannot_be_made_latest_is_a_file(tmp_path, monkeypatch):
    def symlink(*arguments, **options):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", symlink)
    create(tmp_path, "lenet")
    create(tmp_path, "lenet")
    assert (tmp_path / "latest").read_text() == "lenet-2\n"
    assert open_run(tmp_path / "latest").name == "lenet-2"


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", 'a"b'])
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(RunDirectoryError, match="cannot name a run"):
        create(tmp_path, name)


def test_a_run_that_cannot_be_begun_leaves_nothing(tmp_path, failing_disk, names):
    output = tmp_path / "runs"
    first = create(output, "lenet")
    for at in itertools.count():
        failure = failing_disk.attempt(at, errno.EIO, create, output, "lenet")
        if not failing_disk.failed:
            break
        assert failure is None or "Input/output error" in str(failure)
        if failure:
            assert names(output) == ["latest", *run_names(output)]
        assert open_run(output / "latest").name == run_names(output)[-1]
    assert at >= 8
    assert open_run(first.root) == first


def test_run_json_is_updated_field_by_field(run):
    run.update_run(status="failed", reason="disk full")
    run.update_run(epochs=3)
    content = run.read_run()
    assert content.pop("started").endswith("+00:00")
    assert content == {"format_version": 2, "name": "lenet-1", "status": "failed", "reason": "disk full", "epochs": 3}


@pytest.mark.parametrize(
    ("text", "essential"),
    [
        ("", "is damaged: it is not JSON"),
        ('{"format_version": 2', "is damaged: it is not JSON"),
        (b"\xff\xfe\x00", "is damaged: it is not JSON"),
        ("[]", "is damaged: it is not a JSON object"),
        ("{}", "is damaged: it is not what was written"),
        ('{"format_version": 1, "sha256": "0"}', "is damaged: it is not what was written"),
        ('{"format_version": 2, "sha256": null}', "is damaged: it is not what was written"),
        (None, "is missing"),
    ],
)
def test_a_run_file_that_cannot_be_trusted_is_refused(run, text, essential):
    if text is None:
        run.run_file.unlink()
    else:
        run.run_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DamagedFileError, match=essential) as caught:
        run.read_run()
    assert str(run.run_file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_flipped_bit_of_a_run_file_is_noticed(run):
    content, before = run.run_file.read_bytes(), run.read_run()
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        run.run_file.write_bytes(damaged)
        try:
            assert run.read_run() == before, place  # white space between the values
        except DamagedFileError as error:
            assert str(run.run_file) in str(error)  # noqa: PT017  either will do


def test_another_format_is_refused_in_one_sentence(run):
    run.update_run(format_version=3)
    with pytest.raises(RunDirectoryError, match="made by a newer version, so upgrade kerasrun") as caught:
        run.read_run()
    assert not isinstance(caught.value, DamagedFileError)
    run.run_file.write_text('{"format_version": 1, "name": "lenet-1"}')  # as the first format was: without a checksum
    with pytest.raises(RunDirectoryError, match=r"format 1, .* made by an older version") as caught:
        run.read_run()
    assert not isinstance(caught.value, DamagedFileError)


def test_the_resolved_experiment_is_known_by_its_checksum(run):
    run.write_resolved("seed: 1\n")
    assert run.read_resolved(run.read_run()) == "seed: 1\n"
    run.resolved_file.write_text("seed: 2\n")
    with pytest.raises(DamagedFileError, match=r"resolved.yaml is not what kerasrun wrote: .*changes from -s only"):
        run.read_resolved(run.read_run())
    run.resolved_file.unlink()
    with pytest.raises(DamagedFileError, match=r"resolved.yaml is missing"):
        run.read_resolved(run.read_run())


def test_a_resolved_experiment_whose_writing_was_cut_short_is_the_old_one_or_the_new_one(run, failing_disk):
    run.write_resolved("seed: 0\n")
    for at in itertools.count():
        old, new = run.read_resolved(run.read_run()), f"seed: {at + 1}\n"
        failing_disk.attempt(at, errno.EIO, run.write_resolved, new)
        if not failing_disk.failed:
            break
        assert run.read_resolved(run.read_run()) in (old, new)
    assert at > 15
    content = run.read_run()
    run.resolved_file.write_text("seed: 1\n")
    with pytest.raises(DamagedFileError, match="is not what kerasrun wrote"):
        run.read_resolved(content)


def test_a_file_that_may_not_be_read_is_not_taken_for_damaged(run, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunDirectoryError, match=r"run.json cannot be read: Permission denied") as caught:
        run.read_run()
    assert not isinstance(caught.value, DamagedFileError)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a\x00b", b"../x"])
def test_a_damaged_latest_file_is_named(run, content):
    latest = run.root.parent / "latest"
    latest.unlink()
    latest.write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"latest|there is no run"):
        open_run(latest)


@pytest.mark.parametrize("name", ["..", "."])
def test_a_latest_that_leads_out_of_its_folder_is_refused(run, name):
    outer = create(run.root.parent / "inner", "inner")
    latest = outer.root.parent / "latest"
    for made in (latest.symlink_to, latest.write_text):
        latest.unlink()
        made(name)
        with pytest.raises(RunDirectoryError, match=r"leads to another folder|does not hold the name of a run"):
            follow_latest(latest)


def test_a_missing_run_is_told_with_the_nearest_name(run):
    create(run.root.parent, "mlp")
    with pytest.raises(RunDirectoryError, match=r"there is no run .*/lent-1; did you mean .*/runs/lenet-1\?"):
        open_run(run.root.parent / "lent-1")
    with pytest.raises(RunDirectoryError, match=r"there is no run .*; .*/runs holds lenet-1, mlp-1"):
        open_run(run.root.parent / "quite_different")


def test_an_empty_folder_of_runs_says_how_to_begin(tmp_path):
    (tmp_path / "runs").mkdir()
    for path in (tmp_path / "runs", tmp_path / "runs" / "lenet-1", tmp_path / "none" / "lenet-1"):
        with pytest.raises(RunDirectoryError, match="start one with kerasrun train FILE"):
            open_run(path)


def test_a_folder_of_runs_is_not_a_run(run):
    with pytest.raises(RunDirectoryError, match=r"is not a run but a folder for runs; .*/runs holds lenet-1"):
        open_run(run.root.parent)


def test_a_foreign_folder_and_a_file_are_refused(tmp_path, run):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    with pytest.raises(RunDirectoryError, match=r"photos is not a run: it has no run.json"):
        open_run(tmp_path / "photos")
    with pytest.raises(RunDirectoryError, match=r"run.json is a file; expected the folder of a run"):
        open_run(run.run_file)


def test_a_run_is_shown_as_a_user_would_type_it(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert str(run) == str(Path("runs", "lenet-1"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert str(run) == str(run.root)
    assert open_run(run.root).root.is_absolute()


def test_every_file_of_a_run_is_inside_it_and_none_is_another(run):
    entries = [value for name in vars(RunDirectory) if isinstance(value := getattr(run, name), Path)]
    paths = [*entries, run.evaluation("test"), run.evaluation("validation")]
    assert len(paths) > 10
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(run.root) for path in paths)
    atomic.write_json(run.evaluation("test"), {})
    assert json.loads((run.root / "evaluation" / "test.json").read_text()) == {}


def test_a_folder_called_latest_is_left_alone(tmp_path, caplog):
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine.txt").write_text("")
    assert create(tmp_path, "lenet").name == "lenet-1"
    assert (tmp_path / "latest" / "mine.txt").exists()
    assert "latest is a folder, not a link, and stays one" in caplog.text
    with pytest.raises(RunDirectoryError, match=r"latest is a folder, not a link; name a run: lenet-1"):
        find_run(None, tmp_path)


def test_a_name_of_others_is_one_word_in_a_command_to_copy(tmp_path):
    run = RunDirectory(tmp_path / "a;touch $HOME")
    assert shlex.split(f"kerasrun resume {run.quoted}") == ["kerasrun", "resume", str(run)]
