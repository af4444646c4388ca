import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.logs import check_monitors, log_names, metric_names

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


def loaded(section):
    return parse(SMALLEST + section, "e.yaml")


def check(section, validates):
    found = loaded(section)
    check_monitors(found.document, found.experiment, validates)


def told(section, validates=None):
    with pytest.raises(ExperimentError) as error:
        check(section, validates)
    return str(error.value)


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
    assert metric_names(loaded(f"compile: {{metrics: {metrics}}}").experiment) == names


def test_the_logs_have_validation_where_something_validates():
    experiment = loaded("").experiment
    assert log_names(experiment, False) == ("loss", "accuracy", "learning_rate")
    assert log_names(experiment, True) == ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    assert log_names(experiment, None) == log_names(experiment, True)


def test_a_metric_may_not_take_another_names_place():
    assert "3:34: compile.metrics.0.AUC.name: a metric called 'loss'" in told(
        "compile: {metrics: [{AUC: {name: loss}}]}"
    )
    assert "a metric called 'val_x'" in told("compile: {metrics: [{AUC: {name: val_x}}]}")


@pytest.mark.parametrize(
    "section",
    [
        "callbacks: [EarlyStopping]",
        "callbacks: [EarlyStopping: {monitor: val_accuracy}]",
        "callbacks: [EarlyStopping: {monitor: learning_rate, mode: min}]",
        "checkpoint: {monitor: val_loss}",
        "callbacks: [ModelCheckpoint: {filepath: '{epoch:02d}-{val_loss:.2f}.keras'}]",
        "callbacks: [ModelCheckpoint: {filepath: '{epoch}-{batch}.weights.h5', save_weights_only: true, save_freq: 5}]",
    ],
)
def test_what_the_logs_have_may_be_monitored(section):
    check(section, validates=True)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            "checkpoint: {monitor: val_los}",
            "3:23: checkpoint.monitor: monitors 'val_los'; expected loss, accuracy, val_loss, val_accuracy or "
            "learning_rate; did you mean 'val_loss'?",
        ),
        ("callbacks: [EarlyStopping: {monitor: acc}]", "did you mean 'accuracy'?"),
        (
            "compile: {metrics: []}\ncallbacks: [EarlyStopping: {monitor: accuracy}]",
            "expected loss, val_loss or learning",
        ),
        ("callbacks: [EarlyStopping: {monitor: learning_rate}]", "of which Keras does not know whether more is better"),
        (
            "compile: {metrics: [FalsePositives]}\ncheckpoint: {monitor: val_false_positives}",
            "expected 'mode: min' or 'mode: max'",
        ),
        ("callbacks: [ModelCheckpoint: {filepath: x.hdf5}]", "expected a name that ends in .keras or .h5 for a whole"),
        (
            "callbacks: [ModelCheckpoint: {filepath: x.h5, save_weights_only: true}]",
            "3:41: callbacks.0.ModelCheckpoint.filepath: received 'x.h5'; expected a name that ends in .weights.h5",
        ),
        ("callbacks: [ModelCheckpoint: {filepath: '{val_los}.keras'}]", "did you mean 'val_loss'?"),
        ("callbacks: [ModelCheckpoint: {filepath: '{batch}.keras'}]", "'{batch}' in the file name"),
        ("callbacks: [ModelCheckpoint: {filepath: '{val_loss:02d}.keras'}]", "Unknown format code 'd'"),
        (
            "callbacks: [ModelCheckpoint: {filepath: '{val_loss}.keras', save_freq: 5}]",
            "'{val_loss}' in the file name; expected epoch, batch, loss or accuracy in braces",
        ),
        (
            "callbacks: [ModelCheckpoint: {filepath: a.keras, monitor: loss, save_best_only: true, save_freq: 2}]",
            "save_best_only beside a number of batches as save_freq; expected one of them",
        ),
        ("callbacks: [ModelCheckpoint: {filepath: '{epoch.keras'}]", "expected each { with its }"),
    ],
)
def test_what_the_logs_will_not_have_is_told_before_training(section, words):
    assert words in told(section)


def test_validation_is_a_question_to_the_data_unless_the_text_answers_it():
    found = loaded("callbacks: [EarlyStopping: {monitor: val_loss}]")
    check_monitors(found.document, found.experiment, validates=True)
    assert told("callbacks: [EarlyStopping: {monitor: val_loss}]", validates=False).startswith(
        "e.yaml:3:38: callbacks.0.EarlyStopping.monitor: monitors 'val_loss', but nothing validates: the data have no "
        "split 'validation'; expected fit.validation_split, say 0.1, or fit.validation_data, or 'monitor: loss'"
    )


def test_a_default_monitor_is_told_as_such():
    told_default = told("callbacks: [EarlyStopping]", validates=False)
    assert "e.yaml:3:13: " in told_default
    assert "monitors 'val_loss', the default of EarlyStopping, but nothing validates" in told_default


def test_a_model_checkpoint_that_saves_always_monitors_nothing():
    check("callbacks: [ModelCheckpoint: {filepath: x.keras}]", validates=False)
    assert "monitors 'val_loss'" in told(
        "callbacks: [ModelCheckpoint: {filepath: x.keras, save_best_only: true}]", validates=False
    )
