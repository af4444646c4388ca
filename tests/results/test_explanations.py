"""Explanations of networks that are built such that the answer is known, and their pictures."""

import csv
import json
import logging
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from typer.testing import CliRunner

import kerasrun
from kerasrun import model_file
from kerasrun.cli import app
from kerasrun.errors import DataError, ModelFileError, RunDirectoryError, UsageError
from kerasrun.reading.data import ImageFormat
from kerasrun.results.explanations import _sums
from kerasrun.results.model import untrained
from kerasrun.tasks.base import OutputPart

pytestmark = pytest.mark.tensorflow
SIDE = 32


def explainer(network, classes=("no", "yes"), outputs="probabilities", **known):
    from kerasrun.results.explanations import Explainer

    info = model_file.ModelInfo(tuple(classes), None, 8, outputs, "x", 1, **known)
    return Explainer(model_file.TrainedModel(Path("x.keras"), network, info))


def bright_corner(nested=""):
    """A network that says yes to a bright upper left quarter, and no to a dark lower right one.

    Its maps are of what is bright, of what is dark, and of what is neither, which is everywhere and says nothing.
    """
    import keras

    inputs = keras.Input((SIDE, SIDE, 1))
    x = keras.layers.Conv2D(3, 4, strides=4)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.ReLU(name="last")(x)
    if nested == "maps":
        base, inputs = keras.Model(inputs, x, name="last"), keras.Input((SIDE, SIDE, 1))
        x = base(inputs)
    x = keras.layers.Flatten()(x)
    if nested == "vectors":
        base, inputs = keras.Model(inputs, x), keras.Input((SIDE, SIDE, 1))
        x = keras.Sequential([keras.Input((SIDE, SIDE, 1)), base])(inputs)
    network = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    kernel = np.concatenate([np.full((4, 4, 1, 1), sign / 16, np.float32) for sign in (1, -1, 0)], axis=-1)
    weights = np.zeros((8, 8, 3), np.float32)
    weights[:4, :4, 0], weights[4:, 4:, 1] = 5, -5
    network.set_weights([kernel, np.array([-0.8, 0.2, 0.5]), weights.reshape(-1, 1), np.zeros(1)])
    return network


