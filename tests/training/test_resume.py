"""What `resume` accepts, refuses and says."""

import errno
import json
import logging
import shutil
from pathlib import Path

import pytest

import kerasrun
from kerasrun.errors import CheckpointError, DeviceError, RunDirectoryError, UsageError
from tests.training.conftest import train_small, write_digits
from tests.training.exactness import digests
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow


SHORT = "fit: {epochs: 2, validation_data: test}"
RATE = '\ncompile: {optimizer: {SGD: {learning_rate: "${A_RATE}"}}}'


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_digits(folder)
    return train_small(folder, SHORT)


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of that run, for one test."""
    return kerasrun.open_run(shutil.copytree(trained.root, tmp_path / "runs" / trained.root.name))


@pytest.mark.long
def test_a_finished_run_is_told_so_with_how_to_extend_it(finished, caplog):
    with caplog.at_level(logging.INFO, "kerasrun"):
        kerasrun.resume(finished)
    assert "finished: all 2 epochs are done" in caplog.text
    assert f"kerasrun resume {finished} -s fit.epochs=4" in caplog.text
    assert finished.read_run()["status"] == "finished"


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("fit.batch_size=16", "fit.batch_size"),
        ("seed=2", "seed"),
        ("deterministic=false", "deterministic"),
        ("compile.optimizer=SGD", "compile.optimizer"),
        ("checkpoint.monitor=loss", "checkpoint.monitor"),
        ("checkpoint.mode=max", "checkpoint.mode"),
        ("fit.class_weight=balanced", "fit.class_weight"),
        ("data.npz.image_size=[32,32]", "data.npz.image_size"),
        ("data.npz.interpolation=nearest", "data.npz.interpolation"),
    ],
)
def test_what_would_make_the_steps_taken_untrue_is_refused(finished, override, key):
    with pytest.raises(UsageError, match=f"cannot change {key}"):
        kerasrun.resume(finished, overrides=[override])
    assert finished.read_run()["status"] == "finished"


def test_the_threads_of_the_run_are_asked_for_again(finished):
    """Which a process that has others already cannot give."""
    device = finished.read_run()["device"]
    threads = {**device["threads"], "intra_op": device["threads"]["intra_op"] + 1}
    finished.update_run(device={**device, "threads": threads})
    with pytest.raises(DeviceError, match=f"but {threads['intra_op']} are needed"):
        kerasrun.resume(finished, overrides=["fit.epochs=3"])


def test_fewer_epochs_than_have_begun_are_refused(finished):
    with pytest.raises(UsageError, match="1 is less than the 2 epochs that have begun"):
        kerasrun.resume(finished, overrides=["fit.epochs=1"])


def test_a_run_that_never_began_does_not_hide_the_one_to_resume(tmp_path):
    from kerasrun.runs import checkpoints
    from kerasrun.runs.directory import create
    from kerasrun.runs.listing import newest_unfinished

    resumable = create(tmp_path, "a")
    checkpoints.save(resumable, 0, b"state", {}, keep=2)
    create(tmp_path, "b")
    assert newest_unfinished(tmp_path) == resumable


def test_a_run_whose_loss_was_not_finite_does_not_hide_one_that_can_go_on(tmp_path):
    from kerasrun.runs import checkpoints
    from kerasrun.runs.directory import create
    from kerasrun.runs.listing import newest_unfinished

    for name, error in (("a", "OutOfMemoryError"), ("b", "NotFiniteError")):
        run = create(tmp_path, name)
        run.update_run(status="failed", reason="…", error=error)
        checkpoints.save(run, 0, b"state", {}, keep=2)
    assert newest_unfinished(tmp_path).name == "a-1"
    (tmp_path / "a-1").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "run.json").unlink()
    assert newest_unfinished(tmp_path).name == "b-1"


@pytest.mark.long
def test_an_edited_experiment_file_is_said_and_does_not_change_the_run(train, tmp_path, caplog):
    run = train(SHORT)
    assert json.loads(run.run_file.read_text())["file"] == str(tmp_path / "small.yaml")
    kerasrun.resume(run)
    assert not any("was edited" in line for line in caplog.messages)
    file = tmp_path / "small.yaml"
    file.write_text(file.read_text() + "\n# learning_rate: 0.5\n")
    kerasrun.resume(run)
    (line,) = [line for line in caplog.messages if "was edited" in line]
    assert "the run goes on with its own copy" in line
    assert f"diff {run.experiment_file} {file}\n" in line
    assert "0.5" not in caplog.text, "a run of somebody else may name any file of this machine"


@pytest.mark.long
def test_a_run_keeps_every_file_of_its_experiment_and_says_which_was_edited(train, tmp_path, caplog, monkeypatch):
    folders = [tmp_path / name for name in ("one", "two")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "a b.yaml").write_text(f"# {folder.name}\nseed: {number}\n")
    monkeypatch.setenv("A_RATE", "0.125")
    run = train("base: [one/a b.yaml, two/a b.yaml]\n" + SHORT + RATE)
    kept = {"1-a_b.yaml": folders[0] / "a b.yaml", "2-a_b.yaml": folders[1] / "a b.yaml"}
    assert {name: Path(path) for name, path in run.read_run()["bases"].items()} == kept
    assert all((run.bases / name).read_bytes() == path.read_bytes() for name, path in kept.items())
    resolved = kerasrun.load(run.resolved_file).experiment
    assert (resolved.seed, resolved.compile.optimizer.arguments) == (1, {"learning_rate": 0.125})
    monkeypatch.delenv("A_RATE")
    (folders[0] / "a b.yaml").unlink()
    (folders[1] / "a b.yaml").write_text("seed: 5\n")
    kerasrun.resume(run, overrides=["fit.epochs=3"])
    (line,) = [line for line in caplog.messages if "was edited" in line]
    assert f"diff {run.bases / '2-a_b.yaml'} '{folders[1] / 'a b.yaml'}'\n" in line
    assert line.endswith(f"kerasrun train {tmp_path / 'small.yaml'}")
    assert kerasrun.load(run.resolved_file).experiment.compile == resolved.compile


@pytest.mark.long
def test_a_run_that_names_no_file_as_its_experiment_resumes(train):
    run = train(SHORT)
    run.update_run(file="a\0b")
    kerasrun.resume(run)


@pytest.mark.long
def test_moved_data_are_found_with_a_new_path(train, tmp_path):
    run = train(SHORT)
    (tmp_path / "digits.npz").rename(tmp_path / "moved.npz")
    kerasrun.resume(run, overrides=["fit.epochs=3", f"data.npz.path={tmp_path / 'moved.npz'}"])
    assert run.read_run()["status"] == "finished"


@pytest.mark.long
def test_a_moved_run_resumes(finished, tmp_path):
    shutil.move(finished.root, tmp_path / "elsewhere")
    run = kerasrun.open_run(tmp_path / "elsewhere")
    kerasrun.resume(run, overrides=["fit.epochs=3"])
    assert len(run.metrics_file.read_text().splitlines()) == 4


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_serves(finished, trained, caplog):
    newest = max(finished.checkpoints.iterdir())
    state = newest / "state.h5"
    state.write_bytes(state.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING, "kerasrun"):
        kerasrun.resume(finished)
    assert newest.name in caplog.text
    assert "serves instead" in caplog.text
    assert finished.metrics_file.read_bytes() == trained.metrics_file.read_bytes()


def test_a_run_whose_checkpoints_are_all_damaged_never_begins_at_zero(finished):
    for folder in finished.checkpoints.iterdir():
        (folder / "progress.json").write_text(json.dumps({}))
    before = finished.metrics_file.read_bytes()
    with pytest.raises(CheckpointError, match="can be read"):
        kerasrun.resume(finished)
    assert finished.metrics_file.read_bytes() == before


@pytest.fixture
def full_disk(monkeypatch):
    """Lets the disk be full when the checkpoint of that number is written."""
    from kerasrun.runs import atomic

    write, states = atomic.write_private, []

    def fill(at):
        def write_or_fail(path, data):
            states.extend([path] if path.name == "state.h5" else [])
            if len(states) > at:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            write(path, data)

        monkeypatch.setattr(atomic, "write_private", write_or_fail)

    return fill


def test_a_full_disk_while_saving_keeps_the_last_good_state(train, tmp_path, monkeypatch, full_disk):
    full_disk(1)
    with pytest.raises(RunDirectoryError, match=r"free some space\. Then go on with: kerasrun resume \S*small-1$"):
        train("fit: {epochs: 2}")
    monkeypatch.undo()
    run = kerasrun.open_run(tmp_path / "runs" / "latest")
    assert run.read_run()["status"] == "failed"
    kerasrun.resume(run)
    assert run.metrics_file.read_bytes() == train("fit: {epochs: 2}").metrics_file.read_bytes()


def test_a_full_disk_before_the_first_step_advises_no_resume(train, full_disk):
    full_disk(0)
    with pytest.raises(RunDirectoryError, match=r"free some space\. Nothing was trained yet: then train it again$"):
        train()


@pytest.mark.parametrize("made_again", [False, True])
def test_a_run_that_is_moved_while_it_trains_says_so(train, tmp_path, monkeypatch, made_again):
    """Also where its folder is made again, for a file that was being written."""
    from kerasrun.training.loop import TrainingLoop

    end = TrainingLoop._end_epoch

    def moved(loop, *arguments):
        loop.run.root.rename(tmp_path / "elsewhere")
        if made_again:
            loop.run.root.mkdir()
        end(loop, *arguments)

    monkeypatch.setattr(TrainingLoop, "_end_epoch", moved)
    with pytest.raises(RunDirectoryError, match="removed or moved while it trained"):
        train()


@pytest.mark.long
def test_what_callbacks_wrote_after_the_checkpoint_is_taken_back(train, tmp_path, monkeypatch):
    """Stopped when an epoch is over and written everywhere, but before its checkpoint."""
    from kerasrun.training.writer import RunWriter

    text = (
        "fit: {epochs: 3}\ncheckpoint: {seconds_between: 0}\ncallbacks: [TensorBoard, {CSVLogger: {filename: log.csv}}]"
    )
    save = RunWriter.save_checkpoint

    def killed(self, step, arrays, progress):
        if progress["epoch"] == 2:
            raise KeyboardInterrupt
        save(self, step, arrays, progress)

    monkeypatch.setattr(RunWriter, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        train(text)
    monkeypatch.undo()
    run = kerasrun.open_run(tmp_path / "runs" / "latest")
    assert len((run.root / "log.csv").read_text().splitlines()) == 3
    kerasrun.resume(run)
    whole = train(text)
    for name in ("metrics.csv", "log.csv"):
        assert (run.root / name).read_bytes() == (whole.root / name).read_bytes()


@pytest.mark.long
@pytest.mark.half_precision
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_layers_of_other_types_of_numbers_end_with_the_same_bits(tmp_path, digits, dtype):
    layers = f"[Flatten, {{Dense: {{units: 8, activation: relu, dtype: {dtype}}}}}, {{Dropout: {{rate: 0.1}}}}]"
    sections = f"model: {{layers: {layers}}}\nfit: {{epochs: 3}}\ncallbacks: [{{CSVLogger: {{filename: log.csv}}}}]\n"
    train_whole_and_cut(tmp_path, f"data: {{npz: {{path: digits.npz}}}}\n{sections}")
    resumed = kerasrun.resume(tmp_path / "cut" / "run-1")
    assert digests(resumed) == digests(kerasrun.open_run(tmp_path / "whole" / "run-1"))
