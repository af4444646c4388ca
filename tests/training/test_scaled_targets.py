"""`fit.scale_targets`: steps as on standardised targets, values in the targets' own units."""

import numpy as np
import pytest

import kerasrun
from kerasrun.engine.prepared import prepare
from kerasrun.errors import ExperimentError, ModelError
from kerasrun.experiment.load import load, parse
from kerasrun.results.prediction import predict
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

ROWS = np.random.default_rng(5).normal(size=(60, 3))
PRICES = 3e5 + 8e4 * ROWS @ [[1.0, -0.01], [-0.5, 0.02], [0.3, 0.0]] + [[0, -3e5]]
EXPERIMENT = """
data: {csv: {train: rows.csv, target: [price, rate]}}
model: {MLP: {units: [8]}}
compile: {optimizer: {SGD: {learning_rate: 0.05}}, loss: LOSS, metrics: [mae, R2Score]}
fit: {batch_size: 16, epochs: 3, SCALED}
"""


def experiment(folder, scaled, loss="mse", targets=PRICES):
    table = np.column_stack([ROWS, targets])
    np.savetxt(folder / "rows.csv", table, fmt="%.17g", delimiter=",", header="a,b,c,price,rate", comments="")
    text = EXPERIMENT.replace("LOSS", loss).replace("SCALED", f"scale_targets: {str(scaled).lower()}")
    (folder / "run.yaml").write_text(text)
    return text


def weights(run):
    import keras

    model = keras.models.load_model(run.last_model, compile=False)  # plain Keras reads it
    return [weight.numpy() for weight in model.weights], model


@pytest.mark.long
@pytest.mark.parametrize("loss", ["{Huber: {delta: 0.5}}", "mse", "mae", "log_cosh"])
def test_steps_are_those_of_training_on_standardised_targets(tmp_path, loss):
    experiment(tmp_path, True, loss)
    run = kerasrun.train(tmp_path / "run.yaml", output=tmp_path / "scaled")
    mean, deviation = PRICES.mean(axis=0), PRICES.std(axis=0)
    experiment(tmp_path, False, loss, (PRICES - mean) / deviation)
    plain = kerasrun.train(tmp_path / "run.yaml", output=tmp_path / "plain")
    (found, model), (expected, other) = weights(run), weights(plain)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-3, atol=2e-4)
    outputs = np.asarray(other(ROWS.astype(np.float32))) * deviation + mean
    np.testing.assert_allclose(np.asarray(model(ROWS.astype(np.float32))), outputs, rtol=1e-3)


def test_losses_metrics_and_predictions_are_in_the_units_of_the_targets(tmp_path):
    experiment(tmp_path, True)
    run = kerasrun.train(tmp_path / "run.yaml", output=tmp_path)
    report = kerasrun.evaluate(run, split="train")
    lines = "\n".join(["a,b,c", *(",".join(map(repr, row)) for row in ROWS.tolist())])
    (tmp_path / "new.csv").write_text(lines)
    found = np.array(
        [[value for _, value in one.values] for one in predict(tmp_path / "new.csv", model=run.best_model)]
    )
    assert report.metrics["loss"] == pytest.approx(np.mean((found - PRICES) ** 2), rel=1e-4)
    assert report.metrics["mae"] == pytest.approx(np.mean(np.abs(found - PRICES)), rel=1e-4)


@pytest.mark.long
def test_a_run_that_was_cut_ends_with_the_same_bits(tmp_path):
    train_whole_and_cut(tmp_path, experiment(tmp_path, True))
    cut = kerasrun.resume(tmp_path / "cut" / "run-1")
    assert variables_digest(cut.last_model) == variables_digest(tmp_path / "whole" / "run-1" / "last.keras")
    assert cut.metrics_file.read_bytes() == (tmp_path / "whole" / "run-1" / "metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("target: [price, rate]", "label: price"), r"a\.yaml:5:\d+: fit.scale_targets: received true; expected false"),
        (("LOSS", "poisson"), r"a\.yaml:4:\d+: compile.loss: received poisson; expected mse, mae, huber or log_cosh"),
    ],
)
def test_what_cannot_be_scaled_is_told_with_its_place(change, message):
    text = EXPERIMENT.replace(*change).replace("LOSS", "mse").replace("SCALED", "scale_targets: true")
    with pytest.raises(ExperimentError, match=message):
        parse(text.replace(", metrics: [mae, R2Score]", ""), "a.yaml")


def test_a_last_layer_that_has_one_sign_is_told(tmp_path):
    experiment(tmp_path, True)
    layers = "model={layers: [Dense: {units: 2, activation: relu}]}"
    with pytest.raises(ModelError, match="the last layer ends in relu, but fit"):
        kerasrun.train(tmp_path / "run.yaml", overrides=[layers], output=tmp_path)


def test_scales_that_are_far_apart_are_said(tmp_path, caplog):
    caplog.set_level("INFO", logger="kerasrun")

    def said(*overrides, factor=1.0):
        experiment(tmp_path, False)
        table = np.column_stack([ROWS * [1, factor, 1], PRICES])
        np.savetxt(tmp_path / "rows.csv", table, delimiter=",", header="a,b,c,price,rate", comments="")
        caplog.clear()
        prepare(load(tmp_path / "run.yaml", overrides))
        return caplog.text

    assert "the target price is around 288," in said()
    assert "target price" not in said("fit.scale_targets=true")
    assert "spread" not in said(factor=5)
    assert "the numbers of b spread" in said(factor=100)
    for evens_out in ("preprocessing=[Normalization]", "model={layers: [BatchNormalization, Dense: {units: 3}]}"):
        assert "spread" not in said(evens_out, factor=100)
