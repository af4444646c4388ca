"""Phases of training in one run: what learns, what begins anew, and that a resume continues each of them."""

import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import ExperimentError, Interrupted, KerasrunError, ModelError, ModelFileError, UsageError
from kerasrun.experiment.load import load
from kerasrun.runs import checkpoints
from kerasrun.training.resuming.kept_models import best_model
from tests.training.test_extending import evidence

pytestmark = pytest.mark.tensorflow

# The second stage is stopped after two of its four epochs, and so is the last: none improves by `min_delta`. The best
# model is that of the largest learning rate, in its first epoch.
STAGES = """
model:
  layers:
    - Flatten
    - Dense: {units: 8, activation: relu, name: first}
    - BatchNormalization: {name: normalize}
    - Dropout: {rate: 0.2}
    - Dense: {units: 8, activation: relu, name: second}
compile: {optimizer: {Adam: {learning_rate: 0.01}}}
fit: {batch_size: 25, validation_data: test}
stages:
  - {epochs: 1, trainable: second}
  - {epochs: 4, trainable: normalize, optimizer: {SGD: {learning_rate: 0.05, momentum: 0.9}}}
  - {epochs: 2, trainable: true, optimizer: {Adam: {learning_rate: 1e-3}}}
callbacks:
  - EarlyStopping: {monitor: val_loss, patience: 1, min_delta: 10, restore_best_weights: true, start_from_epoch: 1}
  - CSVLogger: {filename: log.csv}
  - TensorBoard
checkpoint: {keep: 9, monitor: learning_rate, mode: max, seconds_between: 0}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stages")
    from tests.training.conftest import DIGITS

    with np.load(DIGITS) as archive:
        np.savez(folder / "digits.npz", **{name: archive[name][: 200 if "train" in name else 60] for name in archive})
    (folder / "small.yaml").write_text(f"data: {{npz: {{path: digits.npz}}}}\n{STAGES}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    return kerasrun.train(folder / "small.yaml", output=folder / "whole")


def weights_after(run, epoch):
    """Variables by name in the checkpoint at the end of an epoch."""
    from kerasrun.engine.state import from_hdf5

    return from_hdf5(checkpoints.at_end_of_epoch(run, epoch).state_file)


def changed(run, before, after):
    """The layers whose weights differ between the ends of two epochs."""
    old, new = weights_after(run, before), weights_after(run, after)
    names = (name for name in old if name.startswith("model/") and "seed_generator" not in name)
    return {name.split("/")[2] for name in names if not np.array_equal(old[name], new[name])}


def test_only_the_layers_that_a_stage_names_learn(whole):
    assert changed(whole, 0, 1) == {"second", "output"}
    # Its statistics move only where it learns.
    assert changed(whole, 1, 2) == {"normalize", "second", "output"}
    assert changed(whole, 3, 4) == {"first", "normalize", "second", "output"}


def test_each_stage_begins_with_an_optimizer_of_its_own(whole):
    steps = {}
    for epoch in range(5):
        arrays = weights_after(whole, epoch)
        steps[epoch] = next(int(array) for name, array in arrays.items() if name.endswith("iteration"))
    # The checkpoint at the end of a stage has the optimizer with which the next one begins.
    assert steps == {0: 0, 1: 0, 2: 8, 3: 0, 4: 8}


def test_a_callback_that_stops_a_stage_lets_the_next_one_begin(whole):
    rows = whole.metrics_file.read_text().splitlines()[1:]
    rates = [row.rsplit(",", 1)[1] for row in rows]
    assert [float(rate) for rate in rates] == pytest.approx([0.01, 0.05, 0.05, 1e-3, 1e-3])
    assert whole.read_run()["reason"] == "stopped early by EarlyStopping on val_loss after epoch 5 of 5"


PLACES = [(1, 0), (2, 5), (3, 0)]


@pytest.fixture(scope="module")
def cut(folder):
    """A run that was stopped in each of these places, resumed from the one before, and not from the last."""
    from kerasrun.training.loop import TrainingLoop

    take, begin = TrainingLoop._chunk, TrainingLoop._begin_next_stage
    run = folder / "cut" / "small-1"
    for place in PLACES:

        def stop(loop, place=place):
            if (loop.position.epoch, loop.position.step) >= place:
                loop.stop.signal = signal.SIGINT

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainingLoop, "_chunk", _then(take, stop))
            patch.setattr(TrainingLoop, "_begin_next_stage", _then(begin, stop))
            with pytest.raises(Interrupted):
                kerasrun.resume(run) if run.exists() else kerasrun.train(folder / "small.yaml", output=run.parent)
    return run


@pytest.mark.long
def test_a_run_that_was_cut_in_any_stage_ends_as_one_that_was_not(cut, whole, tmp_path):
    run = kerasrun.resume(shutil.copytree(cut, tmp_path / "small-1"))
    assert evidence(run) == evidence(whole)
    assert (run.root / "log.csv").read_text() == (whole.root / "log.csv").read_text()


def test_the_best_model_of_an_earlier_stage_is_made_again(whole, tmp_path):
    run = kerasrun.open_run(shutil.copytree(whole.root, tmp_path / whole.name))
    run.best_model.unlink()
    kerasrun.resume(run)
    assert run.read_run()["best"]["epoch"] == 2
    assert evidence(run) == evidence(whole)


def test_it_is_not_made_from_the_beginning_of_the_next_stage(whole):
    """There EarlyStopping has put the best weights back, and the optimizer is another."""
    experiment, newest = load(whole.resolved_file).experiment, checkpoints.newest(whole)
    at_the_end = {**newest.progress, "best": {**newest.progress["best"], "epoch": 3}}
    with pytest.raises(ModelFileError, match="of epoch 2, but the best one is epoch 3, which no checkpoint has"):
        best_model(whole, experiment, replace(newest, progress=at_the_end))


@pytest.mark.long
def test_the_last_stage_may_be_shortened_and_extended(cut, whole, tmp_path):
    run = kerasrun.resume(shutil.copytree(cut, tmp_path / "small-1"), overrides=["stages.2.epochs=1"])
    assert (run.read_run()["status"], len(run.metrics_file.read_text().splitlines())) == ("finished", 5)
    kerasrun.resume(run, overrides=["stages.2.epochs=2"])
    assert evidence(run)["state"] == evidence(whole)["state"]


def test_an_earlier_stage_may_not_be_changed(whole):
    with pytest.raises(UsageError, match="cannot change stages"):
        kerasrun.resume(whole, overrides=["stages.0.epochs=2"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "fit: {epochs: 3}\nstages: [{epochs: 1}, {epochs: 1}]",
            "received 3, but the stages have 2 epochs",
        ),
        ("stages: [{epochs: 0}]", "stages.0.epochs"),
        ("stages: [{trainable: true}]", "stages.0.epochs"),
        ("stages: [{epochs: 1, optimizer: Adm}]", "stages.0.optimizer: unknown optimizer 'Adm'.*Adam"),
        (
            "stages: [{epochs: 1, optimizer: {SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 0.1, "
            "decay_steps: 9}}}}}]\ncallbacks: [{ReduceLROnPlateau: {monitor: loss}}]",
            "beside the schedule CosineDecay of stages.0.optimizer",
        ),
    ],
)
def test_a_mistake_in_a_stage_is_told_with_its_place(train, text, words):
    with pytest.raises(ExperimentError, match=words):
        train(text)


def test_a_layer_that_is_not_there_is_told_before_the_first_stage(train, tmp_path):
    with pytest.raises(ModelError, match=r"has no layer 'dense3'; did you mean dense[12]"):
        train("stages: [{epochs: 1}, {epochs: 1, trainable: dense3}]")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [("SGD", "give the optimizer use_ema"), ("{SGD: {use_ema: true, momentum: 5}}", "SGD: .*momentum")],
)
def test_an_optimizer_that_cannot_serve_is_told_before_the_first_stage(train, tmp_path, optimizer, words):
    stages = f"stages: [{{epochs: 1}}, {{epochs: 1, optimizer: {optimizer}}}]"
    with pytest.raises(KerasrunError, match=words):
        train(f"compile: {{optimizer: {{Adam: {{use_ema: true}}}}}}\ncallbacks: [SwapEMAWeights]\n{stages}")
    assert not (tmp_path / "runs").exists()


def test_verify_tries_every_stage(folder):
    """Some steps have at least an epoch in each of them."""
    from kerasrun.engine.prepared import prepare
    from kerasrun.training.trial import _shortened

    for steps, epochs in ((8, [1, 1, 1]), (100, [1, 1, 11])):
        prepared, taken = _shortened(prepare(load(folder / "small.yaml")), steps)
        assert [stage.epochs for stage in prepared.experiment.stages] == epochs
        assert taken >= steps


def _then(method, what):
    def both(loop, *arguments):
        method(loop, *arguments)
        what(loop)

    return both


@pytest.mark.long
def test_a_schedule_of_a_stage_may_count_epochs(train):
    rate = "{ExponentialDecay: {initial_learning_rate: 0.1, decay_epochs: 1, decay_rate: 0.5, staircase: true}}"
    second = f"{{epochs: 2, optimizer: {{SGD: {{learning_rate: {rate}}}}}}}"
    run = train(f"fit: {{batch_size: 100}}\nstages: [{{epochs: 1}}, {second}]")
    rates = [float(row.rsplit(",", 1)[1]) for row in run.metrics_file.read_text().splitlines()[2:]]
    # As the steps before it have made it: halved after its first epoch of two steps.
    assert rates == pytest.approx([0.05, 0.025])
