"""A run of more epochs, or fewer, than were asked for at first is the run that was asked for them from the start."""

import logging

import pytest

import kerasrun
from kerasrun.errors import UsageError
from tests.training.exactness import variables_digest

pytestmark = pytest.mark.tensorflow

# The averages, the best weights that are put back, a plateau that acts, and a schedule that ends within the run.
PLATEAU = """
compile: {optimizer: {Adam: {learning_rate: 0.01, use_ema: true, ema_momentum: 0.9}}}
callbacks:
  - ReduceLROnPlateau: {monitor: val_loss, patience: 1, factor: 0.5, min_delta: 10}
  - EarlyStopping: {monitor: val_loss, mode: max, patience: 9, restore_best_weights: true}
  - TensorBoard
  - CSVLogger: {filename: log.csv}
checkpoint: {epochs: 3, seconds_between: 0}
"""
SCHEDULE = """
compile:
  optimizer: {SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 0.1, decay_steps: 20}}, use_ema: true}}
callbacks: [SwapEMAWeights]
"""
SWAPPED = """
compile: {optimizer: {SGD: {learning_rate: 0.1, use_ema: true}}}
callbacks: [{SwapEMAWeights: {swap_on_epoch: true}}]
checkpoint: {seconds_between: 0}
"""
STOPPED = "callbacks: [{EarlyStopping: {monitor: val_loss, min_delta: 10, patience: 1, restore_best_weights: true}}]"


def small(text, epochs):
    return f"{text}\nfit: {{epochs: {epochs}, validation_data: test}}"


def evidence(run):
    from kerasrun.engine.state import from_hdf5
    from kerasrun.runs import checkpoints

    newest = checkpoints.newest(run)
    return {
        "metrics.csv": run.metrics_file.read_text(),
        "best.keras": variables_digest(run.best_model),
        "last.keras": variables_digest(run.last_model),
        "state": {name: array.tobytes() for name, array in from_hdf5(newest.state_file).items()},
        "callbacks": newest.progress["callbacks"],
        "ended": {key: run.read_run()[key] for key in ("status", "reason", "best", "epochs")},
    }


@pytest.mark.long
@pytest.mark.parametrize("text", [PLATEAU, SCHEDULE], ids=["plateau", "schedule"])
def test_an_extended_run_is_the_longer_run(train, text):
    run = train(small(text, 2))
    averaged = variables_digest(run.last_model)
    kerasrun.resume(run, overrides=["fit.epochs=4"])
    whole = train(small(text, 4))
    assert evidence(run) == evidence(whole)
    assert variables_digest(run.last_model) != averaged
    if text == PLATEAU:
        assert (run.root / "log.csv").read_bytes() == (whole.root / "log.csv").read_bytes()
        rates = {row.split(",")[-1] for row in run.metrics_file.read_text().splitlines()[1:]}
        assert len(rates) > 1, "the plateau callback never acted"


@pytest.fixture
def interrupted(train, tmp_path, monkeypatch):
    """Make a run of four epochs that is left when two are done."""

    def make(text):
        from kerasrun.training.loop import TrainingLoop

        end = TrainingLoop._end_epoch

        def killed(self, epoch, *arguments):
            end(self, epoch, *arguments)
            if epoch == 1:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(TrainingLoop, "_end_epoch", killed)
            with pytest.raises(KeyboardInterrupt):
                train(small(text, 4))
        return kerasrun.open_run(tmp_path / "runs" / "latest")

    return make


@pytest.mark.long
def test_a_shortened_run_is_the_shorter_run(train, interrupted):
    text = PLATEAU.replace("epochs: 3", "epochs: 1")
    run = interrupted(text)
    kerasrun.resume(run, overrides=["fit.epochs=2"])
    assert evidence(run) == evidence(train(small(text, 2)))


@pytest.mark.long
def test_averages_that_took_the_place_of_the_weights_end_a_run_for_good(train):
    run = train(small(SWAPPED, 2))
    with pytest.raises(UsageError, match="swap_on_epoch cannot be extended"):
        kerasrun.resume(run, overrides=["fit.epochs=3"])


@pytest.mark.long
def test_averages_that_are_swapped_each_epoch_cannot_end_at_one_that_is_over(train, interrupted):
    run = interrupted(SWAPPED)
    with pytest.raises(UsageError, match="epoch 2 is over: give at least 3"):
        kerasrun.resume(run, overrides=["fit.epochs=2"])
    kerasrun.resume(run, overrides=["fit.epochs=3"])
    assert evidence(run) == evidence(train(small(SWAPPED, 3)))


@pytest.mark.long
def test_a_run_that_was_stopped_early_would_have_stopped_in_a_longer_one(train, caplog):
    run = train(small(STOPPED, 4))
    before = evidence(run)
    with caplog.at_level(logging.INFO, "kerasrun"):
        kerasrun.resume(run, overrides=["fit.epochs=8"])
    assert "EarlyStopping on val_loss stopped it after epoch 2; nothing to resume" in caplog.text
    assert evidence(run) == before
    longer = evidence(train(small(STOPPED, 8)))
    for name in ("metrics.csv", "best.keras", "last.keras", "state"):
        assert longer[name] == before[name]
