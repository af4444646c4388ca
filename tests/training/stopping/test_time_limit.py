"""Training ends before its time limit does, and goes on to the same bits."""

import logging
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import kerasrun
from kerasrun.training.stopping.time_limit import TimeLimit

tensorflow = pytest.mark.tensorflow

# Two steps an epoch, one of validation.
SHORT = "model: {MLP: {units: [8], dropout: 0.3}}\nfit: {epochs: 2, batch_size: 100, validation_data: test}\n"


def test_there_is_no_limit_before_anything_was_done():
    limit = TimeLimit(0.001, begun=0.0)
    assert limit.leaves(3600)
    limit.progressed()
    assert not limit.leaves(0)


def test_without_a_limit_there_is_always_time():
    limit = TimeLimit()
    limit.progressed()
    assert limit.leaves(1e9)


@pytest.mark.long
@tensorflow
def test_the_shortest_limit_comes_to_the_same_end_a_step_or_a_validation_at_a_time(train):
    from tests.training.exactness import variables_digest

    run = train(SHORT + "time_limit: 0.001")
    places = []
    while run.read_run()["status"] == "paused":
        places.append(run.read_run()["reason"].split(":")[0])
        assert len(places) < 9
        kerasrun.resume(run)
    assert places == [
        "paused after step 1 of 2 in epoch 1 of 2",
        "paused after step 2 of 2 in epoch 1 of 2",
        "paused after step 0 of 2 in epoch 2 of 2",
        "paused after step 1 of 2 in epoch 2 of 2",
        "paused after step 2 of 2 in epoch 2 of 2",
    ]
    whole = train(SHORT)
    assert run.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert variables_digest(run.best_model) == variables_digest(whole.best_model)
    assert variables_digest(run.last_model) == variables_digest(whole.last_model)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where something is traced (5 s), trained (2 s a step), validated (3 s) or saved (4 s).

    One thing after the other: what is written in the background is done before training goes on.
    """
    from kerasrun.engine import chunks, steps
    from kerasrun.runs import background, checkpoints
    from kerasrun.training import train, writer
    from kerasrun.training.stopping import time_limit

    clock = SimpleNamespace(now=0.0, validated=0)
    fake = SimpleNamespace(monotonic=lambda: clock.now, perf_counter=lambda: clock.now)
    for module in (chunks, time_limit, train, writer):
        monkeypatch.setattr(module, "time", fake)
    step, validate, save = steps.FusedSteps.__call__, steps.Inference.__call__, checkpoints.save
    traced = set()

    def trace(what):
        clock.now += 0 if what in traced else 5
        traced.add(what)

    def slow_step(self, iterator, count):
        trace("step")
        clock.now += 2 * count
        return step(self, iterator, count)

    def slow_validation(self, iterator, count):
        trace("validation")
        clock.now += 3 * count
        clock.validated += count
        return validate(self, iterator, count)

    def slow_save(*arguments):
        clock.now += 4
        save(*arguments)

    submit = background.BackgroundWriter.submit

    def submit_and_wait(self, *arguments, **named):
        job = submit(self, *arguments, **named)
        job.result()
        return job

    monkeypatch.setattr(background.BackgroundWriter, "submit", submit_and_wait)
    monkeypatch.setattr(steps.FusedSteps, "__call__", slow_step)
    monkeypatch.setattr(steps.Inference, "__call__", slow_validation)
    monkeypatch.setattr(checkpoints, "save", slow_save)
    return clock


@pytest.mark.long
@tensorflow
@pytest.mark.parametrize(
    ("limit", "reason", "validated"),
    [
        (20, "paused after step 1 of 4 in epoch 1 of 3", 0),
        (40, "paused after step 4 of 4 in epoch 1 of 3", 0),  # a validation that would not be done in time is not begun
        (45, "paused after step 4 of 4 in epoch 1 of 3", 1),  # one that takes longer than expected is given up
        # At 40 s the second validation is expected to end in time, two saves included, at 57.5 s; at 43 s no more.
        (60, "paused after step 4 of 4 in epoch 2 of 3", 3),
        (300, "all 3 epochs done", 6),
    ],
)
def test_the_save_at_hand_is_done_in_time(train, clock, limit, reason, validated):
    text = f"fit: {{epochs: 3, batch_size: 50, validation_data: test}}\ntime_limit: {limit}"
    run = train(text, "checkpoint.seconds_between=0")  # by this clock, epochs are long
    assert run.read_run()["reason"].startswith(reason)
    assert clock.validated == validated
    assert clock.now < limit
    assert run.read_run()["status"] == ("finished" if validated == 6 else "paused")


@pytest.mark.long
@tensorflow
def test_the_command_line_says_how_to_go_on_and_ends_with_0(train, tmp_path, caplog):
    from kerasrun.cli import app

    train(SHORT)
    runs = tmp_path / "runs"
    with caplog.at_level(logging.INFO, "kerasrun"):
        done = CliRunner().invoke(
            app, ["train", str(tmp_path / "small.yaml"), "-s", "time_limit=0.1s", "-o", str(runs)]
        )
    assert (done.exit_code, done.stdout) == (0, f"{runs / 'small-2'}\n")
    assert "the time limit of 0.1 s is near; everything is saved" in caplog.text
    assert f"Go on with: kerasrun resume {runs / 'small-2'}" in caplog.text
    listed = CliRunner().invoke(app, ["runs", "-o", str(runs)]).stdout
    assert listed.splitlines()[1].split()[:3] == ["small-2", "paused", "0/2"]
    resumed = CliRunner().invoke(app, ["resume", "-o", str(runs), "-s", "time_limit=1h"])
    assert (resumed.exit_code, resumed.stdout) == (0, f"{runs / 'small-2'}\n")
    first, second = (kerasrun.open_run(runs / name) for name in ("small-1", "small-2"))
    assert second.read_run()["status"] == "finished"
    assert second.metrics_file.read_bytes() == first.metrics_file.read_bytes()
