import pytest

from kerasrun.experiment.load import parse
from kerasrun.experiment.logs import log_names, metrics_of


def loaded(section):
    return parse(f"data: {{folder: {{path: x}}}}\nmodel: Small\n{section}", "e.yaml")


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        ("null", ("accuracy",)),
        ("[]", ()),
        ("[accuracy, AUC, AUC, AUC]", ("accuracy", "auc", "auc_1", "auc_2")),
        ("[mse, MeanSquaredError, {F1Score: {name: f}}]", ("mse", "mean_squared_error", "f")),
        ("[{AUC: {name: auc_1}}, AUC, AUC]", ("auc_1", "auc", "auc_2")),
    ],
)
def test_every_metric_has_its_own_name(metrics, names):
    assert tuple(metrics_of(loaded(f"compile: {{metrics: {metrics}}}").experiment)) == names


def test_the_logs_have_validation_where_something_validates():
    experiment = loaded("").experiment
    assert log_names(experiment, False) == ("loss", "accuracy", "learning_rate")
    assert log_names(experiment, True) == ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    assert log_names(experiment, None) == log_names(experiment, True)
