"""Sequences in arrays: what the network computes of them is plain Keras's, a resumed run ends with the same bits."""

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import ModelError
from kerasrun.results.prediction import predict
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

RECURRENT = """
data: {npz: {path: x.npz}}
model: {layers: [Conv1D: {filters: 4, kernel_size: 3}, GRU: {units: 5}, Dropout: {rate: 0.2}]}
fit: {epochs: 3, batch_size: 25}
"""
TOKENS = """
data: {npz: {path: tokens.npz}}
model: {layers: [Embedding: {input_dim: 256, output_dim: 4}, GlobalAveragePooling1D, Dropout: {rate: 0.2}]}
fit: {epochs: 3, batch_size: 25}
"""


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(1)
    y = np.arange(60) % 2
    x = random.normal(size=(60, 8, 3)) + y[:, None, None]
    tokens = random.integers(0, 128, (60, 8)) + 128 * y[:, None]
    for name, array in (("x", x), ("tokens", tokens.astype(np.uint8))):
        np.savez(tmp_path / f"{name}.npz", x_train=array, y_train=y, x_test=array[:9], y_test=y[:9])
        np.save(tmp_path / f"{name}.npy", array[:9])
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize(("experiment", "name"), [(RECURRENT, "x"), (TOKENS, "tokens")])
def test_a_run_of_sequences_is_exact_and_its_model_file_reads_them_alone(folder, experiment, name):
    import keras

    train_whole_and_cut(folder, experiment)
    run = kerasrun.resume(folder / "cut" / "run-1")
    assert variables_digest(run.last_model) == variables_digest(folder / "whole" / "run-1" / "last.keras")
    x = np.load(folder / f"{name}.npy")
    # Plain Keras loads the file and is given the numbers as they are in the array.
    model = keras.saving.load_model(run.last_model)
    expected = model.predict(x.astype(np.float32), verbose=0)[:, 0]
    predictions = predict(folder / f"{name}.npy", model=run.last_model, every=True)
    found = [dict(one.top)["1"] for one in predictions]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    report = kerasrun.evaluate(run, last=True)
    labels = np.arange(60)[:9] % 2
    assert report.metrics["accuracy"] == pytest.approx(((expected > 0.5) == labels).mean())


@pytest.mark.long
def test_tokens_of_8_bits_reach_the_embedding_as_they_are(folder):
    (folder / "run.yaml").write_text(TOKENS.replace("epochs: 3", "epochs: 20"))
    run = kerasrun.train(
        folder / "run.yaml", overrides=["compile.optimizer={Adam: {learning_rate: 0.05}}"], output=folder
    )
    assert kerasrun.evaluate(run).metrics["accuracy"] == 1


VECTORS = TOKENS.replace("output_dim: 4", "output_dim: 4, weights: [vectors.npy], trainable: false")


def test_an_embedding_begins_with_the_vectors_of_a_file_which_a_resumed_run_does_without(folder):
    import keras

    vectors = np.random.default_rng(2).normal(size=(256, 4))
    np.save(folder / "vectors.npy", vectors)
    train_whole_and_cut(folder, VECTORS)
    (folder / "vectors.npy").unlink()
    run = kerasrun.resume(folder / "cut" / "run-1")
    assert variables_digest(run.last_model) == variables_digest(folder / "whole" / "run-1" / "last.keras")
    embedding = keras.saving.load_model(run.last_model).get_layer("embedding")
    np.testing.assert_array_equal(embedding.get_weights()[0], vectors.astype(np.float32))


def test_vectors_of_another_shape_are_told_before_training(folder):
    np.save(folder / "vectors.npy", np.zeros((255, 4)))
    (folder / "run.yaml").write_text(VECTORS)
    with pytest.raises(ModelError, match=r"run\.yaml:3:18: .*shape \(255, 4\); expected .* \(256, 4\)"):
        kerasrun.train(folder / "run.yaml", output=folder)
    np.save(folder / "vectors.npy", np.full((256, 4), 1e300))
    with pytest.raises(ModelError, match=r"run\.yaml:3:18: .*expected finite numbers"):
        kerasrun.train(folder / "run.yaml", output=folder)
    (folder / "vectors.npy").unlink()
    with pytest.raises(ModelError, match=r"run\.yaml:3:18: .*vectors\.npy: does not exist"):
        kerasrun.train(folder / "run.yaml", output=folder)
