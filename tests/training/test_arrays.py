"""Autoencoders and images of images: the numbers of plain Keras, from every kind of data, exact, and predicted."""

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun.components import kinds
from kerasrun.errors import DataError, KerasrunError, ModelError
from kerasrun.experiment.draft import draft_experiment
from kerasrun.experiment.load import parse
from kerasrun.pipeline.order import epoch_order
from kerasrun.reading.memory import kept_within
from kerasrun.results.prediction import predict
from kerasrun.sources._rows import RowSource
from kerasrun.sources.hdf5 import Hdf5
from kerasrun.sources.npy import Npy
from kerasrun.sources.npz import Npz
from tests.grids import rest_is_long
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

LAYERS = """
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: same, activation: relu}
    - Conv2DTranspose: {filters: CHANNELS, kernel_size: 3, strides: 2, padding: same, activation: sigmoid}
"""
GREY, RED_GREEN_BLUE = (LAYERS.replace("CHANNELS", channels) for channels in "13")
FIT = "\nfit: {epochs: 2, batch_size: 5, validation_data: test}\ncompile: {optimizer: {SGD: {learning_rate: 0.1}}"


def stored(path):
    with np.load(path) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write grey pictures and the colours of which they were made, as files and as arrays."""
    folder = tmp_path_factory.mktemp("pictures")
    random, arrays = np.random.default_rng(3), {}
    for split, count in (("train", 20), ("test", 6)):
        y = random.integers(0, 256, (count, 8, 12, 3), dtype=np.uint8)
        x = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in y])
        arrays |= {f"x_{split}": x, f"y_{split}": y}
        (folder / "files" / split / "deeper").mkdir(parents=True)
        rows = ["name"]
        for place, picture in enumerate(x):
            Image.fromarray(picture).save(folder / "files" / split / "deeper" / f"{place:02}.png")
            rows.append(f"deeper/{place:02}.png")
        (folder / "files" / split / "list.csv").write_text("\n".join(rows))
        for kind, values in (("images-idx3", x), ("labels-idx1", np.arange(count, dtype=np.uint8))):
            header = np.array([0x800 + values.ndim, *values.shape], ">i4").tobytes()
            (folder / f"{split}-{kind}-ubyte").write_bytes(header + values.tobytes())
        (folder / "folders" / split).mkdir(parents=True)
        (folder / "folders" / split / "grey").symlink_to(folder / "files" / split / "deeper")
        (folder / "folders" / split / "colour").mkdir()
        for place, picture in enumerate(y):
            Image.fromarray(picture).save(folder / "folders" / split / "colour" / f"{place:02}.png")
    np.savez(folder / "pairs.npz", **arrays)
    np.savez(folder / "alone.npz", x_train=arrays["x_train"], x_test=arrays["x_test"])
    with h5py.File(folder / "pairs.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
            np.save(folder / f"{name}.npy", array)
    return folder


def everything(inputs):
    return inputs.take(np.arange(len(inputs)))


def opened(folder, data):
    return parse(f"data: {data}\nmodel: {{layers: [Identity]}}", folder / "run.yaml").experiment.data.open()


OF_INPUTS = {
    "npz": "{npz: {path: alone.npz, labels: input}}",
    "npy": "{npy: {x_train: x_train.npy, x_test: x_test.npy, labels: input}}",
    "hdf5": "{hdf5: {path: pairs.h5, labels: input}}",
    "idx": "{idx: {train_images: train-images-idx3-ubyte, test_images: test-images-idx3-ubyte, labels: input}}",
    "directory": "{directory: {path: files, color_mode: grayscale, labels: input}}",
}


@pytest.mark.parametrize("data", OF_INPUTS.values(), ids=OF_INPUTS)
@pytest.mark.parametrize("memory", [0, 10**6])
def test_every_kind_of_images_can_be_its_own_target(folder, data, memory):
    with kept_within(memory):
        found = opened(folder, data)
    found.require_read()
    assert (found.label_kind, found.classes) == ("arrays", ("grey",))
    arrays = stored(folder / "pairs.npz")
    for name, split in found.splits.items():
        assert split.labels is split.inputs
        np.testing.assert_array_equal(everything(split.inputs)[..., 0], arrays[f"x_{name}"])


def test_images_of_a_table_can_be_their_own_targets(folder):
    path = folder / "files" / "train"
    found = opened(folder, f"{{image_table: {{train: {path}/list.csv, color_mode: grayscale, labels: input}}}}")
    np.testing.assert_array_equal(
        everything(found.splits["train"].labels)[..., 0], stored(folder / "pairs.npz")["x_train"]
    )
    with pytest.raises(KerasrunError, match="expected no label beside labels: input"):
        opened(folder, f"{{image_table: {{train: {path}/list.csv, label: name, labels: input}}}}")


@pytest.mark.parametrize("size", [None, (4, 6)])
def test_every_kind_of_arrays_holds_images_of_images(folder, size):
    fields = {"labels": "arrays", "image_size": size}
    names = {f"{axis}_{split}": folder / f"{axis}_{split}.npy" for axis in "xy" for split in ("train", "test")}
    one = Npz(path=folder / "pairs.npz", **fields)
    for source in (one, Hdf5(path=folder / "pairs.h5", **fields), Npy(**names, **fields)):
        for memory in (10**6, 0):
            with kept_within(memory):
                found = source.open()
            assert (found.label_kind, found.classes) == ("arrays", ("red", "green", "blue"))
            assert found.fingerprint == one.open().fingerprint
            for name, split in found.splits.items():
                other = one.open().splits[name]
                assert split.labels.example_shape == (*(size or (8, 12)), 3)
                np.testing.assert_array_equal(everything(split.labels), everything(other.labels))
    if size is None:
        np.testing.assert_array_equal(everything(found.splits["test"].labels), np.load(names["y_test"]))


FOLDERS = "{image_masks: {path: folders, images: grey, color_mode: grayscale, masks: colour, mask_color_mode: rgb"


def test_images_of_images_may_be_in_folders(folder):
    found, arrays = opened(folder, f"{FOLDERS}, labels: arrays}}}}"), stored(folder / "pairs.npz")
    assert (found.label_kind, found.classes) == ("arrays", ("red", "green", "blue"))
    for name, split in found.splits.items():
        np.testing.assert_array_equal(everything(split.inputs)[..., 0], arrays[f"x_{name}"])
        np.testing.assert_array_equal(everything(split.labels), arrays[f"y_{name}"])
    small = opened(folder, f"{FOLDERS}, labels: arrays, image_size: [4, 6]}}}}")
    resized = small.splits["train"].labels.take(np.array([3]))
    with Image.open(folder / "folders" / "train" / "colour" / "03.png") as picture:
        np.testing.assert_array_equal(resized[0], np.asarray(picture.resize((6, 4), Image.Resampling.BILINEAR)))
    with pytest.raises(KerasrunError, match="expected no mask_color_mode beside labels: masks"):
        opened(folder, f"{FOLDERS}}}}}")
    with pytest.raises(KerasrunError, match="expected no classes beside labels: arrays"):
        opened(folder, f"{FOLDERS}, labels: arrays, classes: [a, b]}}}}")


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4)), r"y_train: float64 of shape \(3, 4\); expected numbers of"),
        (np.zeros((3, 4, 5), np.uint8), np.full((3, 4, 5), np.nan), "y_train: 3 of 3 examples hold NaN"),
        (np.zeros((3, 4, 5), np.uint8), np.zeros((2, 4, 5)), "has 3 examples, but .*y_train has 2 labels"),
        (np.zeros((3, 4), np.float32), np.zeros((3, 4)), "needs images or sequences: of rows take `labels: numbers`"),
    ],
)
def test_what_is_no_array_of_each_example_is_told_with_its_name(tmp_path, x, y, words):
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y)
    with pytest.raises(DataError, match=words):
        Npz(path=tmp_path / "a.npz", labels="arrays").open()


def test_a_loss_of_classes_is_told_in_its_line(folder):
    for data in ("npz: {path: pairs.npz, labels: arrays}", "idx: {path: ., labels: input}"):
        text = f"data: {{{data}}}{GREY}compile:\n  loss: categorical_crossentropy\n"
        words = r"run\.yaml:\d+:9: compile\.loss: received categorical_crossentropy.* the labels are arrays of numbers"
        with pytest.raises(KerasrunError, match=words):
            parse(text, folder / "run.yaml")


@pytest.mark.parametrize(
    ("data", "layers", "place"),
    [
        ("idx: {path: ., labels: input}", "[Flatten, Dense: {units: 9}]", "2:18"),
        ("directory: {path: ., labels: input}", "[Flatten, Dense: {units: 4}, GlobalAveragePooling2D]", "2:46"),
        ("image_masks: {path: .}", "[Conv2D: {filters: 4, kernel_size: 3}, Flatten, Dense: {units: 9}]", "2:56"),
    ],
)
def test_a_network_that_ends_in_a_row_is_told_its_layer_by_the_text(folder, data, layers, place):
    text = f"data: {{{data}}}\nmodel: {{layers: {layers}}}\n"
    with pytest.raises(KerasrunError, match=rf"run\.yaml:{place}: model.* makes one row of numbers.* for each pixel"):
        parse(text, folder / "run.yaml")
    parse(text.replace("]}", ", Reshape: {target_shape: [3, 3, 1]}]}"), folder / "run.yaml")


def trained(folder, text, output, **more):
    (folder / "run.yaml").write_text(text)
    return kerasrun.train(folder / "run.yaml", output=folder / output, **more)


def plain_keras(x, y, channels, loss, batches=20 // 5):
    """Train the same network in plain Keras, from the same weights and in the same order."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = keras.Input((8, 12, 1))
    hidden = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    outputs = layers.Conv2DTranspose(channels, 3, strides=2, padding="same", activation="sigmoid")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=[keras.metrics.MeanAbsoluteError(name="mae")])
    for epoch in range(2):
        order = epoch_order(1, epoch, len(x))
        model.fit(x[order], y[order], batch_size=5, shuffle=False, verbose=0)
    return model


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("labels", "network", "loss"),
    rest_is_long([("arrays", RED_GREEN_BLUE, "mae"), ("input", GREY, "binary_crossentropy"), ("input", GREY, "mse")]),
)
def test_training_gives_the_numbers_of_plain_keras(folder, labels, network, loss):
    text = f"data: {{npz: {{path: pairs.npz, labels: {labels}}}}}{network}{FIT}, loss: {loss}}}\n"
    run = trained(folder, text, f"keras_{labels}_{loss}")
    arrays = stored(folder / "pairs.npz")
    x, x_test = (arrays[f"x_{split}"][..., np.newaxis].astype(np.float32) for split in ("train", "test"))
    y, y_test = (x / 255, x_test / 255) if labels == "input" else (arrays["y_train"] / 255.0, arrays["y_test"] / 255.0)
    model = plain_keras(x, y, y.shape[-1], loss)
    report = kerasrun.evaluate(run, last=True)
    expected = model.evaluate(x_test, y_test, batch_size=5, verbose=0)
    assert [report.metrics[name] for name in ("loss", "mae")] == pytest.approx(expected, abs=1e-6)
    made = model.predict(x_test, batch_size=5, verbose=0)
    mse = np.mean((made * 255.0 - y_test * 255.0) ** 2)
    assert report.scores.headline["psnr"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-4)
    predictions = predict(folder / "x_test.npy", model=run.last_model, masks=folder / "made")
    pictures = np.stack([np.asarray(Image.open(one.file)) for one in predictions])
    assert np.abs(pictures.reshape(made.shape) - made * 255.0).max() <= 0.5 + 1e-3
    if labels == "input":
        errors = np.sqrt(np.mean((made - y_test) ** 2, axis=(1, 2, 3))) * 255
        assert [one.rmse for one in predictions] == pytest.approx(errors.tolist(), abs=1e-3)


