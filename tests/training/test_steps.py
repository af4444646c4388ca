"""Sequences with a class or a number for each step, and weights of steps and pixels: the numbers of plain Keras."""

import keras
import numpy as np
import pytest

import kerasrun
from kerasrun.errors import DataError, KerasrunError, ModelError
from kerasrun.pipeline.order import epoch_order
from kerasrun.reading.memory import kept_within
from kerasrun.results.prediction import predict
from kerasrun.sources.npy import Npy
from kerasrun.sources.npz import Npz
from tests.grids import rest_is_long
from tests.training.whole_and_cut import train_whole_and_cut

STEPS = """
data: {npz: {path: steps.npz, labels: LABELS MORE}}
model: {layers: [GRU: {units: 4, return_sequences: true}]}
fit: {epochs: 2, batch_size: 5, validation_data: test}
compile: {optimizer: {SGD: {learning_rate: 0.1}}}
"""
GRU = "{GRU: {units: 4, return_sequences: true}}"


def stored(path):
    with np.load(path) as archive:
        return dict(archive)


@pytest.fixture
def folder(tmp_path):
    """Write sequences of 6 steps, and of each the sum so far: in two classes, in three, and as a number."""
    random, arrays = np.random.default_rng(3), {}
    for split, count in (("train", 20), ("test", 7)):
        x = random.normal(size=(count, 6, 2)).astype(np.float32)
        total = x.sum(axis=-1).cumsum(axis=1)
        two, three = (total > 0).astype(np.uint8), np.digitize(total, (-1, 1)).astype(np.uint8)
        arrays |= {f"x_{split}": x, f"y_{split}": two, f"three_{split}": three, f"total_{split}": total}
    arrays |= {"weight": random.uniform(0, 2, (20, 6)), "of_examples": random.uniform(0, 2, 20)}
    np.savez(tmp_path / "steps.npz", **arrays)
    for name in ("x_train", "y_train", "x_test"):
        np.save(tmp_path / f"{name}.npy", arrays[name])
    return tmp_path


def trained(folder, text, output="runs"):
    (folder / "run.yaml").write_text(text)
    return kerasrun.train(folder / "run.yaml", output=folder / output)


def plain_keras(x, y, weight, units, activation, loss):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 2))
    hidden = keras.layers.GRU(4, return_sequences=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(units, activation)(hidden))
    model.compile(keras.optimizers.SGD(0.1), loss)
    losses = []
    for epoch in range(2):
        order = epoch_order(1, epoch, 20)
        chosen = None if weight is None else weight[order]
        fitted = model.fit(x[order], y[order], sample_weight=chosen, batch_size=5, shuffle=False, verbose=0)
        losses += fitted.history["loss"]
    return model, losses


@pytest.mark.tensorflow
@pytest.mark.parametrize("weight", rest_is_long(["weight", "", "of_examples"]))
@pytest.mark.parametrize(
    ("labels", "y", "units", "activation", "loss"),
    rest_is_long(
        [
            ("masks", "y", 1, "sigmoid", "binary_crossentropy"),
            ("masks", "three", 3, "softmax", "sparse_categorical_crossentropy"),
            ("arrays", "total", 1, None, "mse"),
        ]
    ),
)
def test_labels_and_weights_of_steps_give_the_numbers_of_plain_keras(
    folder, weight, labels, y, units, activation, loss
):
    more = f", y_train: {y}_train, y_test: {y}_test" + (f", sample_weight: {weight}" if weight else "")
    run = trained(folder, STEPS.replace("LABELS MORE", labels + more))
    arrays = stored(folder / "steps.npz")
    true = {split: arrays[f"{y}_{split}"][..., np.newaxis] for split in ("train", "test")}
    of_steps = np.broadcast_to(arrays[weight].reshape(20, -1), (20, 6)) if weight else None
    model, losses = plain_keras(arrays["x_train"], true["train"], of_steps, units, activation, loss)
    rows = run.metrics_file.read_text().splitlines()
    column = rows[0].split(",").index("loss")
    assert [float(row.split(",")[column]) for row in rows[1:]] == pytest.approx(losses, abs=1e-6)
    if weight:
        return  # they are of training examples; what follows has none
    report = kerasrun.evaluate(run, last=True)
    expected = model.evaluate(arrays["x_test"], true["test"], batch_size=5, verbose=0)
    assert report.metrics["loss"] == pytest.approx(expected, abs=1e-6)
    predictions = predict(folder / "x_test.npy", model=run.last_model, masks=folder / "made")
    made = model.predict(arrays["x_test"], batch_size=5, verbose=0)
    if labels == "arrays":
        np.testing.assert_allclose(np.load(predictions[3].file), made[3], atol=1e-5)
    else:
        called = made.argmax(axis=-1) if units > 1 else (made[..., 0] > 0.5).astype(int)
        assert [list(map(int, one.steps)) for one in predictions] == called.tolist()
        assert report.scores.pixel_accuracy == pytest.approx((called == true["test"][..., 0]).mean())


