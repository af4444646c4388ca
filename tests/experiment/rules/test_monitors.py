import pytest

from kerasrun.errors import ExperimentError, KerasrunError
from kerasrun.experiment import fields
from kerasrun.experiment.load import parse
from kerasrun.experiment.rules.base import Facts, check_with_data
from kerasrun.sources.base import Source
from tests.experiment.conftest import Known

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


def loaded(section):
    return parse(SMALLEST + section, "e.yaml")


def check(section, validates):
    found = loaded(section)
    check_with_data(found.experiment, Facts("classes", validates=validates), found.document)


def told(section, validates=None):
    with pytest.raises(KerasrunError) as error:
        check(section, validates)
    return str(error.value)


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
        ("callbacks: [EarlyStopping: {monitor: 1}]", "3:38: callbacks.0.EarlyStopping.monitor: monitors 1; expected"),
        ("callbacks: [EarlyStopping: {monitor: [loss]}]", "monitors a list; expected"),
        ("checkpoint: {monitor: 1_000}", "3:23: checkpoint.monitor: monitors '1_000'; expected"),
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
    check_with_data(found.experiment, Facts("classes", validates=True), found.document)
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


class Prices(Source):
    """A source that says by itself what its labels are."""

    kind = "prices"
    years: int = 1
    """How many."""

    @property
    def label_kind(self):
        return "numbers"

    def open(self):
        raise NotImplementedError


@pytest.fixture
def _prices(monkeypatch):
    others = fields.kinds
    added = Known(prices=Prices)
    monkeypatch.setattr(fields, "kinds", lambda package: added if package == "kerasrun.sources" else others(package))


@pytest.mark.usefixtures("_prices")
@pytest.mark.parametrize("data", ["prices", "{prices: {years: 3}}"])
def test_a_source_is_asked_for_the_kind_of_its_labels(data):
    watching = f"data: {data}\nmodel: Small\ncallbacks: [EarlyStopping: {{monitor: %s}}]"
    assert parse(watching % "val_mae", "e.yaml").experiment
    with pytest.raises(ExperimentError, match="monitors 'val_accuracy'; expected loss, mae, val_loss, val_mae or"):
        parse(watching % "val_accuracy", "e.yaml")


@pytest.mark.usefixtures("_prices")
@pytest.mark.parametrize("data", ["{prices: {years: many}}", "{prices: {yeers: 3}}"])
def test_so_is_one_that_could_be_read_in_part(data):
    watching = f"data: {data}\nmodel: Small\ncallbacks: [EarlyStopping: {{monitor: %s}}]"
    with pytest.raises(ExperimentError) as error:
        parse(watching % "val_mae", "e.yaml")
    assert "monitors" not in str(error.value)
    with pytest.raises(ExperimentError, match="monitors 'val_accuracy'"):
        parse(watching % "val_accuracy", "e.yaml")


@pytest.mark.parametrize("monitor", ["val_mae", "val_accuracy"])
def test_of_labels_that_nobody_knows_either_may_be_right(monitor):
    with pytest.raises(ExperimentError) as error:
        parse(f"data: fodler\nmodel: Small\ncheckpoint: {{monitor: {monitor}}}", "e.yaml")
    assert "monitors" not in str(error.value)
