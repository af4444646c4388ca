"""What a person types who knows other tools is answered with the right spelling, never with a wrong one."""

import logging

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from kerasrun.cli import app
from kerasrun.commands._spellings import COMMANDS
from kerasrun.experiment.load import load

EXPERIMENT = "data: {npz: {path: a.npz}}\nmodel: LeNet\n"


def said(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 2
    return " ".join(done.output.split())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("x.yaml", "kerasrun train x.yaml"),
        ("fit", "kerasrun train FILE"),
        ("test", "kerasrun evaluate"),
        ("compare", "kerasrun diff RUN RUN"),
        ("list", "kerasrun runs"),
        ("delete", "kerasrun rm RUN"),
        ("version", "kerasrun --version"),
        ("help", "kerasrun --help"),
        ("trian", "did you mean: kerasrun train"),
        ("dry-run", "kerasrun train FILE --dry-run"),
        ("reset", "kerasrun --help lists the commands"),
        ("qqq", "kerasrun --help lists the commands"),
    ],
)
def test_a_command_that_does_not_exist_is_answered_with_the_one_that_was_meant(typed, meant):
    assert meant in said(typed)


def test_what_is_offered_for_a_command_exists():
    offered = {words.split()[1] for words in COMMANDS.values() if words.startswith("kerasrun ")}
    assert offered - {"--version", "--help"} <= get_command(app).commands.keys()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--lr", "0.1"], "-s compile.optimizer.Adam.learning_rate=VALUE"),
        (["--learning-rate=0.1"], "-s compile.optimizer.Adam.learning_rate=VALUE"),
        (["--gpu", "0"], "-s device=gpu"),
        (["-c", "y.yaml"], "kerasrun train FILE"),
        (["--config", "y.yaml"], "kerasrun train FILE"),
        (["--continue"], "kerasrun train FILE --resume"),
        (["--batch_size", "3"], "did you mean --batch-size?"),
        (["--validation-split", "0.1"], "-s fit.validation_split=VALUE"),
        (["--image-size", "32"], "-s data.directory.image_size=VALUE"),
        (["--shuffle"], "it is not needed"),
        (["--outptu", "x"], "did you mean --output?"),
        (["--frobnicate"], "kerasrun train --help lists the options"),
    ],
)
def test_an_option_that_does_not_exist_is_answered_with_what_to_type(typed, meant):
    assert meant in said("train", "x.yaml", *typed)


def test_the_value_of_an_option_may_begin_with_a_dash(tmp_path):
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    done = CliRunner().invoke(app, ["validate", str(tmp_path / "e.yaml"), "-s", "-x=1"])
    assert "no option" not in done.output


def test_plain_spellings_change_the_experiment(monkeypatch):
    from kerasrun import reported

    given = {}
    monkeypatch.setattr(reported, "train", lambda file, **options: given.update(options) or "runs/x-1")
    options = ["--epochs", "5", "--batch-size", "64", "--seed", "3", "--name", "x", "-s", "fit.verbose=2"]
    assert CliRunner().invoke(app, ["train", "e.yaml", *options]).exit_code == 0
    assert given["overrides"] == ["fit.epochs=5", "fit.batch_size=64", "seed=3", "name=x", "fit.verbose=2"]


def test_quiet_may_come_after_the_command(tmp_path):
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    handler = logging.NullHandler()
    logging.getLogger("kerasrun").addHandler(handler)
    try:
        assert CliRunner().invoke(app, ["validate", str(tmp_path / "e.yaml"), "-q"]).exit_code == 0
        assert handler.level == logging.WARNING
    finally:
        logging.getLogger("kerasrun").removeHandler(handler)


def test_each_answer_of_an_experiment_leads_to_one_that_is_read(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text(EXPERIMENT)
    for setting in ("compile.optimizer.Adam.learning_rate=0.1", "fit.validation_split=0.1", "device=gpu", "device=[0]"):
        load(file, [setting])


@pytest.mark.parametrize(
    ("typed", "meant"), [("epochs=5", "-s fit.epochs=5"), ("fit.epochs=5", "-s fit.epochs=5"), ("x=1", "-s KEY.PATH=1")]
)
def test_a_value_that_stands_alone_is_answered_with_how_it_is_changed(typed, meant):
    told = f"unexpected argument {typed}; a value of the experiment is changed with {meant}"
    assert told in said("train", "a.yaml", typed)