@pytest.mark.long
@pytest.mark.tensorflow
def test_folders_of_images_of_images_train_to_the_bits_of_arrays(folder):
    text = "data: {npz: {path: pairs.npz, labels: arrays}}\naugmentation: [RandomRotation: {factor: 0.1}]"
    text += f"{RED_GREEN_BLUE}{FIT}}}\n"
    of_arrays = trained(folder, text, "of_arrays")
    text = text.replace("{npz: {path: pairs.npz, labels: arrays}}", f"{FOLDERS}, labels: arrays}}}}")
    for memory in ("1GB", "0"):
        of_folders = trained(folder, text, "of_folders", overrides=[f"cache.memory={memory}"])
        assert variables_digest(of_folders.last_model) == variables_digest(of_arrays.last_model)
    assert kerasrun.evaluate(of_folders).pictures


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_run_is_exact_and_has_the_same_bits_from_every_kind_of_data(folder):
    layers = GREY.replace("  layers:", "  layers:\n    - GaussianNoise: {stddev: 0.1}")
    text = f"data: {OF_INPUTS['npz']}{layers}{FIT}}}\n"
    train_whole_and_cut(folder, text)
    whole, cut = kerasrun.open_run(folder / "whole" / "run-1"), kerasrun.resume(folder / "cut" / "run-1")
    others = [trained(folder, text.replace(OF_INPUTS["npz"], OF_INPUTS[kind]), kind) for kind in ("directory", "hdf5")]
    on_demand = trained(folder, text, "on_demand", overrides=["cache.memory=0"])
    for run in (cut, *others, on_demand):
        assert variables_digest(run.last_model) == variables_digest(whole.last_model)
        assert run.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    of_files = others[0]
    predictions = predict(folder / "files" / "test", model=of_files.last_model, masks=folder / "again")
    of_arrays = predict(folder / "x_test.npy", model=whole.last_model, masks=folder / "of_arrays")
    assert [one.rmse for one in predictions] == [one.rmse for one in of_arrays]
    elsewhere = kerasrun.evaluate(of_files, data=folder / "files" / "test")
    assert elsewhere.metrics == kerasrun.evaluate(of_files).metrics


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.parametrize("preprocessing", ["Normalization", "Rescaling: {scale: 0.00784313725490196, offset: -1}"])
def test_targets_are_scaled_as_inputs_are_and_brought_back(folder, preprocessing):
    text = f"data: {OF_INPUTS['npz']}\npreprocessing: [{preprocessing}]{GREY.replace('sigmoid', 'linear')}{FIT}}}\n"
    run = trained(folder, text, "scaled")
    form = kerasrun.model_file.read_info(run.last_model).array_form
    x = stored(folder / "pairs.npz")["x_train"] / 1.0
    scale, offset = (1 / x.std(), -x.mean() / x.std()) if preprocessing == "Normalization" else (2 / 255, -1)
    assert (form.scale[0], form.offset[0]) == (pytest.approx(scale, rel=1e-5), pytest.approx(offset, rel=1e-5))
    report = kerasrun.evaluate(run, last=True)
    assert report.scores.channels[0].mae == pytest.approx(report.metrics["mae"] / scale, rel=1e-5)


