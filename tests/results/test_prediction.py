"""`predict` needs nothing but the model file."""

import csv
import io
import json
import shutil
import zipfile

import pytest

import kerasrun
from kerasrun.errors import DataError, DeviceError, ModelFileError
from kerasrun.model_file import ENTRY
from kerasrun.results.prediction import to_csv, to_json, to_text

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def predictions(run, png):
    return kerasrun.predict([png / "test" / "7"], model=run.best_model, top=3)


def test_most_sevens_are_called_sevens(predictions):
    assert sum(prediction.top[0][0] == "7" for prediction in predictions) > 0.5 * len(predictions)


def test_the_model_file_alone_predicts(run, png, tmp_path, predictions):
    shutil.copy(run.best_model, tmp_path / "moved.keras")
    assert kerasrun.predict([png / "test" / "7"], model=tmp_path / "moved.keras", top=3) == predictions


def test_a_model_that_was_trained_without_deterministic_operations_predicts_without_them(run, png, tmp_path):
    path = tmp_path / "without.keras"
    with zipfile.ZipFile(run.best_model) as trained, zipfile.ZipFile(path, "w") as changed:
        for name in trained.namelist():
            content = trained.read(name)
            changed.writestr(
                name, json.dumps({**json.loads(content), "deterministic": False}) if name == ENTRY else content
            )
    # This process has begun with them.
    with pytest.raises(DeviceError, match="deterministic: false is asked for"):
        kerasrun.predict([png / "test" / "7"], model=path)


def test_json_is_one_list_of_objects(predictions):
    first, *others = json.loads(to_json(predictions))
    assert len(others) == len(predictions) - 1
    assert first["top"][0] == {"class": first["class"], "probability": first["probability"]}
    assert len(first["top"]) == 3
    assert first["path"] == predictions[0].path


def test_csv_has_a_row_for_each_image(predictions):
    rows = list(csv.DictReader(io.StringIO(to_csv(predictions))))
    assert [row["path"] for row in rows] == [prediction.path for prediction in predictions]
    assert float(rows[0]["probability"]) == predictions[0].top[0][1]
    assert rows[0]["class_2"] == predictions[0].top[1][0]


def test_text_names_image_class_and_probability(predictions):
    header, first, *_ = to_text(predictions).splitlines()
    assert header.split() == ["image", "class", "probability"]
    assert predictions[0].path in first


def test_a_file_that_is_no_image_is_named(run, tmp_path):
    fake = tmp_path / "fake.png"
    fake.write_text("not an image")
    with pytest.raises(DataError, match=r"fake\.png"):
        kerasrun.predict([fake], model=run.best_model)


def test_a_missing_image_is_named(run, tmp_path):
    with pytest.raises(DataError, match=r"none\.png"):
        kerasrun.predict([tmp_path / "none.png"], model=run.best_model)


def test_a_damaged_model_file_is_named(run, png, tmp_path):
    content = bytearray(run.best_model.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "damaged.keras"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"damaged\.keras.*damaged"):
        kerasrun.predict([png / "test" / "7"], model=path)


def test_a_truncated_model_file_is_named(run, png, tmp_path):
    path = tmp_path / "short.keras"
    path.write_bytes(run.best_model.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"short\.keras: not a readable"):
        kerasrun.predict([png / "test" / "7"], model=path)


def test_a_model_that_kerasrun_did_not_write_is_refused_with_the_reason(png, tmp_path):
    import keras

    path = tmp_path / "foreign.keras"
    keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]).save(path)
    with pytest.raises(ModelFileError, match="did not write"):
        kerasrun.predict([png / "test" / "7"], model=path)
