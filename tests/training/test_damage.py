"""Every file of a run is emptied, truncated, deleted, and has bits flipped, before a resume, evaluation or prediction.

The files are found in the run, so that a new one cannot be forgotten. Training, the slow part, is done once for each
state in which a resume can begin: whoever begins in a state that was trained from before ends with the same bits.
"""

import builtins
import contextlib
import hashlib
import io
import json
import logging
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import kerasrun
from kerasrun import model_file
from kerasrun.callbacks import build_callbacks
from kerasrun.components import Component
from kerasrun.errors import KerasrunError, ModelFileError, RunDirectoryError
from kerasrun.results import evaluation
from kerasrun.results import model as results_model
from kerasrun.results.plots import plot_curves
from kerasrun.runs.directory import RunDirectory, model_of
from kerasrun.runs.listing import list_runs
from kerasrun.runs.records import sha256_of_fields
from kerasrun.training import train as training
from kerasrun.training.writer import RunWriter
from tests import forked
from tests.training.exactness import digests, variables_digest
from tests.training.stand_ins import job_of
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

DIGITS = Path(__file__).parents[2] / "data" / "digits"
EXPERIMENT = f"""
data: {{npz: {{path: {DIGITS / "digits.npz"}}}}}
model: {{MLP: {{units: [4]}}}}
fit: {{batch_size: 512, epochs: 3, validation_data: test}}
callbacks: [TensorBoard, {{CSVLogger: {{filename: log.csv}}}}]
"""
PLACES = (0.0, 0.3, 0.7, 1.0)
WAYS = range(3 + len(PLACES))


class Reached(BaseException):
    """Training would begin now, or evaluation: everything that is read of a run has been read."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`whole/run-1`, and `cut/run-1`, which was stopped after the second of its three epochs."""
    folder = tmp_path_factory.mktemp("damage")
    train_whole_and_cut(folder, EXPERIMENT)
    for name in ("whole", "cut"):
        run = RunDirectory(folder / name / "run-1")
        kerasrun.evaluate(run)
        plot_curves(run)
    return folder


@pytest.fixture(scope="module")
def trained_from(folder):
    """The states from which training was seen to end with the bits of the whole run."""
    return set()


def files(run):
    return sorted(path.relative_to(run.root).as_posix() for path in run.root.rglob("*") if path.is_file())


