"""`report: true`: the report at the end of training, which changes no result and fails nothing."""

import os

import pytest

import kerasrun
from kerasrun import reported
from kerasrun.errors import Interrupted
from kerasrun.results import run_report
from kerasrun.workers.cluster import Place
from tests.training.conftest import write_digits

pytestmark = pytest.mark.tensorflow


def train(folder, *overrides):
    write_digits(folder)
    given = f"data: {{npz: {{path: {folder}/digits.npz}}}}\nmodel: {{MLP: {{units: [8]}}}}\nfit: {{epochs: 2}}\n"
    (folder / "small.yaml").write_text(given)
    return kerasrun.train(folder / "small.yaml", overrides=["fit.validation_split=0.2", *overrides], output=folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("reported"), "report=true")


def test_training_ends_with_the_report(run, tmp_path, caplog):
    assert "How good it is" in run.report_file.read_text(encoding="utf-8")
    assert not train(tmp_path).report_file.exists()


@pytest.mark.long
def test_results_are_the_same_with_it_and_without(run, tmp_path):
    without = train(tmp_path)
    assert run.metrics_file.read_bytes() == without.metrics_file.read_bytes()
    asked = [one.read_run()["asked_sha256"] | {"paths of the data": ""} for one in (run, without)]
    assert asked[0] == asked[1]


@pytest.mark.long
def test_a_resume_goes_on_with_it_or_without(tmp_path):
    begun = train(tmp_path)
    more = kerasrun.resume(begun, overrides=["fit.epochs=3", "report=true"])
    assert "3 of 3 epochs" in more.report_file.read_text(encoding="utf-8")
    assert "report: true" in more.resolved_file.read_text()


@pytest.mark.long
def test_the_finished_run_gets_the_report_that_it_lacks_and_keeps_the_one_it_has(run):
    before = run.report_file.stat().st_mtime_ns
    kerasrun.resume(run)
    assert run.report_file.stat().st_mtime_ns == before
    run.report_file.unlink()
    kerasrun.resume(run)
    os.utime(run.report_file, ns=(0, 0))
    kerasrun.resume(run)
    assert run.report_file.stat().st_mtime_ns >= before


@pytest.mark.long
def test_an_evaluation_writes_it_of_its_split(run):
    kerasrun.evaluate(run, split="train")
    assert "on train" in run.report_file.read_text(encoding="utf-8")
    kerasrun.evaluate(run, split="validation", last=True)
    assert "on train" in run.report_file.read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.parametrize("error", [ValueError("no such font"), kerasrun.errors.RunDirectoryError("the disk is full")])
def test_a_report_that_fails_is_a_warning_and_the_run_is_finished(tmp_path, monkeypatch, caplog, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(run_report, "write_report", fail)
    run = train(tmp_path, "report=true")
    assert run.read_run()["status"] == "finished"
    assert not run.report_file.exists()
    (said,) = [line for line in caplog.messages if "the report was not written" in line]
    assert str(error) in said


@pytest.mark.long
def test_who_is_asked_to_stop_stops(run, monkeypatch):
    def stop(*arguments, **options):
        raise Interrupted("by SIGTERM", 143)

    monkeypatch.setattr(run_report, "write_report", stop)
    with pytest.raises(Interrupted):
        kerasrun.evaluate(run, split="train")


def test_of_several_processes_none_writes_it(run, monkeypatch, caplog):
    run.report_file.unlink(missing_ok=True)
    monkeypatch.setattr(reported, "place_here", lambda: Place(0, 2, ("a:1", "b:1")))
    assert kerasrun.resume(run) == run
    assert f"kerasrun report {run}" in caplog.text
    assert not run.report_file.exists()
