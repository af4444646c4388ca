"""Which model `predict` takes."""

import pytest
from typer.testing import CliRunner

from kerasrun import model_file
from kerasrun.cli import app
from kerasrun.results import prediction
from kerasrun.runs.directory import create


@pytest.fixture
def taken(monkeypatch, tmp_path):
    """The arguments that predictions are made with."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        create(tmp_path / "runs", name).best_model.touch()
    found = {}
    monkeypatch.setattr(
        prediction, "predict", lambda examples, **options: found.update(options, examples=examples) or []
    )
    monkeypatch.setattr(model_file, "read_info", lambda path: type("Info", (), {"epoch": 3}))
    return found


def predict(*arguments):
    assert CliRunner().invoke(app, ["predict", *arguments], catch_exceptions=False).exit_code == 0


def test_without_a_run_it_says_which_it_takes(taken, caplog):
    with caplog.at_level("INFO", "kerasrun"):
        predict("cat.png")
    assert taken["model"].parent.name == "b-1"
    assert any(
        line.startswith("predicting with ") and line.endswith("b-1/best.keras, epoch 3") for line in caplog.messages
    )


@pytest.mark.parametrize("run", ["a-1", "runs/a-1"])
def test_a_run_may_come_before_the_examples(run, taken, caplog):
    with caplog.at_level("INFO", "kerasrun"):
        predict(run, "cat.png", "dog.png")
    assert (taken["model"].parent.name, taken["examples"]) == ("a-1", ["cat.png", "dog.png"])
    assert caplog.messages == []


def test_a_single_argument_is_an_example(taken):
    predict("a-1")
    assert (taken["model"].parent.name, taken["examples"]) == ("b-1", ["a-1"])