@pytest.mark.tensorflow
def test_what_cannot_be_brought_back_is_refused(folder):
    text = f"data: {OF_INPUTS['npz']}\npreprocessing: [Resizing: {{height: 4, width: 4}}]{GREY}"
    with pytest.raises(ModelError, match="only Rescaling, and Normalization with a mean for each channel, can stand"):
        trained(folder, text, "refused")
    text = f"data: {OF_INPUTS['npz']}\nmodel: {{layers: [Conv2D: {{filters: 4, kernel_size: 3}}, UpSampling2D]}}"
    with pytest.raises(ModelError, match=r"shape \(12, 20, 1\) .* have the shape \(8, 12, 1\): bring what was pooled"):
        trained(folder, text, "refused")
    text = f"data: {OF_INPUTS['npz']}\nmodel: {{layers: [Flatten, Dense: {{units: 96, activation: sigmoid}}]}}"
    with pytest.raises(DataError, match=r"run.yaml:2:18: .*Flatten makes one row of numbers"):
        trained(folder, text, "refused")


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_target_may_be_larger_than_its_image(folder):
    arrays = stored(folder / "pairs.npz")
    np.savez(
        folder / "larger.npz", **{name: one[:, ::2, ::2] if name[0] == "x" else one for name, one in arrays.items()}
    )
    text = """
data: {npz: {path: larger.npz, labels: arrays}}
augmentation: [RandomFlip: {mode: horizontal}]
model: {layers: [Conv2D: {filters: 4, kernel_size: 3, padding: same}, UpSampling2D]}
"""
    run = trained(folder, text, "larger")
    (made,) = predict(folder / "files" / "test" / "deeper" / "00.png", model=run.last_model, masks=folder / "larger")
    with Image.open(made.file) as picture:
        assert (picture.size, picture.mode) == ((12, 8), "RGB")
    with pytest.raises(ModelError, match="moves pixels of images of 4×6, but their targets have 8×12"):
        trained(folder, text.replace("RandomFlip: {mode: horizontal}", "RandomRotation: {factor: 0.1}"), "larger")


