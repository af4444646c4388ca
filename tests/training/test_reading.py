"""Image files are read while training goes on, and nothing that relies on them is kept before all of them were read."""

import os
import threading

import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun.errors import DataError
from kerasrun.reading.image_files import ImageFiles
from kerasrun.runs import checkpoints

pytestmark = pytest.mark.tensorflow

SECONDS = 60
# 32 images to train on and 8 to validate: four steps an epoch.
EXPERIMENT = """
data: {directory: {path: shapes}}
model: {MLP: {units: [8]}}
fit: {batch_size: 8, epochs: 3}
"""


@pytest.fixture
def shapes(tmp_path):
    return write_shapes(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run of all epochs whose files were read at leisure: its fingerprint, and its digest."""
    run = train(write_shapes(tmp_path_factory.mktemp("undisturbed")))
    return run.read_run()["data_fingerprint"], digest(run)


def write_shapes(folder):
    random = np.random.default_rng(1)
    for split, count in (("train", 16), ("validation", 4)):
        for name in ("dark", "light"):
            of_class = folder / "shapes" / split / name
            of_class.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 128, (8, 8, 3)) + 127 * (name == "light")
                Image.fromarray(pixels.astype(np.uint8)).save(of_class / f"{number:02}.bmp")
    (folder / "shapes.yaml").write_text(EXPERIMENT)
    return folder / "shapes"


def train(shapes, *overrides):
    return kerasrun.train(shapes.with_suffix(".yaml"), overrides=overrides, output=shapes.parent / "runs")


class HeldBack:
    """No file is read in the background before the loop has taken a step, or failed to."""

    def __init__(self, monkeypatch):
        from kerasrun.engine.steps import FusedSteps

        self.steps = 0
        stepped, read_once, call = threading.Event(), ImageFiles._read_once, FusedSteps.__call__

        def waiting(files, place):
            assert stepped.wait(SECONDS), "training waits for what waits for it"
            read_once(files, place)

        def stepping(fused, batches, steps):
            try:
                return call(fused, batches, steps)
            finally:
                self.steps += steps
                stepped.set()

        monkeypatch.setattr(ImageFiles, "_read_once", waiting)
        monkeypatch.setattr(FusedSteps, "__call__", stepping)


def digest(run):
    state = checkpoints.newest(run).state_file.read_bytes()
    return state, run.metrics_file.read_bytes()


def overwrite_unnoticed(file, content):
    """Other bytes, as many, of the same time: what a listing of files cannot tell."""
    before = file.stat()
    assert len(content) == before.st_size
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.long
@pytest.mark.parametrize(("memory", "disk"), [(0, 0), (0, "1GB"), (0.25, "1GB")])
def test_the_first_steps_do_not_wait_for_the_files_and_the_bits_are_the_same(
    shapes, undisturbed, monkeypatch, memory, disk
):
    held_back = HeldBack(monkeypatch)
    run = train(shapes, f"cache.memory={memory}", f"cache.disk={disk}")
    assert held_back.steps == 12
    assert (run.read_run()["data_fingerprint"], digest(run)) == undisturbed


@pytest.mark.long
def test_the_first_checkpoint_is_made_before_the_data_are_known_and_the_next_one_after(shapes, monkeypatch):
    from kerasrun.training.loop import TrainingLoop

    recorded, save = [], TrainingLoop._save

    def saving(loop):
        save(loop)
        loop.writer.finish()
        recorded.append(checkpoints.newest(loop.run).progress["files"]["run"]["data_fingerprint"])

    monkeypatch.setattr(TrainingLoop, "_save", saving)
    HeldBack(monkeypatch)
    run = train(shapes, "checkpoint.seconds_between=0")
    assert recorded == [None, *[run.read_run()["data_fingerprint"]] * 3]


def test_bad_files_that_training_meets_are_all_told_and_a_resume_ends_as_if_they_had_never_been(
    shapes, undisturbed, monkeypatch
):
    bad = [shapes / "train/dark/03.bmp", shapes / "validation/light/01.bmp"]
    before = [file.read_bytes() for file in bad]
    for file in bad:
        file.write_bytes(b"no image")
    HeldBack(monkeypatch)
    with pytest.raises(DataError, match=r"(?s)^2 of 40 image files .*03\.bmp: is not an image.*01\.bmp: is not an im"):
        train(shapes)
    run = kerasrun.open_run(shapes.parent / "runs" / "latest")
    assert (run.read_run()["status"], run.read_run()["data_fingerprint"]) == ("failed", None)
    assert checkpoints.newest(run).step == 0
    for file, content in zip(bad, before, strict=True):
        file.write_bytes(content)
    kerasrun.resume(run)
    assert digest(run) == undisturbed[1]


def left_after_the_second_epoch(shapes):
    run = train(shapes, "fit.epochs=2")
    assert checkpoints.newest(run).step == 8
    return run


@pytest.mark.long
def test_a_resume_does_not_wait_for_files_of_the_same_names_sizes_and_times(shapes, undisturbed, monkeypatch):
    run = left_after_the_second_epoch(shapes)
    held_back = HeldBack(monkeypatch)
    kerasrun.resume(run, overrides=["fit.epochs=3"])
    assert held_back.steps == 4
    assert digest(run) == undisturbed[1]


@pytest.mark.long
@pytest.mark.parametrize("memory", [0, 0.25])
def test_files_that_only_look_the_same_end_a_resume_before_anything_is_saved(shapes, monkeypatch, memory):
    run = left_after_the_second_epoch(shapes)
    before = digest(run)
    file = shapes / "train/light/07.bmp"
    content = file.read_bytes()
    overwrite_unnoticed(file, content[:-9] + bytes(9))
    with monkeypatch.context() as patched:
        HeldBack(patched)
        with pytest.raises(DataError, match=r"a file of the data is not what it was when .* --accept-changes goes on"):
            kerasrun.resume(run, overrides=["fit.epochs=3", f"cache.memory={memory}"])
    assert digest(run) == before
    kerasrun.resume(run, overrides=["fit.epochs=3"], accept_changes=True)
    (accepted,) = run.read_run()["accepted_changes"]
    assert accepted["changes"][0].startswith("data ")
    assert len(run.metrics_file.read_text().splitlines()) == 4


@pytest.mark.long
def test_moved_data_are_compared_before_a_resume(shapes):
    run = left_after_the_second_epoch(shapes)
    moved = shapes.rename(shapes.with_name("moved"))
    os.utime(moved / "train/dark/00.bmp")
    kerasrun.resume(run, overrides=["fit.epochs=3", f"data.directory.path={moved}"])
    assert "accepted_changes" not in run.read_run()
    (moved / "train/dark/00.bmp").write_bytes((moved / "train/dark/01.bmp").read_bytes())
    with pytest.raises(kerasrun.errors.RunDirectoryError, match=r"data \w{12} → \w{12}"):
        kerasrun.resume(run, overrides=["fit.epochs=4", f"data.directory.path={moved}"])


@pytest.mark.long
def test_a_stop_saves_only_what_was_computed_of_files_that_are_known(shapes, undisturbed, monkeypatch):
    """A stop in the first epoch waits for the files; what it saves goes on to the same bits."""
    from kerasrun.training.loop import TrainingLoop

    with monkeypatch.context() as patched:
        HeldBack(patched)
        chunk = TrainingLoop._chunk

        def stopping(loop, iterator):
            chunk(loop, iterator)
            loop.stop.signal = 2

        patched.setattr(TrainingLoop, "_chunk", stopping)
        with pytest.raises(kerasrun.errors.Interrupted):
            train(shapes)
    run = kerasrun.open_run(shapes.parent / "runs" / "latest")
    assert checkpoints.newest(run).step == 1
    assert run.read_run()["data_fingerprint"] == undisturbed[0]
    kerasrun.resume(run)
    assert digest(run) == undisturbed[1]
