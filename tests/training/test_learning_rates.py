"""The learning rate of every epoch, by schedules and by callbacks."""

import shutil

import pytest

import kerasrun
from kerasrun.learning_rates import step_decay
from kerasrun.runs.directory import open_run
from kerasrun.runs.metrics import Table
from tests.training.conftest import DIGITS
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

EXPERIMENT = """
data: {npz: {path: digits.npz}}
model: {MLP: {units: [8]}}
compile: {optimizer: {SGD: {momentum: 0.9}}}
fit: {batch_size: 300, epochs: 5}
callbacks:
  - LearningRateScheduler:
      schedule: {step_decay: {initial_learning_rate: 0.1, drop: 0.5, epochs_drop: 2}}
"""


def test_the_rate_drops_every_so_many_epochs():
    drops = {"initial_learning_rate": 0.1, "drop": 0.5, "epochs_drop": 2}
    assert [step_decay(epoch, **drops) for epoch in range(5)] == [0.1, 0.05, 0.05, 0.025, 0.025]


@pytest.mark.tensorflow
def test_step_decay_is_logged_and_resumed_exactly(tmp_path):
    shutil.copy(DIGITS, tmp_path)
    train_whole_and_cut(tmp_path, EXPERIMENT)
    whole, cut = (open_run(tmp_path / name / "run-1") for name in ("whole", "cut"))
    kerasrun.resume(cut)
    rates = [row["learning_rate"] for row in Table(whole.metrics_file).rows()]
    assert rates == pytest.approx([0.1, 0.05, 0.05, 0.025, 0.025])
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert variables_digest(cut.last_model) == variables_digest(whole.last_model)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [
        # 200 examples in batches of 50 are 4 steps an epoch; the rate is that after the last step.
        ("{SGD: {learning_rate: 0.1, decay: 0.5}}", [0.1 / (1 + 0.5 * 4), 0.1 / (1 + 0.5 * 8)]),
        (
            "{SGD: {learning_rate: {ExponentialDecay: "
            "{initial_learning_rate: 0.1, decay_epochs: 1, decay_rate: 0.5, staircase: true}}}}",
            [0.05, 0.025],
        ),
    ],
)
def test_decay_and_counts_of_epochs_give_their_schedule(train, caplog, optimizer, rates):
    with caplog.at_level("INFO", "kerasrun"):
        run = train(f"fit: {{epochs: 2, batch_size: 50}}\ncompile: {{optimizer: {optimizer}}}")
    assert [row["learning_rate"] for row in Table(run.metrics_file).rows()] == pytest.approx(rates)
    assert sum("compile.optimizer: decay" in message for message in caplog.messages) == 1
    assert kerasrun.load(run.resolved_file).experiment.compile.optimizer.name == "SGD"