@pytest.mark.long
@pytest.mark.tensorflow
def test_sequences_and_rows_can_be_their_own_targets(tmp_path):
    random = np.random.default_rng(5)
    np.savez(tmp_path / "steps.npz", x_train=random.normal(3, 2, (20, 6, 2)), x_test=random.normal(3, 2, (4, 6, 2)))
    np.savez(tmp_path / "rows.npz", x_train=random.integers(0, 256, (20, 8), dtype=np.uint8))
    np.save(tmp_path / "rows.npy", random.integers(0, 256, (2, 8), dtype=np.uint8))
    steps = """
data: {npz: {path: steps.npz, labels: input}}
preprocessing: [Normalization]
model: {layers: [LSTM: {units: 3}, RepeatVector: {n: 6}, LSTM: {units: 3, return_sequences: true}]}
"""
    report = kerasrun.evaluate(trained(tmp_path, steps, "runs"))
    assert [one.target for one in report.scores.channels] == ["0", "1"]
    rows = (
        "data: {npz: {path: rows.npz, labels: input}}\nmodel: {MLP: {units: [3]}}\ncompile: {loss: binary_crossentropy}"
    )
    run = trained(tmp_path, rows, "runs")
    (first, _) = predict(tmp_path / "rows.npy", model=run.last_model)
    assert len(first.values) == 8
    assert all(0 <= number <= 255 for _, number in first.values)


