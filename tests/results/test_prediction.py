"""`predict` needs nothing but the model file."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import kerasrun
from kerasrun import model_file, network_size
from kerasrun.cli import app
from kerasrun.errors import DataError, DeviceError, ModelFileError, OutOfMemoryError, UsageError
from kerasrun.model_file import ENTRY
from kerasrun.reading.data import ImageFormat
from kerasrun.report.predictions import to_csv, to_json, to_text

pytestmark = pytest.mark.tensorflow
IRIS = Path(__file__).parents[2] / "data" / "iris"


def changed(path, target, entry, change):
    """Copy a model file with a change of the JSON in an entry."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as written:
        for name in archive.namelist():
            content = archive.read(name)
            written.writestr(name, json.dumps(change(json.loads(content))) if name == entry else content)
    return target


@pytest.fixture(scope="module")
def predictions(run, png):
    return kerasrun.predict([png / "test" / "7"], model=run.best_model, top=3)


def test_most_sevens_are_called_sevens(predictions):
    assert sum(prediction.top[0][0] == "7" for prediction in predictions) > 0.5 * len(predictions)


def test_the_model_file_alone_predicts(run, png, tmp_path, predictions):
    shutil.copy(run.best_model, tmp_path / "moved.keras")
    assert kerasrun.predict([png / "test" / "7"], model=tmp_path / "moved.keras", top=3) == predictions


def test_a_model_that_was_trained_without_deterministic_operations_predicts_without_them(run, png, tmp_path):
    path = changed(run.best_model, tmp_path / "without.keras", ENTRY, lambda info: {**info, "deterministic": False})
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
    assert header.split() == ["example", "class", "probability"]
    assert predictions[0].path in first


@pytest.mark.long
def test_a_model_of_scaled_images_predicts_what_libjpeg_makes_of_them(run, png, tmp_path):
    def scaled(info):
        return {**info, "image_format": {**info["image_format"], "decode": "scaled"}}

    with Image.open(next((png / "test" / "7").iterdir())) as digit:
        large = digit.resize((32 * 4 + 3, 32 * 4 + 1), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=50)
    with Image.open(tmp_path / "large.jpg") as reduced:
        reduced.draft(None, (32, 32))
        assert reduced.size == (33, 33)
        reduced.resize((32, 32), Image.Resampling.BILINEAR).save(tmp_path / "small.png")
    model = changed(run.best_model, tmp_path / "scaled.keras", ENTRY, scaled)
    (found,), (expected,), (exact,) = (
        kerasrun.predict([tmp_path / name], model=path, top=3)
        for name, path in (("large.jpg", model), ("small.png", run.best_model), ("large.jpg", run.best_model))
    )
    assert found.top == expected.top != exact.top


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


def test_an_array_of_images_is_predicted_as_their_files_are(run, png, predictions, tmp_path):
    files = sorted((png / "test" / "7").iterdir())
    np.save(tmp_path / "sevens.npy", np.stack([np.asarray(Image.open(file)) for file in files]))
    found = kerasrun.predict([tmp_path / "sevens.npy"], model=run.best_model, top=3)
    assert [one.top for one in found] == [one.top for one in predictions]
    assert found[2].path == f"{tmp_path / 'sevens.npy'}[2]"


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 8, 8)), r"a\.npy: has shape \(3, 8, 8\); expected numbers of shape \(examples, 32, 32, 1\)"),
        (np.array(["seven"]), "holds no numbers"),
        (np.full((2, 32, 32, 1), np.nan), "the example at index 0 holds NaN"),
        (np.zeros((0, 32, 32, 1)), "has shape"),
    ],
)
def test_an_array_that_does_not_fit_is_named(run, tmp_path, array, said):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=said):
        kerasrun.predict([tmp_path / "a.npy"], model=run.best_model)


def test_a_file_that_is_no_array_is_named(run, tmp_path):
    (tmp_path / "a.npy").write_text("not an array")
    with pytest.raises(DataError, match=r"a\.npy: is not an \.npy file; it begins with b'not an a'"):
        kerasrun.predict([tmp_path / "a.npy"], model=run.best_model)
    with pytest.raises(DataError, match=r"none\.npy: does not exist"):
        kerasrun.predict([tmp_path / "none.npy"], model=run.best_model)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"top": 2, "every": True}, UsageError, "--top and --all"),
        ({"threshold": 0.3}, ModelFileError, "takes the largest of 10 classes"),
        ({"masks": "somewhere"}, ModelFileError, "does not make masks"),
    ],
)
def test_an_option_that_does_not_suit_the_model_is_refused(run, png, arguments, error, said):
    with pytest.raises(error, match=said):
        kerasrun.predict([png / "test" / "7"], model=run.best_model, **arguments)


