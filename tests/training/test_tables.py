"""Tables of text, gaps and dates: what the network sees of them, the same after a resume, in the model file alone."""

import csv

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import kerasrun
from kerasrun.engine.prepared import prepare
from kerasrun.errors import DataError, ModelError
from kerasrun.experiment.load import load
from kerasrun.results.prediction import predict
from kerasrun.training.resuming.branching import Branch
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

EXPERIMENT = """
data: {csv: {train: rows.csv, label: bought, columns: {day: date}}}
preprocessing: [Normalization]
model: {layers: [Dense: {units: 8, activation: relu}, Dropout: {rate: 0.3}]}
fit: {batch_size: 17, epochs: 3, validation_split: 0.2}
"""
FEW = ["data.csv.features=[age, income, city]", "data.csv.columns={}"]


def rows(count=90):
    random = np.random.default_rng(4)
    for number in range(count):
        age = "" if number % 7 == 0 else f"{random.normal(40, 9):.6g}"
        city = ["Rome", "Oslo", "Bern", ""][number % 4]
        shop = f"shop {random.integers(40)}"
        day = f"2024-0{random.integers(1, 9)}-11"
        yield [f"c{number}", age, city, shop, f"{random.normal(3e4, 8e3):.6g}", day, "yn"[number % 2]]


@pytest.fixture
def folder(tmp_path):
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "age", "city", "shop", "income", "day", "bought"], *rows()])
    (tmp_path / "run.yaml").write_text(EXPERIMENT)
    return tmp_path


@pytest.mark.long
def test_a_run_that_was_cut_ends_with_the_same_bits_also_where_rows_stay_in_their_file(folder):
    train_whole_and_cut(folder, EXPERIMENT)
    cut = kerasrun.resume(folder / "cut" / "run-1")
    on_demand = kerasrun.train(folder / "run.yaml", overrides=["cache.memory=0"], output=folder / "on_demand")
    for run in (cut, on_demand):
        assert variables_digest(run.last_model) == variables_digest(folder / "whole" / "run-1" / "last.keras")
        assert run.metrics_file.read_bytes() == (folder / "whole" / "run-1" / "metrics.csv").read_bytes()


def test_the_network_sees_what_scikit_learn_makes_of_the_rows_that_train(folder):
    import keras

    run = kerasrun.train(folder / "run.yaml", overrides=["fit.epochs=1", *FEW], output=folder)
    model = keras.models.load_model(run.best_model, compile=False)  # plain Keras reads it
    seen = keras.Model(model.input, model.get_layer("columns").output)
    prepared = prepare(load(folder / "run.yaml", FEW))
    train = prepared.train.inputs.take(np.arange(len(prepared.train)))
    assert len(train) < 90
    scaled = ColumnTransformer([("n", StandardScaler(), [0, 1])], remainder="passthrough")
    numbers = make_pipeline(SimpleImputer(add_indicator=True), scaled)
    expected = ColumnTransformer([("n", numbers, [0, 1]), ("c", OneHotEncoder(sparse_output=False), [2])])
    np.testing.assert_allclose(np.asarray(seen(train)), expected.fit_transform(train.astype(float)), atol=1e-5)
    unknown = np.array([[40, 3e4, 0]], np.float32)
    assert np.asarray(seen(unknown))[0, 3:].tolist() == [0, 0, 0, 0]


