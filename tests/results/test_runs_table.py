"""`runs`: which runs are listed, in which order, with which columns."""

import json

import pytest

from kerasrun.errors import UsageError
from kerasrun.experiment.units import amount
from kerasrun.results.runs_condition import parse
from kerasrun.results.runs_table import default_columns, selected, to_csv, to_json, to_text
from kerasrun.runs.directory import create, in_natural_order
from kerasrun.runs.listing import list_runs
from kerasrun.runs.metrics import Table


@pytest.fixture
def runs(tmp_path):
    """Eleven runs of a learning rate each, of which every second was tested; the later, the better."""
    for number in range(1, 12):
        run = create(tmp_path, "lenet")
        best = {"monitor": "val_loss", "value": 1 / number, "epoch": 1}
        overrides = [f"lr={number / 100}", "fit.epochs=2"]
        run.update_run(status="finished", epochs=2, best=best, overrides=overrides, seed=1, experiment="lenet")
        for epoch, accuracy in ((1, number / 20), (2, 0.0)):
            row = {"epoch": epoch, "loss": 0.5, "val_loss": 1 / number, "val_accuracy": accuracy}
            Table(run.metrics_file).append(row)
        if number % 2:
            run.evaluation("test").parent.mkdir()
            run.evaluation("test").write_text(json.dumps({"metrics": {"loss": 0.1, "accuracy": number / 16}}))
    return list_runs(tmp_path)


def names(runs):
    return [run.name for run in runs]


def test_the_newest_is_first_and_numbers_are_numbers(runs):
    by_number = [f"lenet-{number}" for number in range(1, 12)]
    assert names(selected(runs)) == by_number[::-1]
    assert names(selected(runs, reverse=True)) == names(selected(runs, sort="run")) == by_number


def test_a_table_has_what_was_measured_and_what_differs(runs):
    fixed = ["run", "status", "epochs", "val_loss", "test_accuracy", "started", "seconds", "bytes"]
    assert default_columns(runs) == [*fixed, "lr"]
    header, newest, *_ = to_text(selected(runs)).splitlines()
    assert header.split() == [*fixed, "lr"]
    assert newest.split()[:5] == ["lenet-11", "finished", "2/2", "0.09091", "0.6875"]
    assert newest.split()[-1] == "0.11"
    assert default_columns(runs[:1]) == fixed


def test_metrics_are_those_of_the_best_epoch(runs):
    assert runs[3].metrics["val_accuracy"] == 4 / 20


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("val_accuracy > 0.45", [11, 10]),
        ("val_accuracy>=0.45 and lr != 0.1", [11, 9]),
        ("lr = 1e-2", [1]),
        ("test_accuracy < 0.2", [3, 1]),
        ("run == 'lenet-7'", [7]),
        ('status = finished and run = "lenet-8"', [8]),
        ("started > 2000-01-01 and seed = 1 and epochs = 2 and bytes > 100 and lr <= 0.01", [1]),
        ("status = failed", []),
    ],
)
def test_a_condition_chooses_runs(runs, where, numbers):
    assert names(selected(runs, where)) == [f"lenet-{number}" for number in numbers]


@pytest.mark.parametrize(
    "text",
    [
        "lr",
        "lr >",
        "> 3",
        "lr > 3 lr < 4",
        "lr > 3 and",
        "lr > 3 or lr < 1",
        "__import__('os')",
        "lr => 3",
        " ",
        "a='b",
    ],
)
def test_what_is_no_condition_is_refused_with_the_form(text):
    with pytest.raises(UsageError, match="expected NAME OP VALUE"):
        parse(text)


def test_runs_are_sorted_from_the_highest_number_and_those_without_come_last(runs):
    tested = [11, 9, 7, 5, 3, 1]
    ordered = names(selected(runs, sort="test_accuracy"))
    assert ordered[:6] == [f"lenet-{number}" for number in tested]
    assert set(ordered[6:]) == {f"lenet-{number}" for number in range(2, 11, 2)}
    assert names(selected(runs, sort="test_accuracy", reverse=True))[:2] == ["lenet-1", "lenet-3"]


def test_a_column_that_no_run_has_is_answered_with_the_nearest(runs):
    for ask in (
        lambda: selected(runs, sort="val_acuracy"),
        lambda: selected(runs, "val_acuracy > 1"),
        lambda: selected(runs, columns=["run", "val_acuracy"]),
    ):
        with pytest.raises(UsageError, match="no run has the column 'val_acuracy'; did you mean 'val_accuracy'"):
            ask()


def test_empty_text_is_no_default(runs):
    for ask in (
        lambda: selected(runs, sort=""),
        lambda: selected(runs, ""),
        lambda: selected(runs, columns=[""]),
    ):
        with pytest.raises(UsageError, match="''"):
            ask()


def test_columns_can_be_chosen_and_read_by_programs(runs):
    assert to_csv(runs[:2], ["run", "lr", "test_accuracy"]).splitlines() == [
        "run,lr,test_accuracy",
        "lenet-1,0.01,0.0625",
        "lenet-2,0.02,",
    ]
    assert json.loads(to_json(runs[1:2], ["run", "test_accuracy"])) == [{"run": "lenet-2", "test_accuracy": None}]
    (whole,) = json.loads(to_json(runs[:1]))
    assert whole["overrides"] == {"lr": "0.01", "fit.epochs": "2"}
    assert whole["best"] == {"monitor": "val_loss", "value": 1.0, "epoch": 1}
    assert whole["test"] == {"loss": 0.1, "accuracy": 0.0625}
    files = [path for path in runs[0].run.root.rglob("*") if path.is_file()]
    assert whole["bytes"] == sum(path.stat().st_size for path in files)


def test_the_size_of_a_run_ends_at_its_links(runs, tmp_path):
    before = list_runs(tmp_path)[0].bytes
    (runs[0].run.root / "all").symlink_to("/", target_is_directory=True)
    assert list_runs(tmp_path)[0].bytes == before


def test_a_damaged_evaluation_is_named(runs, tmp_path):
    runs[0].run.evaluation("test").write_text('{"metrics": {"loss": "x"}}')
    listed = list_runs(tmp_path)[0]
    assert listed.status == "damaged"
    assert "test.json is damaged" in listed.problem


def test_names_without_an_end_make_no_table_without_one(runs):
    runs[0].run.update_run(overrides=[f"{'k' * 10_000}{number}=1" for number in range(1000)])
    table = to_text(list_runs(runs[0].run.root.parent))
    assert max(map(len, table.splitlines())) < 30 * 45


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_500, "1.0 MB"), (2e12, "2.0 TB")],
)
def test_sizes_are_told_in_two_or_three_digits(size, text):
    assert amount(size) == text


def test_names_with_very_many_digits_are_sorted():
    names = ["a-10", "a-" + 5_000 * "9", "a-9", "a-010"]
    assert sorted(names, key=in_natural_order) == ["a-9", "a-10", "a-010", "a-" + 5_000 * "9"]
