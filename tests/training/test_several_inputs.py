"""A network that sees a photo and columns of its row: as plain Keras trains it, exact, and predicting on its own."""

import shutil

import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun.errors import DataError, ModelError
from kerasrun.results.prediction import predict
from kerasrun.runs.directory import open_run
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

CITIES = ("Bern", "Genf", "Chur")
EXPERIMENT = """
data: {image_table: {train: rows.csv, folder: photos, test: test.csv, label: kind, features: [age, city, size]}}
preprocessing: {features: [Normalization]}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, activation: relu, inputs: [image]}
    - GlobalMaxPooling2D: {name: seen}
    - Dense: {units: 8, activation: relu, inputs: [features], name: row}
    - Concatenate: {inputs: [row, seen]}
    - Dropout: {rate: 0.2}
    - Dense: {units: 4, activation: relu}
compile: {optimizer: {Adam: {learning_rate: 0.01}}}
augmentation: [RandomFlip: {mode: horizontal}]
fit: {batch_size: 16, epochs: 3, validation_split: 0.2}
"""
PLAIN = """
data: {image_table: {train: rows.csv, folder: photos, label: kind, features: [size, other]}}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, activation: relu, inputs: [image]}
    - GlobalMaxPooling2D: {name: seen}
    - Concatenate: {inputs: [features, seen]}
    - Dense: {units: 4, activation: relu}
compile: {optimizer: {SGD: {learning_rate: 0.05}}}
fit: {batch_size: 60, epochs: 4}
"""
FROZEN = """
data: {image_table: {train: rows.csv, folder: photos, image_size: 32, label: kind, features: [age, city]}}
model: {VGG16: {weights: null, pooling: avg, head: [4]}}
fit: {batch_size: 16, epochs: 3, validation_split: 0.2}
"""


def rows_of(count, seed=3):
    rng = np.random.default_rng(seed)
    return [
        {
            "photo": f"{number}.png",
            "age": "" if number % 9 == 4 else f"{rng.normal(40, 10):.3f}",
            "city": CITIES[rng.integers(3)],
            "size": f"{rng.normal():.4f}",
            "other": f"{rng.normal():.4f}",
            "kind": "ab"[rng.integers(2)],
        }
        for number in range(count)
    ]