@pytest.mark.long
def test_columns_are_found_by_name_with_the_model_file_alone(folder, caplog):
    run = kerasrun.train(folder / "run.yaml", output=folder)
    (folder / "alone").mkdir()
    (folder / "alone" / "m.keras").write_bytes(run.best_model.read_bytes())
    order = ["day", "new", "income", "city", "shop", "age"]
    names = ["id", "age", "city", "shop", "income", "day", "bought"]
    table = [dict(zip(names, row, strict=True)) for row in rows(5)]
    table[1] |= {"city": "Rio", "age": "", "shop": ""}
    with (folder / "other.csv").open("w", newline="") as file:
        csv.writer(file).writerows([order, *([row.get(name, "x") for name in order] for row in table)])
    (folder / "rows.csv").unlink()
    found = predict(folder / "other.csv", model=folder / "alone" / "m.keras", every=True)
    assert len(found) == 5
    assert "column 'city': 1 row with categories that training did not have, taken as unknown: 'Rio'" in caplog.text


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_many_categories_have_vectors_of_their_own_and_an_unknown_one_zeros(tmp_path, precision):
    import keras

    lines = [f"k{number % 3000},{number % 3000 % 2}" for number in range(6000)]
    (tmp_path / "rows.csv").write_text("\n".join(["key,y", *lines]))
    (tmp_path / "run.yaml").write_text(
        "data: {csv: {train: rows.csv, label: y, columns: {key: category}}}\n"
        f"precision: {precision}\nmodel: {{MLP: {{units: []}}}}\nfit: {{batch_size: 64, epochs: 8}}\n"
        "compile: {optimizer: {Adam: {learning_rate: 0.02}}}\n"
    )
    run = kerasrun.train(tmp_path / "run.yaml", output=tmp_path)
    report = kerasrun.evaluate(run, split="train")
    assert report.metrics["accuracy"] > 0.99  # half of it if numbers above 256 were rounded to 8 bits
    model = keras.models.load_model(run.best_model, compile=False)
    vectors = keras.Model(model.input, model.get_layer("category_key_row").output)
    assert not np.asarray(vectors(np.zeros((1, 1), np.float32))).any()
    assert np.asarray(vectors(np.full((1, 1), 3000, np.float32))).any()


@pytest.mark.long
def test_another_table_is_evaluated_as_the_model_reads_it(folder):
    run = kerasrun.train(folder / "run.yaml", output=folder)
    with (folder / "rows.csv").open(newline="") as file:
        header, *table = list(csv.reader(file))
    with (folder / "turned.csv").open("w", newline="") as file:
        csv.writer(file).writerows([row[::-1] for row in (header, *table)])
    whole = kerasrun.evaluate(run, data=folder / "turned.csv")
    assert whole.examples == 90
    parts = [kerasrun.evaluate(run, split=split) for split in ("train", "validation")]
    assert whole.metrics["loss"] == pytest.approx(sum(part.metrics["loss"] * part.examples for part in parts) / 90)
    (folder / "rows.csv").write_text((folder / "rows.csv").read_text().replace("Oslo", "Aachen"))
    with pytest.raises(DataError, match="the columns of the file for training are not what they were"):
        kerasrun.evaluate(run, split="train")
    assert kerasrun.evaluate(run, data=folder / "turned.csv").metrics == whole.metrics


@pytest.mark.long
def test_numbers_in_units_of_their_own_train_in_16_bits(folder):
    run = kerasrun.train(folder / "run.yaml", overrides=["precision=mixed_float16", *FEW], output=folder)
    assert np.isfinite(kerasrun.evaluate(run, split="train").metrics["loss"])


@pytest.mark.long
def test_vectors_of_categories_stay_where_a_stage_says_so_and_pass_on_to_another_run(folder):
    import keras

    stages = ["stages=[{epochs: 1, trainable: true}, {epochs: 1, trainable: output}]", "fit.epochs=2"]
    first = kerasrun.train(folder / "run.yaml", overrides=["fit.epochs=1"], output=folder / "a")
    both = kerasrun.train(folder / "run.yaml", overrides=stages, output=folder / "b")
    name = "category_shop"
    vectors = [keras.models.load_model(run.last_model).get_layer(name).get_weights()[0] for run in (first, both)]
    assert vectors[0].any()
    np.testing.assert_array_equal(*vectors)
    still = ["fit.epochs=1", "compile.optimizer={SGD: {learning_rate: 1e-30}}"]
    other = kerasrun.train(folder / "run.yaml", overrides=still, output=folder / "c", branch=Branch(first, "last"))
    np.testing.assert_array_equal(
        keras.models.load_model(other.last_model).get_layer(name).get_weights()[0], vectors[0]
    )


def test_preprocessing_needs_a_number(folder):
    with pytest.raises(ModelError, match="preprocessing: is for numbers, but every column is a category"):
        kerasrun.train(folder / "run.yaml", overrides=["data.csv.features=[city]", "data.csv.columns={}"])
