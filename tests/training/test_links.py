"""Nothing outside a run is written or removed, whatever links it holds and whatever its records name."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil

import pytest

import kerasrun
from kerasrun.errors import ExperimentError, RunDirectoryError
from kerasrun.results.plots import plot_curves
from kerasrun.run_files import RunFile
from kerasrun.runs import checkpoints
from kerasrun.runs.directory import open_run
from kerasrun.runs.records import sha256_of_fields
from tests.grids import rest_is_long
from tests.training.conftest import DIGITS
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

EXPERIMENT = """
data: {npz: {path: digits.npz, limit: 200}}
model: {MLP: {units: [4]}}
fit: {batch_size: 100, epochs: 3, validation_data: test}
callbacks:
  - TensorBoard
  - CSVLogger: {filename: tables/log.csv}
  - ModelCheckpoint: {filepath: "models/{epoch:02d}.keras"}
"""
COMMANDS = {
    "resume": kerasrun.resume,
    "evaluate": kerasrun.evaluate,
    "plot": plot_curves,
    "export": lambda run: kerasrun.export(run, "json"),
    "report": kerasrun.write_report,
}
"""All that writes into a run."""
NO_RESUME = ("evaluate", "plot", "export", "report")
STOP_A_RESUME = (
    *("tensorboard", "tables", "models", "log.txt", ".lock", "checkpoints"),
    *("tensorboard/train", "tensorboard/validation", "tables/log.csv", "models/03.keras", "an event file"),
)
REPLACED = ("run.json", "metrics.csv", "timings.csv", "best.keras", "last.keras")
WRITERS = {
    **{"evaluation": "evaluate", "evaluation/test.json": "evaluate", "plots": "plot", "exports": "export"},
    "report.html": "report",
}
"""What of these no resume writes."""
ONLY_READ = ("resolved.yaml", "a checkpoint", "a state", "an event file")
NAMES = {*STOP_A_RESUME, *REPLACED, *WRITERS, *ONLY_READ}
CASES = (
    # A name at which a command stops is alone, or the others would not be met.
    *((("resume",), (name,)) for name in STOP_A_RESUME),
    *(((command,), (name,)) for name, command in WRITERS.items()),
    (("resume",), ("evaluation", "plots", "exports", "report.html")),
    (("evaluate",), ("plots", "exports", "report.html")),
    (("plot",), ("evaluation", "exports", "report.html")),
    (("export",), ("evaluation", "plots", "report.html")),
    (("report",), ("evaluation", "plots", "exports")),
    # What is below a name of these two is in the next two.
    (NO_RESUME, STOP_A_RESUME[:6]),
    (tuple(COMMANDS), (*REPLACED, "resolved.yaml", "a checkpoint")),
    (NO_RESUME, STOP_A_RESUME[6:10]),
    (tuple(COMMANDS), ("a state",)),
    (NO_RESUME, ("an event file",)),
    (("resume", "plot", "export", "report"), ("evaluation/test.json",)),
)
"""Commands, and the names that are links when they run."""


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    folder = tmp_path_factory.mktemp("links")
    shutil.copy(DIGITS, folder)
    train_whole_and_cut(folder, EXPERIMENT)
    run = open_run(folder / "cut" / "run-1")
    kerasrun.evaluate(run)
    return run


def tree(folder):
    """Everything below a folder: names, times and contents."""
    files = (path for path in sorted(folder.rglob("*")))
    return [
        (str(path), path.stat().st_mtime_ns, path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
    ]


def linked(run, name, outside):
    """Move what has this name out of the run, and leave a link to it; return the link."""
    newest = checkpoints.newest(run).state_file
    place = {
        "an event file": next(run.root.glob("tensorboard/train/events*")),
        "a checkpoint": newest.parent,
        "a state": newest,
    }.get(name, run.root / name)
    target = outside / place.name
    if place.exists():
        shutil.move(place, target)
    elif place.suffix:
        target.write_text("precious")
    else:
        target.mkdir()
    if target.is_dir():
        (target / "precious.txt").write_text("precious")
        (target / ".tmp-precious").write_text("precious")
    place.symlink_to(target)
    return place


def use(run, commands):
    """Run them; return what refused to."""
    refusals = []
    for command in commands:
        try:
            COMMANDS[command](run)
        except RunDirectoryError as refusal:
            refusals.append(str(refusal))
    return "\n".join(refusals)


def test_every_command_meets_every_link():
    tried = {(command, name) for commands, names in CASES for command in commands for name in names}
    assert tried == set(itertools.product(COMMANDS, NAMES))


@pytest.mark.parametrize(("commands", "names"), rest_is_long(CASES))
def test_nothing_behind_a_link_is_written_or_removed(cut, tmp_path, commands, names, caplog):
    run = open_run(shutil.copytree(cut.root, tmp_path / "run-1", symlinks=True))
    outside = tmp_path / "outside"
    outside.mkdir()
    places = {name: linked(run, name, outside) for name in names}
    before = tree(outside)
    refused = use(run, commands)
    assert tree(outside) == before
    assert not (refused and len(names) > 1)
    for name, place in places.items():
        if place.is_symlink() and name not in ONLY_READ and WRITERS.get(name, "resume") in commands:
            assert f"{place} is a link" in refused + caplog.text


def test_no_record_names_files_elsewhere(cut, tmp_path):
    run = open_run(shutil.copytree(cut.root, tmp_path / "run-1"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "events.out.tfevents.1").write_text("precious")
    (outside / "precious.txt").write_text("precious")
    file = checkpoints.newest(run).state_file.with_name("progress.json")
    described = json.loads(file.read_bytes())
    del described["sha256"]
    described["progress"]["outputs"] |= {str(outside): {}, "../outside": {}, "tensorboard/../../outside": {}}
    file.write_text(json.dumps({**described, "sha256": sha256_of_fields(described)}))
    before = tree(outside)
    kerasrun.resume(run)
    assert tree(outside) == before


@pytest.mark.parametrize("name", ["../../outside", "{outside}"])
def test_no_name_in_a_record_leads_elsewhere(cut, tmp_path, name):
    run = open_run(shutil.copytree(cut.root, tmp_path / "run-1"))
    name = name.format(outside=tmp_path / "outside")
    text = re.sub("^name: .*$", f"name: {name}", run.resolved_file.read_text(), flags=re.MULTILINE)
    run.resolved_file.write_text(text)
    run.update_run(resolved_sha256=[hashlib.sha256(run.resolved_file.read_bytes()).hexdigest()])
    with pytest.raises((RunDirectoryError, ExperimentError)):
        kerasrun.export(run, "json")
    assert not list(tmp_path.glob("outside*"))
    with pytest.raises(RunDirectoryError, match="is not the name of a file"):
        run.below(RunFile.PLOTS, f"{name}.png")


@pytest.mark.long
def test_a_resume_leaves_notes_and_profiles_of_a_user_alone(cut, tmp_path):
    run = open_run(shutil.copytree(cut.root, tmp_path / "run-1"))
    notes = run.root / "tensorboard/train/notes.txt"
    profile = run.root / "tensorboard/train/plugins/profile/1/host.xplane.pb"
    later = run.root / "tensorboard/train/events.out.tfevents.9.later"
    for file in (notes, profile, later):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    kerasrun.resume(run)
    assert notes.read_text() == profile.read_text() == "x"
    assert not later.exists()


WAITED_FOR = ("log.txt", ".lock", "tables/log.csv", "models/02.keras")
REPLACED_PIPES = ("best.keras", "metrics.csv", "checkpoints/a", "models/x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
@pytest.mark.parametrize("names", [*((name,) for name in WAITED_FOR), REPLACED_PIPES])
def test_a_pipe_in_place_of_a_file_is_refused_or_replaced_and_nobody_waits(cut, tmp_path, names):
    run = open_run(shutil.copytree(cut.root, tmp_path / "run-1"))
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            (run.root / name).unlink()
        os.mkfifo(run.root / name)
    told = r"cannot be written: .* is a pipe or a device"
    with pytest.raises(RunDirectoryError, match=told) if names != REPLACED_PIPES else contextlib.nullcontext():
        kerasrun.resume(run)