def write(path, rows, columns):
    path.write_text("\n".join([",".join(columns), *(",".join(row[key] for key in columns) for row in rows)]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    (folder / "photos").mkdir()
    for number in range(70):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    rows = rows_of(70)
    write(folder / "rows.csv", rows[:60], ["photo", "age", "city", "size", "other", "kind"])
    write(folder / "test.csv", rows[60:], ["kind", "size", "city", "age", "photo"])
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """The run of EXPERIMENT, whole; it is cut in `cut` as well."""
    train_whole_and_cut(folder, EXPERIMENT)
    return open_run(folder / "whole" / "run-1")


def in_folder(text, folder):
    return text.replace("rows.csv, folder: photos", f"{folder}/rows.csv, folder: {folder}/photos")


def arrays(folder, rows, columns):
    photos = np.stack([np.asarray(Image.open(folder / "photos" / row["photo"])) for row in rows]).astype(np.float32)
    return photos, np.array([[float(row[key]) for key in columns] for row in rows], np.float32)


def test_steps_are_those_of_plain_keras(folder, tmp_path):
    import keras

    (folder / "plain.yaml").write_text(PLAIN)
    run = kerasrun.train(folder / "plain.yaml", output=tmp_path)
    still = ["fit.epochs=1", "compile.optimizer.SGD.learning_rate=0"]
    begun = kerasrun.train(folder / "plain.yaml", output=tmp_path, overrides=still)
    model = keras.models.load_model(begun.last_model, compile=False)
    model.compile(keras.optimizers.SGD(0.05), "binary_crossentropy")
    rows = rows_of(70)[:60]
    photos, numbers = arrays(folder, rows, ["size", "other"])
    labels = np.array([[row["kind"] == "b"] for row in rows], np.float32)
    losses = [model.train_on_batch([photos, numbers], labels) for _ in range(4)]
    found = [float(line.split(",")[1]) for line in run.metrics_file.read_text().splitlines()[1:]]
    np.testing.assert_allclose(found, losses, rtol=1e-6)
    expected = keras.models.load_model(run.last_model, compile=False)
    for one, two in zip(expected.weights, model.weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_a_run_that_was_cut_ends_with_the_same_bits(run, folder):
    cut = kerasrun.resume(folder / "cut" / "run-1")
    assert cut.metrics_file.read_bytes() == run.metrics_file.read_bytes()


def test_a_prediction_is_what_plain_keras_computes_of_the_file(run, folder, tmp_path):
    import keras

    rows = [{**row, "age": row["age"] or "", "city": row["city"]} for row in rows_of(70)[60:]]
    (tmp_path / "photos").symlink_to(folder / "photos")
    write(tmp_path / "new.csv", rows, ["size", "photo", "age", "city"])
    found = predict(tmp_path / "new.csv", model=run.best_model)
    photos, numbers = arrays(folder, [{**row, "age": row["age"] or "nan"} for row in rows], ["age", "size"])
    cities = np.array([[1 + sorted(CITIES).index(row["city"])] for row in rows], np.float32)
    model = keras.models.load_model(run.best_model, compile=False)  # numbers come first, then categories
    expected = model.predict({"image": photos, "features": np.concatenate([numbers, cities], axis=1)}, verbose=0)
    probabilities = [dict(one.top).get("b", 1 - one.top[0][1]) for one in found]
    np.testing.assert_allclose(probabilities, expected[:, 0], rtol=1e-5)
    assert [path.rpartition("/")[2] for path in (one.path for one in found)] == [row["photo"] for row in rows]


@pytest.mark.long
def test_another_table_in_any_order_is_evaluated_as_the_split(run, folder):
    report = kerasrun.evaluate(run, split="test")
    assert kerasrun.evaluate(run, data=folder / "test.csv").metrics == report.metrics


def test_an_unknown_category_is_told_and_what_is_no_table_is_refused(run, folder, tmp_path, caplog):
    (tmp_path / "photos").symlink_to(folder / "photos")
    write(tmp_path / "new.csv", [{**rows_of(1)[0], "city": "Olten"}], ["size", "photo", "age", "city"])
    predict(tmp_path / "new.csv", model=run.best_model)
    assert "column 'city': 1 row with categories that training did not have, taken as unknown: 'Olten'" in caplog.text
    for name in ("0.png", "."):
        with pytest.raises(DataError, match="takes columns beside each image; name a table that lists both"):
            predict(folder / "photos" / name, model=run.best_model)
    with pytest.raises(DataError, match="takes columns beside each image; expected a table that lists both"):
        kerasrun.evaluate(run, data=folder / "photos")
    rows = [{**row, "photo": name} for row, name in zip(rows_of(2), ("none.png", "0.png"), strict=True)]
    write(tmp_path / "new.csv", rows, ["size", "photo", "age", "city"])
    missing, found = predict(tmp_path / "new.csv", model=run.best_model)
    assert (missing.path.rpartition("/")[2], found.path.rpartition("/")[2]) == ("none.png", "0.png")
    assert "No such file" in missing.error


@pytest.mark.long
@pytest.mark.parametrize("form", ["keras", "savedmodel"])
def test_it_is_exported_with_both_inputs(run, tmp_path, form):
    target = tmp_path / ("both" if form == "savedmodel" else f"both.{form}")
    report = kerasrun.export(run, format=form, output=target)
    assert report.difference <= report.allowed


def test_a_changed_value_beside_an_image_changes_the_fingerprint(run, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("whole", "cut"))
    text = (copy / "rows.csv").read_text()
    (copy / "rows.csv").write_text(text.replace(rows_of(1)[0]["size"], "0.5"))
    moved = [f"data.image_table.{key}={copy / name}" for key, name in (("train", "rows.csv"), ("folder", "photos"))]
    with pytest.raises(kerasrun.errors.KerasrunError, match="data"):
        kerasrun.resume(run, overrides=[*moved, "fit.epochs=4"])


@pytest.mark.long
def test_frozen_convolutions_are_computed_once_beside_the_row(folder, tmp_path, caplog):
    caplog.set_level("INFO", logger="kerasrun")
    train_whole_and_cut(tmp_path, in_folder(FROZEN, folder))
    assert "the layers up to global_average_pooling2d are frozen" in caplog.text
    cut, whole = kerasrun.resume(tmp_path / "cut" / "run-1"), open_run(tmp_path / "whole" / "run-1")
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    each = kerasrun.train(tmp_path / "run.yaml", output=tmp_path / "each", overrides=["cache.features=false"])
    one, two = (np.genfromtxt(run.metrics_file, delimiter=",")[1:] for run in (whole, each))
    np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_a_saved_network_takes_the_inputs_by_their_names_or_shapes(folder, tmp_path):
    import keras

    photo, row = keras.Input((8, 8, 3), name="photo"), keras.Input((2,), name="about")
    seen = keras.layers.GlobalMaxPooling2D()(keras.layers.Conv2D(2, 3)(photo))
    output = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Concatenate()([seen, row]))
    keras.Model([row, photo], output).save(tmp_path / "two.keras")
    text = in_folder(PLAIN[: PLAIN.index("model:")], folder)
    still = "compile: {optimizer: {SGD: {learning_rate: 0}}}\n"
    (tmp_path / "saved.yaml").write_text(f"{text}model: {{saved: {{path: two.keras}}}}\n{still}")
    run = kerasrun.train(tmp_path / "saved.yaml", output=tmp_path)
    photos, numbers = arrays(folder, rows_of(70)[:60], ["size", "other"])
    before, after = (keras.models.load_model(path, compile=False) for path in (tmp_path / "two.keras", run.last_model))
    expected = before.predict([numbers, photos / 255], verbose=0)
    np.testing.assert_allclose(after.predict([photos, numbers], verbose=0), expected, rtol=1e-5)
    with pytest.raises(ModelError, match=r"two\.keras takes inputs of the shapes about \(2,\), photo \(8, 8, 3\), but"):
        kerasrun.train(tmp_path / "saved.yaml", output=tmp_path, overrides=["data.image_table.features=[size]"])