def test_every_class_is_named_on_demand(run, png):
    (found,) = kerasrun.predict([png / "test" / "7" / "0000.png"], model=run.best_model, every=True)
    assert sorted(name for name, _ in found.top) == list("0123456789")
    assert sum(probability for _, probability in found.top) == pytest.approx(1, rel=1e-5)


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """A model that takes every pixel brighter than a half for class 1."""
    import keras

    inputs = keras.Input((8, 8, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(1, 1)(keras.layers.Rescaling(1 / 255)(inputs)))
    network.layers[-1].set_weights([np.full((1, 1, 1, 1), 20, np.float32), np.array([-10], np.float32)])
    path = tmp_path_factory.mktemp("masks") / "bright.keras"
    image_format = ImageFormat(8, 8, "grayscale", "nearest")
    info = model_file.ModelInfo(("dark", "bright"), image_format, 2, "sigmoid logits", "bright", 1, label_kind="masks")
    model_file.save(network, info, path)
    return path


def test_masks_are_written_as_large_as_their_images(bright, tmp_path):
    pictures = np.random.default_rng(1).integers(0, 2, (3, 8, 8)).astype(np.uint8) * 255
    (tmp_path / "photos").mkdir()
    for number, picture in enumerate(pictures.repeat(2, axis=1).repeat(2, axis=2)):
        Image.fromarray(picture).save(tmp_path / "photos" / f"{number}.png")
    found = kerasrun.predict([tmp_path / "photos"], model=bright, masks=tmp_path / "out")
    assert [prediction.mask for prediction in found] == [str(tmp_path / "out" / f"{n}.png") for n in range(3)]
    for number, prediction in enumerate(found):
        with Image.open(tmp_path / "photos" / f"{number}.png") as photo, Image.open(prediction.mask) as mask:
            assert np.array_equal(np.asarray(mask), np.asarray(photo))
    small = kerasrun.predict([tmp_path / "photos"], model=bright, masks=tmp_path / "out", mask_size="input")
    with Image.open(small[0].mask) as mask:
        assert mask.size == (8, 8)


def test_nothing_is_ranked_where_no_class_is_chosen(bright, tmp_path):
    with pytest.raises(ModelFileError, match="there is no --top"):
        kerasrun.predict([tmp_path], model=bright, top=2)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """A model of rows with named columns, trained on the table of irises."""
    folder = tmp_path_factory.mktemp("flowers")
    file = folder / "small.yaml"
    file.write_text(
        f"data: {{csv: {{train: {IRIS / 'train.csv'}, test: {IRIS / 'test.csv'}, label: species}}}}\n"
        "model: {MLP: {units: [16]}}\ncompile: {optimizer: {Adam: {learning_rate: 0.03}}}\nfit: {epochs: 20}\n"
    )
    return kerasrun.train(file, output=folder / "runs").best_model


def test_rows_are_predicted_by_the_names_of_their_columns(flowers, tmp_path):
    """Whatever else the file has, in whatever order."""
    lines = (IRIS / "test.csv").read_text().splitlines()
    (tmp_path / "mine.csv").write_text("\n".join(",".join(reversed(line.split(","))) for line in lines) + "\n")
    found = kerasrun.predict([IRIS / "test.csv"], model=flowers)
    mine = kerasrun.predict([tmp_path / "mine.csv"], model=flowers)
    assert [one.top for one in mine] == [one.top for one in found]
    assert mine[0].path == f"{tmp_path / 'mine.csv'}:2"
    right = [one.top[0][0] == line.rpartition(",")[2] for one, line in zip(found, lines[1:], strict=True)]
    assert np.mean(right) > 0.8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sepal_length,sepal_width,petal_length\n1,2,3\n", r"a\.csv: no column 'petal_width'"),
        (
            "sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n1,2,x,4\n",
            r"a\.csv:3: column 'petal_length': 'x'",
        ),
        ("", r"a\.csv: is empty"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(flowers, tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        kerasrun.predict([tmp_path / "a.csv"], model=flowers)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A run on images of 16 bits that differ in their high byte alone, and the folder of their arrays."""
    folder = tmp_path_factory.mktemp("deep")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2**16, (40, 6, 6), np.uint16), np.arange(40) % 2
    x[:, :3] //= 1 + 30 * y[:, None, None].astype(np.uint16)
    np.savez(folder / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    np.save(folder / "x.npy", x)
    (folder / "e.yaml").write_text(
        "data: {npz: {path: a.npz}}\nmodel: MLP\ncompile: {optimizer: Adam}\nfit: {epochs: 3}"
    )
    return kerasrun.train(folder / "e.yaml", output=folder / "runs"), folder


@pytest.mark.long
def test_an_array_of_16_bits_is_predicted_as_it_was_evaluated(deep):
    run, folder = deep
    right = [
        p.top[0][0] == str(n % 2) for n, p in enumerate(kerasrun.predict([folder / "x.npy"], model=run.best_model))
    ]
    assert sum(right) / len(right) == kerasrun.evaluate(run).metrics["accuracy"]


def test_a_dark_array_of_16_bits_keeps_its_high_byte(deep):
    run, folder = deep
    np.save(folder / "dark.npy", np.full((1, 6, 6), 255, np.uint16))
    np.save(folder / "black.npy", np.zeros((1, 6, 6), np.uint8))
    (dark,), (black,) = (kerasrun.predict([folder / name], model=run.best_model) for name in ("dark.npy", "black.npy"))
    assert dark.top == black.top


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
def test_bytes_in_any_dtype_are_bytes_to_a_model_of_16_bits(deep, dtype):
    run, folder = deep
    pixels = np.random.default_rng(3).integers(0, 256, (2, 6, 6), np.uint16)
    np.save(folder / "deep.npy", pixels * 257)
    np.save(folder / "bytes.npy", pixels.astype(dtype))
    as_words, as_bytes = (
        [one.top for one in kerasrun.predict([folder / name], model=run.best_model)]
        for name in ("deep.npy", "bytes.npy")
    )
    assert as_bytes == as_words


@pytest.mark.parametrize("number", [-1.0, 0.5, 256.0])
def test_numbers_that_are_not_pixels_are_refused_where_the_model_takes_pixels(run, tmp_path, number):
    np.save(tmp_path / "x.npy", np.full((1, 32, 32), number))
    with pytest.raises(DataError, match=r"x\.npy: has numbers from .*, but the model was trained on pixels"):
        kerasrun.predict([tmp_path / "x.npy"], model=run.best_model)


READERS = {"--json": json.loads, "--csv": lambda text: list(csv.DictReader(io.StringIO(text)))}


@pytest.mark.parametrize(("form", "head"), [("{i},{p}", "id,file"), ("{p} {i}", None), ("{p}", "photo")])
def test_a_list_of_images_is_predicted_as_the_images_are(run, png, predictions, tmp_path, form, head):
    """The images may be beside the list or in a folder beside it; their extensions may be left out."""
    shutil.copytree(png / "test" / "7", tmp_path / "photos")
    files = sorted((tmp_path / "photos").iterdir())
    names = [*(file.name for file in files[:-1]), files[-1].stem]
    lines = [form.format(i=row, p=name) for row, name in enumerate(names)]
    (tmp_path / "list.csv").write_text("\n".join([head, *lines] if head else lines))
    found = kerasrun.predict(tmp_path / "list.csv", model=run.best_model, top=3)
    assert [one.top for one in found] == [one.top for one in predictions]
    lines.append(form.format(i=9, p="9.png"))
    (tmp_path / "list.csv").write_text("\n".join([head, *lines] if head else lines))
    *others, gone = kerasrun.predict(tmp_path / "list.csv", model=run.best_model, top=3)
    assert (others, gone.error) == (found, "cannot be read: No such file or directory")


def test_a_list_of_nothing_that_is_there_is_named(run, tmp_path):
    (tmp_path / "list.csv").write_text("file\na.png\n")
    with pytest.raises(DataError, match=r"list\.csv: lists no image that is there; expected a column of the names"):
        kerasrun.predict(tmp_path / "list.csv", model=run.best_model)
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "list.csv").write_text("file\na.png\n../b.png\n")
    with pytest.raises(DataError, match=r"list\.csv:3: column 'file': '\.\./b\.png' is outside"):
        kerasrun.predict(tmp_path / "list.csv", model=run.best_model)


@pytest.mark.parametrize("form", READERS)
def test_an_unreadable_picture_among_others_is_an_entry_with_its_error(run, png, tmp_path, form):
    sound = sorted((png / "test" / "7").glob("*.png"))[:2]
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    examples = [str(sound[0]), str(tmp_path / "bad.png"), str(sound[1])]
    done = CliRunner().invoke(app, ["predict", *examples, "--run", str(run.root), form])
    first, bad, second = READERS[form](done.stdout)
    assert isinstance(done.exception, DataError)
    assert "1 of 3 image files cannot be used" in str(done.exception)
    assert (bad["path"], "is not" in bad["error"]) == (examples[1], True)
    alone = CliRunner().invoke(app, ["predict", *examples[::2], "--run", str(run.root), form], catch_exceptions=False)
    assert [{**one, **among} == among for one, among in zip(READERS[form](alone.stdout), (first, second), strict=True)]


def test_the_table_has_a_line_for_an_unreadable_picture_too(run, png, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    found = kerasrun.predict(
        [tmp_path / "bad.png", *sorted((png / "test" / "7").glob("*.png"))[:2]], model=run.best_model
    )
    lines = to_text(found).splitlines()
    assert len(lines) == 4
    assert "bad.png" in lines[1]


def test_unreadable_pictures_alone_are_an_error(run, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="1 of 1 image files cannot be used"):
        kerasrun.predict([tmp_path / "bad.png"], model=run.best_model)


ONE = {"columns": 1, "label_kind": "classes", "outputs": "probabilities"}


@pytest.mark.parametrize(
    "wrong",
    [
        *({"classes": classes} for classes in ([], ["a"], ["a", "b"], list("abcdefghijk"))),
        {"label_kind": "multi_label", "classes": ["a", "b"]},
        {"label_kind": "numbers", "classes": ["a"]},
        {"label_kind": "masks"},
        {"parts": [{**ONE, "name": name} for name in "abcdefghij"]},
        {"parts": [{**ONE, "name": "a", "columns": 10, "label_kind": "masks"}]},
    ],
)
def test_a_model_file_whose_names_are_not_those_of_its_outputs_is_refused(run, png, tmp_path, wrong):
    path = changed(run.best_model, tmp_path / "wrong.keras", ENTRY, lambda info: {**info, **wrong})
    with pytest.raises(ModelFileError, match=r"wrong\.keras: .* damaged: it names .* \(None, 10\), are not made"):
        kerasrun.predict([png / "test" / "7"], model=path, masks=None)


@pytest.mark.parametrize("units", [2**40, 2**25])
def test_a_network_of_more_weights_than_its_file_has_is_not_made(run, png, tmp_path, units, monkeypatch):
    """With 2**25 units each of the other checks passes where the memory is large."""

    def grown(config):
        config["config"]["layers"][-1]["config"]["units"] = units
        return config

    monkeypatch.setattr(network_size, "available_memory", lambda: 2**60)
    path = changed(run.best_model, tmp_path / "large.keras", "config.json", grown)
    with pytest.raises(ModelFileError, match=rf"with \d+ × {units:,} its layers have .*, but its file [\d,]+ numbers"):
        kerasrun.predict([png / "test" / "7"], model=path)


def test_a_batch_that_no_memory_holds_is_not_made(run, png, tmp_path):
    path = changed(run.best_model, tmp_path / "wide.keras", ENTRY, lambda info: {**info, "batch_size": 2**24})
    with pytest.raises(OutOfMemoryError, match=r"outputs of 16777216 examples: .*the layer '\w+' gives [\d,]+ numbers"):
        kerasrun.predict([png / "test" / "7"], model=path)


def test_images_of_two_channels_are_never_files(png, tmp_path):
    import keras

    inputs = keras.Input((8, 8, 2))
    network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    info = model_file.ModelInfo(("a", "b"), ImageFormat(8, 8, "rgb"), 2, "softmax logits", "two", 1)
    model_file.save(network, info, tmp_path / "two.keras")
    with pytest.raises(ModelFileError, match=r"not trained on images in grey or colour.*the shape \(8, 8, 2\)"):
        kerasrun.predict([png / "test" / "7"], model=tmp_path / "two.keras")