def picture():
    """Noise, of which the upper left quarter is bright and the lower right one dark."""
    found = np.random.default_rng(0).integers(60, 200, (1, SIDE, SIDE, 1)).astype(np.uint8)
    found[:, : SIDE // 2, : SIDE // 2] = 255
    found[:, SIDE // 2 :, SIDE // 2 :] = 0
    return found


@pytest.mark.parametrize("nested", ["", "maps", "vectors"])
def test_grad_cam_lies_on_what_makes_the_class(nested):
    of_corner = explainer(bright_corner(nested))
    assert of_corner.how == "Grad-CAM of last"
    for number, (upper, left) in enumerate([(SIDE // 2, SIDE // 2), (0, 0)]):
        relevance = of_corner.explain([picture()], number).relevance
        quarter = relevance[upper : upper + SIDE // 2, left : left + SIDE // 2]
        assert quarter.sum() / relevance.sum() >= 0.8


def test_grad_cam_of_averaged_maps_is_their_class_activation_map():
    """For such a network Selvaraju and others (2017) prove it; each weight is that of the class over the pixels."""
    import keras

    inputs = keras.Input((6, 5, 3))
    maps = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(maps))
    network = keras.Model(inputs, outputs)
    x = np.random.default_rng(1).normal(size=(1, 6, 5, 3)).astype(np.float32)
    found = explainer(network, "abc").explain([x], 2).relevance
    expected = keras.Model(inputs, maps)(x)[0].numpy() @ network.get_weights()[2][:, 2] / 30
    assert found == pytest.approx(np.maximum(expected, 0), abs=1e-6)


@pytest.mark.long
def test_the_maps_of_a_network_of_keras_are_the_last_before_pooling():
    import keras

    inputs = keras.Input((64, 64, 3))
    base = keras.applications.MobileNet(input_tensor=inputs, include_top=False, weights=None, alpha=0.25)
    flat = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(base.output)))
    whole = keras.applications.MobileNet(input_shape=(64, 64, 3), weights=None, classes=2, alpha=0.25)
    nested = keras.Model(inputs, whole(inputs))  # its top has maps of one place
    x = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    for network, outputs in ((flat, "softmax logits"), (nested, "probabilities")):
        of_network = explainer(network, outputs=outputs)
        assert of_network.how == "Grad-CAM of conv_pw_13_relu"
        assert of_network.explain([x], 0).relevance.shape == (64, 64)


def test_attributions_of_a_linear_network_are_its_weights_times_the_numbers():
    """Those behind the scaling: zeros there are the means."""
    import keras

    mean, variance = np.array([3.0, -1, 0]), np.array([4.0, 0.25, 1])
    inputs = keras.Input((3,))
    x = keras.layers.Normalization(mean=mean, variance=variance)(inputs)
    network = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    row = np.array([[7, -2, 1.5]], np.float32)
    found = explainer(network, "abc").explain([row], 1)
    expected = (row[0] - mean) / np.sqrt(variance) * network.get_weights()[-2][:, 1]
    assert found.relevance == pytest.approx(expected, abs=1e-6)
    assert found.names == ["column 1", "column 2", "column 3"]


def test_attributions_of_a_network_with_hidden_units_are_complete():
    """Their sum is what the score, computed here by hand, is above that of zeros, to 1 %."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 4, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    for units in (32, 16):
        x = keras.layers.Dense(units, activation="relu", bias_initializer="random_normal")(x)
    network = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    of_network = explainer(network)
    pixels = np.random.default_rng(3).integers(0, 256, (1, 5, 4, 1)).astype(np.uint8)

    def score(numbers):
        first, a, second, b, last, c = network.get_weights()
        return (np.maximum(np.maximum(numbers @ first + a, 0) @ second + b, 0) @ last + c).item()

    difference = score(pixels.ravel() / 255) - score(np.zeros(20))
    for number, sign in ((1, 1), (0, -1)):
        attributions, how = of_network._integrated([pixels.astype(np.float32)], number)
        assert attributions.sum() == pytest.approx(sign * difference, rel=0.01)
        assert how == "integrated gradients"
        found = of_network.explain([pixels], number)
        assert found.relevance == pytest.approx(np.abs(attributions.reshape(5, 4)))


def of_two_outputs(inputs, x, y):
    import keras

    first = keras.layers.Dense(2, activation="softmax", name="kind")(x)
    second = keras.layers.Dense(1, name="hours")(y)
    return keras.Model(inputs, keras.layers.Concatenate(name="output")([first, second]))


PARTS = (OutputPart("kind", 2, "classes", "probabilities"), OutputPart("hours", 1, "numbers", "values"))
TWO = {"classes": ("car", "bike", "hours"), "outputs": "values", "label_kind": "several_outputs", "parts": PARTS}


def test_each_of_several_outputs_is_explained_by_its_own_weights():
    import keras

    inputs = keras.Input((3,))
    of_network = explainer(of_two_outputs(inputs, inputs, inputs), **TWO)
    row = np.array([[7, -2, 1.5]], np.float32)
    of_kind, of_hours = (of_network._model.get_layer(name).get_weights()[0] for name in ("kind", "hours"))
    for number, weights in enumerate([of_kind[:, 0], of_kind[:, 1], of_hours[:, 0]]):
        assert of_network.explain([row], number).relevance == pytest.approx(row[0] * weights, abs=1e-6)
    assert of_network.how == "integrated gradients"


def test_each_of_several_outputs_has_the_maps_that_it_is_made_of():
    import keras

    inputs = keras.Input((SIDE, SIDE, 1))
    trunk = keras.layers.Conv2D(2, 3, strides=4, name="trunk")(inputs)
    left = keras.layers.Conv2D(3, 3, name="left")(trunk)
    right = keras.layers.Conv2D(3, 3, name="right")(trunk)
    ends = [keras.layers.GlobalAveragePooling2D()(one) for one in (left, right)]
    of_network = explainer(of_two_outputs(inputs, *ends), **TWO)
    assert of_network.how == "Grad-CAM of left, Grad-CAM of right"
    for number in range(3):
        assert of_network.explain([picture()], number).relevance.shape == (SIDE, SIDE)
    both = keras.layers.Dense(2)(keras.layers.Concatenate()(ends))
    assert explainer(keras.Model(inputs, both), outputs="softmax logits").how == "Grad-CAM of trunk"


def test_a_map_of_one_of_several_branches_says_so():
    import keras

    inputs = keras.Input((SIDE, SIDE, 1))
    ends = [
        keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, side, name=f"of_{side}")(inputs))
        for side in (3, 5)
    ]
    network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()(ends)))
    how = explainer(network, outputs="softmax logits").how
    assert how in [f"Grad-CAM of of_{side}, one of several branches" for side in (3, 5)]


def test_attributions_are_of_all_branches():
    """The score is linear, so each column adds its derivative times itself, on both ways."""
    import keras

    inputs = keras.Input((3,))
    scaled = keras.layers.Rescaling(0.5)(inputs)
    sums = [keras.layers.Dense(1)(one) for one in (scaled, inputs)]
    network = keras.Model(inputs, keras.layers.Add()(sums))
    row = np.array([[7, -2, 1.5]], np.float32)
    found = explainer(network, ["price"], "values", label_kind="numbers").explain([row], 0).relevance
    deep, wide = (weights[:, 0] for weights in network.get_weights()[::2])
    assert found == pytest.approx(row[0] * (0.5 * deep + wide), abs=1e-5)


@pytest.mark.long
def test_predictions_of_several_outputs_are_explained_in_one_picture(tmp_path):
    rows = [f"{x},{-x},{x > 5:d},{x <= 5:d},{2 * x}" for x in range(12)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,high,low,double", *rows]))
    (tmp_path / "e.yaml").write_text(
        "data: {csv: {train: rows.csv, target: [high, low, double]}}\n"
        "model: {layers: [Dense: {units: 4, name: x}, Dense: {units: 2, activation: softmax, name: level}, "
        "Dense: {units: 1, name: double, inputs: [x]}], outputs: [level, double]}\n"
        "compile: {loss: {level: categorical_crossentropy, double: mse}}\n"
        "fit: {epochs: 1, validation_split: 0.5}\n"
    )
    run = kerasrun.train(tmp_path / "e.yaml", output=tmp_path / "runs")
    found = kerasrun.predict(tmp_path / "rows.csv", model=run.best_model, explain=tmp_path / "why")
    assert [one.answer for one in found] == kerasrun.predict(tmp_path / "rows.csv", model=run.best_model)
    with Image.open(found[0].more["explanation"]) as one:
        assert one.height == 2 * one.width * (1.4 + 0.26 * 2) // 7  # two parts of two columns each, below each other
    text = kerasrun.write_report(run).read_text(encoding="utf-8")
    assert "What could not be shown" not in text
    assert text.count("what counts") == 2


def test_attributions_that_miss_something_say_so():
    """The gradient of a step is zero everywhere, so none of the difference is found."""
    import keras

    inputs = keras.Input((2,))
    x = keras.layers.Dense(1, use_bias=False)(inputs)
    network = keras.Model(inputs, keras.ops.sign(x) + 0.0 * x)
    network.set_weights([np.ones((2, 1))])
    found = explainer(network, ["price"], "values", label_kind="numbers").explain([np.ones((1, 2), np.float32)], 0)
    assert found.how == "integrated gradients, incomplete: their sum is 0, not 1"


def test_words_are_explained_behind_their_vectors_and_padding_counts_nothing():
    import keras

    inputs = keras.Input((4,))
    x = keras.layers.Embedding(9, 3, mask_zero=True, embeddings_initializer="random_normal")(inputs)
    network = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.GRU(5)(x)))
    found = explainer(network).explain([np.array([[4, 8, 0, 0]], np.float32)], 1)
    assert (found.names, found.how) == (["step 1", "step 2", "step 3", "step 4"], "integrated gradients")
    assert np.flatnonzero(found.relevance).tolist() == [0, 1]


@pytest.fixture
def customers(tmp_path):
    """A table with a gap, a date, and categories of which one has more values than become a column each."""
    draw = np.random.default_rng(0)
    rows = ["age,since,city,plan,left"]
    for number in range(120):
        age = "" if number % 7 == 0 else draw.integers(20, 70)
        rows.append(f"{age},2024-0{1 + number % 9}-11,city{number % 40},{'abc'[number % 3]},{'yn'[number % 2]}")
    (tmp_path / "customers.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "e.yaml").write_text(
        "data: {csv: {train: customers.csv, label: left, columns: {since: date}}}\nmodel: {MLP: {units: [4]}}\n"
        "preprocessing: [Normalization]\nfit: {epochs: 2, validation_split: 0.3}\n"
    )
    return tmp_path


def test_the_columns_of_a_wide_row_take_time_in_proportion_to_their_number():
    parts = [f"column {number}" for number in range(100_000)]
    begin = time.process_time()
    assert _sums(np.arange(100_000.0), parts).tolist() == list(range(100_000))
    assert time.process_time() - begin < 5


def test_the_numbers_of_a_row_are_added_up_in_their_columns(customers):
    from kerasrun.engine.columns import owners

    trained = untrained(customers / "e.yaml")
    taken = trained.model.get_layer("columns").output.shape[-1]
    of_columns = owners(trained.info.row_format)
    assert len(of_columns) == taken
    counts = {name: of_columns.count(name) for name in of_columns}
    assert counts == {"age": 2, "since": 4, "city": 6, "plan": 3}  # √40 for the cities


@pytest.mark.long
def test_a_table_is_explained_by_a_bar_for_each_column(customers):
    run = kerasrun.train(customers / "e.yaml", output=customers / "runs")
    few = customers / "few.csv"
    few.write_text("".join((customers / "customers.csv").read_text().splitlines(keepends=True)[:4]))
    found = kerasrun.predict(few, model=run.best_model, explain=customers / "why")
    assert [one.answer for one in found] == kerasrun.predict(few, model=run.best_model)
    assert found[0].more == {"explanation": str(customers / "why" / "few_2.png")}
    assert sorted(file.name for file in (customers / "why").iterdir()) == [f"few_{line}.png" for line in (2, 3, 4)]


def test_a_map_that_occlusion_confirms_agrees_with_it():
    import tensorflow as tf

    of_corner = explainer(bright_corner())
    found = of_corner.explain([picture()], 1)
    assert found.agreement > 0.7
    assert of_corner._agreement(found.relevance[::-1, ::-1], [tf.cast(picture(), tf.float32)], 1) < 0


def test_rank_correlation_is_that_of_scipy():
    from kerasrun.results.explanations import rank_correlation

    draw = np.random.default_rng(0)
    some, others = draw.integers(0, 5, 40).astype(float), draw.normal(size=40)
    assert rank_correlation(some, others) == pytest.approx(spearmanr(some, others).statistic, abs=1e-12)
    assert rank_correlation(some, np.ones(40)) == 0


def without_weights(inputs, layers):
    return layers.Softmax()(layers.Flatten()(inputs))


def of_other_numbers(inputs, layers):
    return layers.Dense(2)(layers.Flatten()(layers.CenterCrop(1, 1)(inputs)))


@pytest.mark.parametrize(
    ("network", "known", "said"),
    [
        (without_weights, {}, "its network has no layer that learns"),
        (of_other_numbers, {}, r"makes \(1,\) of an example of the shape \(1, 2, 1\) before its first layer"),
        (without_weights, {"label_kind": "masks"}, "makes masks or arrays, which kerasrun cannot explain"),
    ],
)
def test_a_network_that_cannot_be_explained_is_refused_in_a_sentence(network, known, said):
    import keras

    inputs = keras.Input((1, 2, 1))
    with pytest.raises(ModelFileError, match=said):
        explainer(keras.Model(inputs, network(inputs, keras.layers)), **known)


def test_a_network_without_a_gradient_is_refused_in_a_sentence():
    import keras

    inputs = keras.Input((2,))
    most = keras.ops.argmax(keras.layers.Dense(3)(inputs), axis=-1, keepdims=True)
    of_network = explainer(keras.Model(inputs, keras.ops.cast(most, "float32")), ["n"], "values", label_kind="numbers")
    with pytest.raises(ModelFileError, match=r"x\.keras cannot be explained: its network has no gradient"):
        of_network.explain([np.ones((1, 2), np.float32)], 0)


def test_explanations_are_beside_predictions_and_change_none(run, png, tmp_path, caplog):
    files = sorted((png / "test" / "7").iterdir())[:5]
    with caplog.at_level(logging.INFO, "kerasrun"):
        found = kerasrun.predict(files, model=run.best_model, top=3, explain=tmp_path / "why")
    assert [one.answer for one in found] == kerasrun.predict(files, model=run.best_model, top=3)
    assert "explained by Grad-CAM of pool2" in caplog.messages
    for one in found:
        file = Path(one.more["explanation"])
        assert file == tmp_path / "why" / Path(one.path).name
        with Image.open(file) as drawn:
            assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 50
        assert -1 <= one.more["agreement"] <= 1


def test_names_lead_nowhere_else_and_none_is_lost(run, png, tmp_path):
    long = "7" * 250 + ".png"
    for folder, names in (("a", ["x.png"]), ("b", ["x.png", long, "<b>$x$.png"])):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / "data" / folder / name).write_bytes((png / "test" / "7" / "0000.png").read_bytes())
    examples = [tmp_path / "data" / "a" / "..", tmp_path / "data" / "a" / ".." / "b" / "x.png"]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="would both have the explanation"):
        kerasrun.predict(examples, model=run.best_model, explain=tmp_path / "why")
    kerasrun.predict(examples[0], model=run.best_model, explain=tmp_path / "why")
    made = {str(file.relative_to(tmp_path / "why")) for file in (tmp_path / "why").rglob("*.png")}
    assert made == {"a/x.png", "b/x.png", f"b/{long}", "b/<b>$x$.png"}
    outside = [file for file in sorted(tmp_path.rglob("*")) if not file.is_relative_to(tmp_path / "why")]
    assert outside == before


def test_an_image_is_never_replaced_and_a_file_is_no_folder(run, png, tmp_path):
    (tmp_path / "x.png").write_bytes((png / "test" / "7" / "0000.png").read_bytes())
    with pytest.raises(UsageError, match="would replace an image; name another folder with --explain FOLDER"):
        kerasrun.predict(tmp_path / "x.png", model=run.best_model, explain=tmp_path)
    with pytest.raises(RunDirectoryError, match=r"x\.png cannot be written"):
        kerasrun.predict(tmp_path / "x.png", model=run.best_model, explain=tmp_path / "x.png")


@pytest.mark.long
def test_every_form_of_output_names_the_explanation(run, png, tmp_path):
    np.save(tmp_path / "two.npy", np.zeros((2, 32, 32), np.uint8))
    command = ["predict", str(tmp_path / "two.npy"), "--run", str(run.root), "--explain", str(tmp_path / "why")]
    as_json, as_csv = (CliRunner().invoke(app, [*command, form]).stdout for form in ("--json", "--csv"))
    files = [str(tmp_path / "why" / f"two_{number}.png") for number in range(2)]
    assert [one["explanation"] for one in json.loads(as_json)] == files
    assert [row["explanation"] for row in csv.DictReader(as_csv.splitlines())] == files
    assert files[1] in CliRunner().invoke(app, command).stdout


def test_a_picture_that_cannot_be_read_does_not_keep_others_from_being_explained(run, png, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nonsense")
    (tmp_path / "b.png").write_bytes((png / "test" / "7" / "0000.png").read_bytes())
    command = ["predict", str(tmp_path), "--run", str(run.root), "--explain", str(tmp_path / "why"), "--json"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, DataError)
    bad, sound = json.loads(done.stdout)
    assert ("error" in bad, sound["explanation"]) == (True, str(tmp_path / "why" / "b.png"))


def test_nothing_is_printed_or_written_where_nothing_can_be_explained(png, tmp_path):
    import keras

    inputs = keras.Input((32, 32, 1))
    network = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Flatten()(keras.layers.MaxPool2D(16)(inputs))))
    file = tmp_path / "pooled.keras"
    image_format = ImageFormat(32, 32, "grayscale")
    model_file.save(network, model_file.ModelInfo(tuple("abcd"), image_format, 2, "probabilities", "x", 1), file)
    command = ["predict", str(png / "test" / "7"), "--model", str(file), "--explain", str(tmp_path / "why")]
    done = CliRunner().invoke(app, command)
    assert (done.stdout, str(done.exception)) == (
        "",
        f"{file} cannot be explained: its network has no layer that learns",
    )
    assert not (tmp_path / "why").exists()