@pytest.mark.long
@pytest.mark.tensorflow
def test_columns_of_a_table_can_be_their_own_targets(tmp_path):
    rows = np.random.default_rng(1).normal((5, 100), (1, 20), (30, 2))
    lines = [f"{a:.4f},{b:.4f},x{place % 2}" for place, (a, b) in enumerate(rows)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c", *lines]))
    data = "data: {csv: {train: t.csv, labels: input, COLUMNS}}"
    text = f"""
{data.replace("COLUMNS", "columns: {c: left_out}")}
preprocessing: [Normalization]
model: {{layers: [Dense: {{units: 1}}]}}
fit: {{epochs: 4, batch_size: 10, validation_split: 0.2, test_split: 0.2}}
compile: {{optimizer: {{Adam: {{learning_rate: 0.05}}}}}}
"""
    train_whole_and_cut(tmp_path, text)
    whole, cut = kerasrun.open_run(tmp_path / "whole" / "run-1"), kerasrun.resume(tmp_path / "cut" / "run-1")
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    report = kerasrun.evaluate(cut, last=True)
    assert [one.target for one in report.scores.channels] == ["a", "b"]
    predictions = predict(tmp_path / "t.csv", model=cut.last_model)
    model = keras.saving.load_model(cut.last_model, compile=False)
    form = kerasrun.model_file.read_info(cut.last_model).array_form
    made = (model.predict(rows.round(4), verbose=0) - form.offset) / form.scale
    np.testing.assert_allclose([[value for _, value in one.values] for one in predictions], made, rtol=1e-4)
    assert predictions[0].rmse == pytest.approx(np.sqrt(np.mean((made[0] - rows[0]) ** 2)), rel=1e-3)
    assert kerasrun.inspect(tmp_path / "run.yaml").findings is not None
    with pytest.raises(DataError, match="'c' is a category; `labels: input` takes numbers without gaps: leave it out"):
        opened(tmp_path, data.replace("data: ", "").replace(", COLUMNS", ""))
    with pytest.raises(KerasrunError, match="expected no label beside labels: input"):
        opened(tmp_path, data.replace("data: ", "").replace("COLUMNS", "label: a"))


@pytest.mark.long
@pytest.mark.tensorflow
def test_init_recognizes_images_of_images_and_what_it_writes_trains(folder):
    found = Npz.recognize(folder / "pairs.npz")
    assert (found.label_kind, found.keys) == ("arrays", {"labels": "arrays"})
    drafted = draft_experiment(folder / "pairs.npz", folder / "drafted.yaml")
    run = kerasrun.train(drafted, overrides=["fit.epochs=1"], output=folder / "drafted")
    assert run.read_run()["label_kind"] == "arrays"


def test_every_kind_of_images_is_here():
    sources = {kind: one for kind, one in kinds("kerasrun.sources").items() if not issubclass(one, RowSource)}
    of_images = {kind for kind, one in sources.items() if "labels" in one.model_fields}
    assert of_images - {"image_masks", "image_table", "keras_dataset"} == OF_INPUTS.keys()
