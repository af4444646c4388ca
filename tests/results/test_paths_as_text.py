"""A path may be text, and one path may stand for a list of one."""

import pytest

import kerasrun

pytestmark = pytest.mark.tensorflow


@pytest.mark.long
def test_predict_takes_text(run, png):
    folder = png / "test" / "7"
    expected = kerasrun.predict([folder], model=run.best_model)
    assert len(expected) > 1
    for examples in (folder, str(folder), [str(folder)]):
        assert kerasrun.predict(examples, model=str(run.best_model), plugins=()) == expected


@pytest.mark.long
def test_evaluate_takes_text(run, png):
    folder = png / "test"
    reports = [kerasrun.evaluate(one, data=data) for one in (run, str(run.root)) for data in (folder, str(folder))]
    assert all(report.to_json() == reports[0].to_json() for report in reports)


@pytest.mark.long
def test_export_takes_text(run, tmp_path):
    path = str(tmp_path / "model.weights.h5")
    assert kerasrun.export(str(run.root), "weights", output=path).path == path
    assert (tmp_path / "model.weights.h5").exists()