@pytest.mark.long
@pytest.mark.tensorflow
def test_weights_of_pixels_and_of_images_give_the_numbers_of_plain_keras(tmp_path):
    random = np.random.default_rng(2)
    x, y = random.normal(size=(20, 6, 5, 1)).astype(np.float32), random.integers(0, 2, (20, 6, 5))
    weights = {"pixels": random.uniform(0, 2, (20, 6, 5)), "images": random.uniform(0, 2, 20)}
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, **weights)
    for name, weight in weights.items():
        run = trained(
            tmp_path,
            f"""
data: {{npz: {{path: a.npz, labels: masks, sample_weight: {name}}}}}
model: {{layers: [Conv2D: {{filters: 1, kernel_size: 1, activation: sigmoid}}]}}
compile: {{optimizer: {{SGD: {{learning_rate: 0.0}}}}}}
fit: {{batch_size: 20}}
""",
        )
        made = keras.saving.load_model(run.last_model, compile=False).predict(x, verbose=0)[..., 0]
        losses = -np.where(y, np.log(made), np.log(1 - made))
        expected = (losses * weight.reshape(20, *([1, 1] if weight.ndim == 1 else [6, 5]))).mean()
        assert float(run.metrics_file.read_text().splitlines()[1].split(",")[1]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.long
@pytest.mark.tensorflow
def test_steps_that_the_network_leaves_out_do_not_count_as_in_plain_keras(tmp_path):
    random, arrays = np.random.default_rng(8), {}
    for split, count in (("train", 20), ("test", 7)):
        tokens = random.integers(1, 9, (count, 6)) * (np.arange(6) < random.integers(2, 7, (count, 1)))
        arrays |= {f"x_{split}": tokens, f"y_{split}": tokens % 3}
    np.savez(tmp_path / "steps.npz", **arrays)
    embedding = "{Embedding: {input_dim: 9, output_dim: 4, mask_zero: true}}"
    text = STEPS.replace("LABELS MORE", "masks")
    text = text.replace("[GRU: {units: 4, return_sequences: true}]", f"[{embedding}, {GRU}]")
    run = trained(tmp_path, text)
    keras.utils.clear_session()
    model = keras.saving.load_model(run.last_model, compile=False)
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    expected = model.evaluate(arrays["x_test"], arrays["y_test"][..., np.newaxis], batch_size=5, verbose=0)
    report = kerasrun.evaluate(run, last=True)
    assert [report.metrics[name] for name in ("loss", "accuracy")] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ModelError, match=r"leaves out steps by itself \(mask_zero, Masking\), and `ignore`"):
        trained(tmp_path, text.replace("labels: masks", "labels: masks, ignore: [2]"))


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_run_on_steps_with_weights_is_exact(folder):
    text = STEPS.replace("LABELS MORE", "masks, sample_weight: weight").replace(
        "{units: 4,", "{units: 4, dropout: 0.2,"
    )
    train_whole_and_cut(folder, text)
    whole, cut = kerasrun.open_run(folder / "whole" / "run-1"), kerasrun.resume(folder / "cut" / "run-1")
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()


@pytest.mark.tensorflow
def test_a_network_without_an_output_for_each_step_is_told_so(folder):
    text = STEPS.replace("LABELS MORE", "masks").replace(", return_sequences: true", "")
    with pytest.raises(DataError, match=r"run.yaml:3:18: .*GRU makes one row of numbers.*return_sequences: true"):
        trained(folder, text)
    with pytest.raises(ModelError, match=r"labels of steps need one for each step, \(6, classes\): give the last"):
        trained(folder, text.replace("GRU: {units: 4}", "Conv1D: {filters: 4, kernel_size: 3}"))


def test_steps_are_read_the_same_way_from_memory_and_from_the_file(folder):
    fields = {"labels": "masks", "examples": "sequences"}
    source = Npy(x_train=folder / "x_train.npy", y_train=folder / "y_train.npy", **fields)
    for memory in (10**6, 0):
        with kept_within(memory):
            split = source.open().splits["train"]
        assert split.labels.example_shape == (6, 1)
        np.testing.assert_array_equal(split.labels.take(np.arange(20))[..., 0], np.load(folder / "y_train.npy"))


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (
            np.ones((20, 5)),
            r"expected a number for each of the 20 training examples, or for each of its steps, \(20, 6\)",
        ),
        (np.full((20, 6), -1.0), r"the weight at index \[0, 0\] is -1.0; expected a finite number of at least 0"),
    ],
)
def test_what_is_no_weight_of_steps_is_told(folder, weight, words):
    arrays = {**stored(folder / "steps.npz"), "weight": weight}
    np.savez(folder / "steps.npz", **arrays)
    with pytest.raises(DataError, match=f"weight: .*{words}"):
        Npz(path=folder / "steps.npz", labels="masks", examples="sequences", sample_weight="weight").open()


def test_weights_of_steps_need_labels_of_steps(folder):
    fields = {"path": folder / "steps.npz", "y_train": "of_examples", "labels": "numbers", "examples": "sequences"}
    arrays = {**stored(folder / "steps.npz"), "y_test": np.zeros(7)}
    np.savez(folder / "steps.npz", **arrays)
    with pytest.raises(KerasrunError, match=r"expected a number for each of the 20 training examples$"):
        Npz(sample_weight="weight", **fields).open()
