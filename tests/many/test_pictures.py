"""The pictures of a search show its trials."""

import pytest
from optuna.trial import TrialState

from kerasrun.experiment.load import load
from kerasrun.many import pictures
from kerasrun.many.study import Study, journal_in, short_names
from tests.training.conftest import write_small

SECTION = """
sweep:
  trials: 30
  sampler: Random
  parameters:
    compile.optimizer.Adam.learning_rate: {low: 1e-4, high: 1e-1, log: true}
    model.MLP.units: {choice: [[4], [8, 8]]}
    fit.batch_size: {low: 16, high: 64, step: 16}
"""


@pytest.fixture
def study(tmp_path):
    return Study(load(write_small(tmp_path, SECTION)), journal_in(tmp_path), "s", "minimize")


def search(study, trials):
    """The smaller the batches, the better; every fourth trial is pruned, and the last one fails."""
    for number in range(trials):
        study.begin()
        value = study.suggested(number)["fit.batch_size"] / 64
        if number + 1 < trials:
            study.end(number, TrialState.COMPLETE if number % 4 else TrialState.PRUNED, value)
        else:
            study.end(number, TrialState.FAIL)


def test_what_decides_is_the_most_important(study):
    search(study, 30)
    shares = pictures._importances(study)
    assert next(iter(shares)) == "fit.batch_size"
    assert sum(shares.values()) == pytest.approx(1)


def test_every_picture_is_drawn_with_the_trials_that_have_a_value(study, tmp_path, monkeypatch):
    figures = {}
    monkeypatch.setattr(pictures, "save", lambda figure, path: figures.setdefault(path.stem, figure))
    search(study, 13)
    pictures.draw(study, "loss", tmp_path)
    assert figures.keys() == {"history", "parallel_coordinates", "importances"}
    finished, pruned = figures["history"].axes[0].collections
    assert (len(finished.get_offsets()), len(pruned.get_offsets())) == (9, 3)
    (best,) = figures["history"].axes[0].lines
    assert list(best.get_ydata()) == sorted(best.get_ydata(), reverse=True)
    lines = [line for line in figures["parallel_coordinates"].axes[0].lines if len(line.get_xdata()) == 4]
    assert len(lines) == 9
    winner = study.best().params
    assert lines[-1].get_ydata()[0] == 0
    assert lines[-1].get_ydata()[-1] == (winner["fit.batch_size"] - 16) / 48
    assert lines[-1].get_color() == "C3"


@pytest.mark.parametrize(
    ("trials", "names"), [(0, []), (2, ["history"]), (13, ["history", "importances", "parallel_coordinates"])]
)
def test_there_are_as_many_pictures_as_trials_allow(study, tmp_path, trials, names):
    search(study, trials)
    pictures.draw(study, "loss", tmp_path / "plots")
    assert sorted(file.stem for file in (tmp_path / "plots").glob("*.png")) == names


def test_a_key_is_shown_by_as_much_of_its_end_as_tells_it_from_others():
    keys = ["fit.batch_size", "model.a.units", "model.b.units", "units"]
    assert list(short_names(keys).values()) == ["batch_size", "a.units", "b.units", "units"]