def damages(path):
    """Each as (name, what to do); a file without content can only be deleted."""
    content = path.read_bytes()
    yield "deleted", path.unlink
    if not content:
        return
    yield "emptied", lambda: path.write_bytes(b"")
    yield "truncated", lambda: path.write_bytes(content[: len(content) // 2])
    for part in PLACES:
        yield f"flipped at {part}", lambda part=part: path.write_bytes(flipped(content, part))


def flipped(content, part):
    place = int(part * (len(content) - 1))
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def cases(run, tmp_path):
    """A damaged copy of the run for each file and each damage: (file, damage, copy)."""
    for name in files(run):
        for number in WAYS:
            copy = RunDirectory(tmp_path / "copy")
            shutil.rmtree(copy.root, ignore_errors=True)
            shutil.copytree(run.root, copy.root)
            found = list(damages(copy.root / name))
            if number < len(found):
                damage, do = found[number]
                do()
                yield name, damage, copy


def same_entries(copy, run, name):
    """Whether a model file holds what it held, because the bit that was flipped is one that nobody reads."""
    if not name.endswith(".keras"):
        return False
    with contextlib.suppress(zipfile.BadZipFile, OSError, RuntimeError):
        return entries(copy.root / name) == entries(run.root / name)
    return False


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def before_training(run, caplog, monkeypatch):
    """What a resume says, and the state from which it would train: None if it found nothing left to do."""
    begun_in = []
    components = [Component("TensorBoard", {}), Component("CSVLogger", {"filename": "log.csv"})]
    callbacks = build_callbacks(components, run.root)

    class Loop:
        def resume(self, checkpoint, best_from=None):
            for note in RunWriter(run, None, callbacks).take_back(checkpoint.progress):
                logging.getLogger("kerasrun").warning("%s", note)
            # How long saving takes changes nothing.
            known = {name: value for name, value in run.read_run().items() if name != "checkpoint_seconds"}
            digest = hashlib.sha256(json.dumps(known).encode())
            for path in (run.resolved_file, run.metrics_file, run.timings_file, checkpoint.state_file):
                digest.update(path.read_bytes())
            begun_in.append((digest.hexdigest(), checkpoint.step, best_from and best_from.step))
            raise Reached

    caplog.clear()
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "kerasrun"):
        patch.setattr(training, "build", lambda prepared, *_, **__: job_of(prepared))
        patch.setattr(training, "loop_for", lambda *_: Loop())
        with contextlib.suppress(Reached):
            kerasrun.resume(run)
    return caplog.text, begun_in[0] if begun_in else None


def before_outputs(run, monkeypatch, model="best.keras", overrides=()):
    """What an evaluation knows when all that it reads of a run has been read: experiment, model, examples."""
    with monkeypatch.context() as patch:
        patch.setattr(results_model.devices, "start", lambda *_, **__: None)

        def built(checked):
            return model_file.TrainedModel(checked.path, None, checked.info)

        patch.setattr(results_model.model_file, "build", built)
        patch.setattr(evaluation, "report_on", lambda _, experiment, trained, *rest, **__: (experiment, trained.info))
        patch.setattr(evaluation, "_kept", lambda run, report: report)
        return evaluation.evaluate(run.root, last=model == "last.keras", overrides=overrides)


def damaged_copy(folder, tmp_path, name, number):
    """The whole run with a file damaged in one of the ways."""
    copy = RunDirectory(tmp_path / "copy")
    shutil.copytree(folder / "whole" / "run-1", copy.root)
    list(damages(copy.root / name))[number][1]()
    return copy


@pytest.fixture
def opened(monkeypatch):
    """Call it for the files of a run that were opened since the last call."""
    found = []
    real = io.open

    def spying_open(file, *arguments, **options):
        if isinstance(file, str | Path):
            found.append(Path(file))
        return real(file, *arguments, **options)

    monkeypatch.setattr(io, "open", spying_open)
    monkeypatch.setattr(builtins, "open", spying_open)

    def since(run):
        paths = {path for path in found if path.is_relative_to(run.root)}
        found.clear()
        return paths

    return since


# What a resume does about a damaged file: `restored` and named; the checkpoint `before` serves; `reported` and left as
# it is, because nothing is computed from it; not `read` at all.
RESUME = {
    "run.json": "restored",
    "resolved.yaml": "restored",
    "metrics.csv": "restored",
    "timings.csv": "restored",
    "best.keras": "restored",
    "last.keras": "restored",
    "checkpoints/newest": "before",
    "checkpoints/before": "not read",
    "log.csv": "reported",
    "tensorboard": "reported",
    "experiment.yaml": "not read",
    "evaluation": "not read",
    "plots": "not read",
    "log.txt": "not read",
    ".lock": "not read",
}


def at_resume(run, name):
    first, *rest = name.split("/")
    if first == "checkpoints":
        newest = max(path.name for path in run.checkpoints.iterdir())
        return RESUME["checkpoints/newest" if rest[0] == newest else "checkpoints/before"]
    return RESUME[first]


def without_callbacks(digests):
    """What kerasrun promises of a run whose callback's file is damaged."""
    return {name: digest for name, digest in digests.items() if name != "log.csv"}


def contents(run):
    return {name: (run.root / name).read_bytes() for name in files(run) if name not in ("log.txt", ".lock")}


@pytest.mark.long
@pytest.mark.parametrize("which", ["whole", "cut"])
def test_a_resume_puts_a_damaged_run_back_and_ends_with_the_same_bits(
    folder, tmp_path, caplog, monkeypatch, trained_from, which
):
    whole = without_callbacks(digests(RunDirectory(folder / "whole" / "run-1")))
    run = RunDirectory(folder / which / "run-1")
    damaged = RunDirectory(tmp_path / "damaged")
    trained_from.clear()
    for name, damage, copy in cases(run, tmp_path):
        case, expected = f"{name} {damage}", at_resume(run, name)
        shutil.rmtree(damaged.root, ignore_errors=True)
        shutil.copytree(copy.root, damaged.root)
        said, state = before_training(copy, caplog, monkeypatch)
        said = re.sub("What differs: diff .*", "", said)  # the command that shows what was edited names the run's copy
        silent = expected == "not read" or same_entries(damaged, run, name)
        silent |= expected == "reported" and (damage.startswith("flipped") or state is None)
        assert (str(copy.root / (Path(name).parent if expected == "before" else name)) in said) is not silent, case
        if state is None:
            assert which == "whole", case
            assert {**contents(copy), name: b""} == {**contents(run), name: b""}, case
            assert silent or contents(copy)[name] == contents(run)[name], case
        elif state not in trained_from:
            kerasrun.resume(damaged)
            assert without_callbacks(digests(damaged)) == whole, case
            trained_from.add(state)
    # As it was; from the checkpoint before; with `best.keras` made again.
    assert len(trained_from) == 3


@pytest.mark.parametrize("damage", WAYS)
@pytest.mark.parametrize("name", ["run.json", "resolved.yaml"])
def test_an_evaluation_takes_what_is_lost_from_the_checkpoint(folder, tmp_path, monkeypatch, caplog, name, damage):
    whole = before_outputs(RunDirectory(folder / "whole" / "run-1"), monkeypatch)
    copy = damaged_copy(folder, tmp_path, name, damage)
    before = contents(copy)
    with caplog.at_level(logging.WARNING, "kerasrun"):
        assert before_outputs(copy, monkeypatch) == whole
    assert str(copy.root / name) in caplog.text
    assert f"kerasrun resume {copy} puts it back" in caplog.text
    assert contents(copy) == before


def test_an_evaluation_on_other_data_than_those_of_training_is_told(folder, tmp_path, monkeypatch, caplog):
    with np.load(DIGITS / "digits.npz") as digits:
        np.savez(tmp_path / "digits.npz", **{**digits, "y_test": digits["y_test"][::-1]})
    run = RunDirectory(folder / "whole" / "run-1")
    with caplog.at_level(logging.WARNING, "kerasrun"):
        before_outputs(run, monkeypatch, overrides=[f"data.npz.path={tmp_path / 'digits.npz'}"])
    assert "the data are not those of training" in caplog.text


@pytest.mark.parametrize("damage", WAYS)
@pytest.mark.parametrize("name", ["best.keras", "last.keras"])
def test_a_damaged_model_is_named_or_what_is_read_of_it_is_what_was_written(
    folder, tmp_path, monkeypatch, name, damage
):
    run = RunDirectory(folder / "whole" / "run-1")
    copy = damaged_copy(folder, tmp_path, name, damage)
    if same_entries(copy, run, name):
        assert before_outputs(copy, monkeypatch, name) == before_outputs(run, monkeypatch, name)
        return
    image = DIGITS / "png" / "test" / "0"
    with pytest.raises(ModelFileError, match=f"{name}"):
        before_outputs(copy, monkeypatch, name)
    with pytest.raises(ModelFileError, match=f"{name}"):
        kerasrun.predict([image], model=model_of(copy, last=name == "last.keras"))


def test_nothing_else_of_a_run_is_read_for_an_evaluation_or_a_prediction(folder, monkeypatch, opened):
    run = RunDirectory(folder / "whole" / "run-1")
    before_outputs(run, monkeypatch)
    assert {path.name for path in opened(run)} == {"run.json", "resolved.yaml", "best.keras"}
    kerasrun.predict([DIGITS / "png" / "test" / "0"], model=model_of(kerasrun.open_run(run.root)))
    assert {path.name for path in opened(run)} == {"best.keras"}


@pytest.mark.parametrize("damage", WAYS)
@pytest.mark.parametrize("name", ["run.json", "metrics.csv", "timings.csv"])
def test_a_damaged_run_is_listed(folder, tmp_path, name, damage):
    copy = damaged_copy(folder, tmp_path, name, damage)
    (listed,) = list_runs(tmp_path)
    assert (listed.name, listed.problem is None) == ("copy", listed.status == "finished")
    if listed.problem is not None:
        assert str(copy.root / name) in listed.problem
    else:
        assert name != "run.json"  # a table in which a digit is another one; a resume puts it back


@pytest.mark.parametrize("damage", WAYS)
def test_damaged_curves_are_drawn_or_named(folder, tmp_path, damage):
    copy = damaged_copy(folder, tmp_path, "metrics.csv", damage)
    try:
        plot_curves(copy)
    except RunDirectoryError as error:
        assert str(copy) in str(error)  # noqa: PT017  either will do


@pytest.fixture(params=["cut", "whole"])
def without_best(folder, tmp_path, request):
    """A run whose best model is lost, and whose best epoch no checkpoint has, because later ones were no better."""
    run = RunDirectory(tmp_path / "run-1")
    shutil.copytree(folder / request.param / "run-1", run.root)
    oldest, newest = sorted(run.checkpoints.iterdir())
    shutil.rmtree(oldest)
    described = json.loads((newest / "progress.json").read_text())
    described["progress"]["best"]["epoch"] = 1
    described["sha256"] = sha256_of_fields({k: v for k, v in described.items() if k != "sha256"})
    (newest / "progress.json").write_text(json.dumps(described))
    run.best_model.write_bytes(b"")
    return run


def test_a_best_model_that_no_checkpoint_has_is_refused_with_its_epoch(without_best):
    before = contents(without_best)
    with pytest.raises(KerasrunError, match=r"best.keras: .* It held the model of epoch 1, the best one") as caught:
        kerasrun.resume(without_best)
    assert contents(without_best) == before
    finished = without_best.read_run()["status"] == "finished"
    assert ("put the file back from a copy" if finished else "--accept-changes goes on") in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize("without_best", ["cut"], indirect=True)
def test_accepted_the_best_model_is_that_of_the_epochs_to_come(without_best, folder):
    kerasrun.resume(without_best, accept_changes=True)
    (entry,) = without_best.read_run()["accepted_changes"]
    assert "best.keras" in entry["changes"][0]
    assert without_best.read_run()["best"]["epoch"] == 3
    assert model_file.read_info(without_best.best_model).epoch == 3
    whole = RunDirectory(folder / "whole" / "run-1")
    assert variables_digest(without_best.last_model) == variables_digest(whole.last_model)


COMMANDS = [
    ("resume", "run.json", 0, "run.json is missing; what checkpoint 00000009 keeps of it serves instead"),
    ("evaluate", "best.keras", 1, "best.keras is not there: no epoch is done, or it was removed"),
    ("predict", "best.keras", 1, "best.keras is not there: no epoch is done, or it was removed"),
    ("plot", "metrics.csv", 1, "no epoch is done, or metrics.csv was lost, which kerasrun resume runs/copy puts back"),
    ("runs", "resolved.yaml", 0, ""),
]


@pytest.mark.parametrize(("command", "name", "code", "said"), COMMANDS)
def test_no_command_ends_in_a_traceback(folder, tmp_path, command, name, code, said):
    copy = damaged_copy(folder, tmp_path / "runs", name, 0)
    arguments = {"runs": [], "predict": [DIGITS / "png" / "test" / "0", "--run", copy.root]}.get(command, [copy.root])
    done = forked.run(["-m", "kerasrun", command, *arguments], tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
