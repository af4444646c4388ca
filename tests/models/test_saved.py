"""Networks from files: what is read, what is kept, what is refused."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError

import kerasrun
from kerasrun.errors import ModelError, ModelFileError
from kerasrun.models._architecture import preprocesses, read_architecture
from kerasrun.models.saved import Saved
from kerasrun.results.model import open_model, summarize
from kerasrun.runs.metrics import Table
from kerasrun.tasks.base import Output, activation_of
from kerasrun.training.resuming import branching
from tests.reading.test_hdf5 import ELSEWHERE

TEN = Output(10, "softmax")
DIGITS = Path(__file__).parents[2] / "data" / "digits" / "digits.npz"
CONVOLUTION = {"module": "keras.layers", "class_name": "Conv2D", "config": {"filters": 2, "kernel_size": 3}}
SEQUENTIAL = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [CONVOLUTION]}}
FIELDS = {"saved": {"path": "a.json", "architecture": json.dumps(SEQUENTIAL), "head": [4]}}


def short_experiment(folder):
    import keras

    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dropout(0.2)]
    network = keras.Sequential([keras.Input((32, 32, 1)), *layers, keras.layers.Dense(10, activation="softmax")])
    (folder / "network.json").write_text(network.to_json())
    return f"""
data: {{npz: {{path: {DIGITS}, limit: 60}}}}
model: {{saved: {{path: network.json}}}}
"""


def own_loss(y_true, y_pred):
    return y_pred


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "code", "function": "x"}}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One network in every form."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("saved")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, name="conv", kernel_regularizer=keras.regularizers.L2(1e-5)),
            layers.BatchNormalization(name="bn"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.2, name="dropout1"),
            layers.Dense(10, activation="softmax", name="digits"),
        ]
    )
    model.save(folder / "network.keras")
    model.save(folder / "network.h5")
    keras.Model(model.inputs, model.outputs).save(folder / "functional.h5")
    model.save_weights(folder / "network.weights.h5")
    (folder / "network.json").write_text(model.to_json())
    (folder / "network.yaml").write_text(yaml.safe_dump(json.loads(model.to_json())).replace("1.0e-05", "1e-5"))
    model.compile(loss=own_loss)
    model.save(folder / "compiled.keras")
    two = keras.Model(model.inputs, [model.layers[2].output, *model.outputs])
    (folder / "two.json").write_text(two.to_json())
    function = keras.Sequential([keras.Input((8, 8, 1)), layers.Lambda(lambda x: x * 2, name="twice")])
    function.save(folder / "code.h5")
    function.save(folder / "code.keras")
    return folder


def built(path, shape=(8, 8, 1), output=TEN, **fields):
    import keras

    keras.utils.clear_session()
    network = Saved.model_validate({"path": path, **fields}).settled()
    inputs = keras.Input(shape, name="input")
    own = network.preprocess(inputs)
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs) if own is None else own
    model = keras.Model(inputs, network.build(x, output))
    network.load_pretrained(model, x)
    return model


def original(files):
    import keras

    return keras.models.load_model(files / "network.keras", compile=False)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["network.keras", "network.h5", "functional.h5", "compiled.keras"])
def test_a_model_file_comes_with_its_weights(files, name):
    model = built(files / name)
    x = np.random.default_rng(1).uniform(0, 255, (3, 8, 8, 1)).astype(np.float32)
    assert np.array_equal(model(x), original(files)(x * np.float32(1 / 255)))
    assert [layer.name for layer in model.layers[-5:]] == ["conv", "bn", "flat", "dropout1", "digits"]


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    "options",
    [
        {"weights": "network.weights.h5"},
        {"weights": "network.h5"},
        {"weights": "network.h5", "by_name": True},
    ],
)
def test_an_architecture_takes_its_weights_from_a_file(files, form, options):
    model = built(files / f"network.{form}", **{**options, "weights": files / options["weights"]})
    assert np.array_equal(model.get_layer("digits").kernel, original(files).get_layer("digits").kernel)


@pytest.mark.tensorflow
def test_layers_are_taken_off_for_a_new_head(files):
    model = built(files / "network.keras", drop_last=1, head=[6], dropout=0.1, trainable=False)
    assert [layer.name for layer in model.layers[-4:]] == ["dropout1", "head1", "dropout1_new", "output"]
    assert {layer.name for layer in model.layers if layer.trainable_weights} == {"head1", "output"}
    assert np.array_equal(model.get_layer("conv").kernel, original(files).get_layer("conv").kernel)


@pytest.mark.tensorflow
def test_a_network_of_several_outputs_serves_without_what_parts_them(files):
    with pytest.raises(ModelError, match=r"two.json: a network of several outputs; .*drop_last"):
        built(files / "two.json")
    assert built(files / "two.json", drop_last=3).output.shape == (None, 10)


@pytest.mark.tensorflow
def test_weights_alone_are_no_network(files):
    with pytest.raises(ModelError, match=r"network.weights.h5: weights without a network; .*and this as weights:"):
        read_architecture(files / "network.weights.h5")


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", ELSEWHERE)
@pytest.mark.parametrize("name", ["network.h5", "network.weights.h5", "network.keras"])
def test_weights_are_taken_from_no_other_file(files, tmp_path, kind, name):
    """Also where Keras would read around them: nothing in the file of a stranger leads elsewhere."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros((6, 4), np.uint8)
    weights = shutil.copy(files / name, tmp_path)
    inner = weights if name.endswith(".h5") else tmp_path / "model.weights.h5"
    if inner != weights:
        with zipfile.ZipFile(weights) as archive:
            entries = {entry: archive.read(entry) for entry in archive.namelist()}
        inner.write_bytes(entries[inner.name])
    with h5py.File(inner, "r+") as file:
        kind(file, "unused", str(tmp_path / "other.h5"))
    if inner != weights:
        with zipfile.ZipFile(weights, "w") as archive:
            for entry, content in {**entries, inner.name: inner.read_bytes()}.items():
                archive.writestr(entry, content)
    with pytest.raises(ModelError, match=rf"{name}: .*unused.*: it"):
        built(files / "network.json", weights=weights)
    if name == "network.h5":
        with pytest.raises(ModelError, match=rf"{name}: .*unused.*: it"):
            built(weights)


@pytest.mark.tensorflow
@pytest.mark.parametrize("group", ["/model_weights", "/model_weights/conv"])
@pytest.mark.parametrize("by_name", [False, True])
def test_weights_whose_names_are_none_are_told(files, tmp_path, group, by_name):
    weights = shutil.copy(files / "network.h5", tmp_path)
    with h5py.File(weights, "r+") as file:
        file[group].attrs["layer_names" if group == "/model_weights" else "weight_names"] = 3
    with pytest.raises(ModelError, match=r"network.h5: these are not the weights of network.json"):
        built(files / "network.json", weights=weights, by_name=by_name)


@pytest.mark.tensorflow
def test_a_layer_of_ones_own_is_asked_for_as_a_plugin(tmp_path):
    own = {"module": None, "class_name": "Twice", "config": {"name": "t"}, "registered_name": "mine>Twice"}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [own]}}
    (tmp_path / "own.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"own.json needs the class 'Twice', which is not Keras's: .*plugins:"):
        built(tmp_path / "own.json")


@pytest.mark.tensorflow
def test_the_same_is_asked_for_where_the_file_is_a_h5(tmp_path):
    import keras

    class Thrice(keras.layers.Layer):
        pass

    keras.Sequential([keras.Input((8,)), Thrice()]).save(tmp_path / "own.h5")
    with pytest.raises(ModelError, match=r"own.h5 needs the class 'Thrice', which is not Keras's: .*plugins:"):
        built(tmp_path / "own.h5", shape=(8,))


@pytest.mark.tensorflow
def test_a_branch_that_led_to_a_layer_taken_off_is_gone(files):
    import keras

    inputs = keras.Input((8, 8, 1))
    a, b = (keras.layers.Dense(2, name=name)(keras.layers.Flatten(name=f"flat_{name}")(inputs)) for name in "ab")
    keras.Model(inputs, keras.layers.Add(name="sum")([a, b])).save(files / "branches.keras")
    model = built(files / "branches.keras", drop_last=1)
    assert {layer.name for layer in model.layers} & {"a", "b"} == {"b"}


@pytest.mark.tensorflow
def test_weights_that_do_not_fit_are_refused_or_left_random_as_asked(files, caplog):
    import keras

    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()])
    other.save(files / "other.h5")
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3, name="conv")])
    other.save(files / "shapes.h5")
    architecture = files / "network.json"
    with pytest.raises(ModelError, match=r"other.h5: these are not the weights of network.json: .*expected 3 layers"):
        built(architecture, weights=files / "other.h5")
    other.save_weights(files / "other.weights.h5")
    with pytest.raises(
        ModelError, match=r"other.weights.h5: .*not be loaded.*>: The shape of.*value.shape=\(3, 3, 1, 3\)"
    ):
        built(architecture, weights=files / "other.weights.h5")
    with pytest.raises(ModelError, match=r"no layer there is called conv, bn, digits; there are"):
        built(architecture, weights=files / "other.h5", by_name=True)
    with pytest.raises(ModelError, match=r"shapes.h5: .*[Ss]hape mismatch"):
        built(architecture, weights=files / "shapes.h5", by_name=True)
    built(architecture, weights=files / "shapes.h5", by_name=True, skip_mismatch=True)
    assert "Skipping loading weights for layer" in caplog.text
    with pytest.raises(ModelError, match=r"none.h5: no such file of weights"):
        built(architecture, weights=files / "none.h5")


@pytest.mark.tensorflow
def test_examples_of_another_shape_are_told_with_the_size_that_is_needed(files):
    with pytest.raises(
        ModelError, match=r"takes examples of the shape \(8, 8, 1\).*\(9, 9, 1\); set image_size: \[8, 8\]"
    ):
        built(files / "network.keras", shape=(9, 9, 1))
    with pytest.raises(ModelError, match=r"set image_size: \[8, 8\] and color_mode: grayscale in the data section"):
        built(files / "network.keras", shape=(9, 9, 3))
    with pytest.raises(ModelError, match=r"drop_last: 9, but the network has 5 layers"):
        built(files / "network.keras", drop_last=9)


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["h5", "keras"])
def test_code_of_a_file_is_refused(files, form):
    network = Saved.model_validate({"path": files / f"code.{form}"})
    with pytest.raises(ModelError, match=r"code\.\w+: the layer 'twice' is a Lambda.*--trust"):
        network.settled()
    # What a resolved experiment of someone else may hold.
    written = Saved.model_validate({"path": "gone", "architecture": network.settled(trust=True).architecture})
    with pytest.raises(ModelError, match="the layer 'twice' is a Lambda"):
        written.settled()


@pytest.mark.long
@pytest.mark.tensorflow
def test_code_of_a_file_runs_where_each_command_is_told_to_trust_it(experiment, files, tmp_path):
    model = f"model={{saved: {{path: {files / 'code.h5'}, head: [4]}}}}"
    overrides = [model, "fit.epochs=1", "data.npz.image_size=[8, 8]"]
    run = kerasrun.train(experiment, overrides=overrides, output=tmp_path / "runs", trust=True)
    assert run.read_run()["trust"] is True
    picture = {"overrides": overrides, "output": tmp_path / "preview.png"}
    with pytest.raises(ModelError, match=r"Lambda.*--trust"):
        kerasrun.preview(experiment, **picture)
    assert kerasrun.preview(experiment, **picture, trust=True).exists()
    with pytest.raises(ModelError, match="Lambda"):
        kerasrun.resume(run, overrides=["fit.epochs=2"])
    assert kerasrun.resume(run, overrides=["fit.epochs=2"], trust=True).read_run()["status"] == "finished"
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    for use in (
        lambda **trust: kerasrun.evaluate(run, split="train", **trust),
        lambda **trust: kerasrun.predict([tmp_path / "image.png"], model=run.best_model, **trust),
        lambda **trust: summarize(open_model(run.best_model, "cpu", **trust)),
        lambda **trust: branching.read(branching.find(kerasrun.Branch(run), **trust), **trust),
    ):
        with pytest.raises(ModelFileError, match=r"Lambda.*--trust"):
            use()
        assert use(trust=True)


ALIASES = "a0: &a0 [0, 0]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
"""20 billion values in 600 bytes."""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("network.yaml", "{class_name: [a], config: {}}", "class_name: expected 'Sequential'"),
        ("none.keras", None, "no such file; expected a .keras, .h5, .json or .yaml file"),
        ("network.txt", "x", "expected a .keras, .h5, .json or .yaml file with a network of Keras"),
        ("network.keras", "x", "cannot be read as .keras"),
        ("network.h5", "x", "cannot be read as .h5"),
        ("network.json", "{", "cannot be read as .json"),
        ("network.json", "[]", "no architecture of Keras"),
        ("network.json", "[" * 5000 + "]" * 5000, "cannot be read as .json: is nested too deeply"),
        ("network.yaml", "!!python/name:os.system x", "the tag !!python/name:os.system"),
        ("network.yaml", "{class_name: Own, config: {}}", "a Own is a custom class"),
        ("network.yaml", ALIASES, "aliases that repeat each other; expected at most 100,000 values"),
        ("network.yaml", "&a [*a]", "an alias inside of what it stands for"),
        ("network.json", '{"class_name": "Sequential", "config": {"layers": [3]}}', "config.layers.0: expected"),
        (
            "network.json",
            '{"class_name": "Sequential", "config": {"layers": [{"class_name": 3, "config": {}}]}}',
            "name",
        ),
        ("network.json", '{"class_name": [], "config": {}}', "class_name: expected"),
        ("network.json", "9" * 5000, "is not JSON"),
        ("network.json", '{"a": ' * 150 + "1" + "}" * 150, "is nested too deeply, in more than 100 levels"),
        ("network.json", "[" + "{}," * 2**20 + "{}]", "has more than 1,048,576 lists and objects"),
        ("network.json", " " * 2**25 + "{}", "has more than 8,388,608 bytes"),
    ],
)
def test_a_file_without_a_network_is_told_in_a_sentence(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=f"(?s){name}:.*{words}"):
        read_architecture(tmp_path / name)


def test_an_architecture_that_is_no_json_is_told_in_a_sentence():
    with pytest.raises(ModelError, match="architecture is not the JSON of a network"):
        Saved.model_validate({"path": "gone.json", "architecture": "x"}).settled()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("code.json", json.dumps({"class_name": "Sequential", "config": {"layers": [LAMBDA]}}), "which can run code"),
        ("code.json", "[]", "no architecture of Keras"),
        ("none.json", None, None),
    ],
)
def test_validate_reads_the_file_of_a_network_that_is_there(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    file = tmp_path / "e.yaml"
    file.write_text(f"data: {{npz: {{path: data.npz}}}}\nmodel:\n  saved: {{path: {name}}}\n")
    code = f"""
import sys
from kerasrun.cli import app
try:
    app(["validate", {str(file)!r}, *sys.argv[1:]])
finally:
    print(sorted({{"tensorflow", "keras", "h5py", "numpy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("[]\n")
    assert ("no mistakes found" in done.stdout) == (words is None)
    if words:
        assert f"{file}:3:10: model.saved: " in done.stderr.replace("\n", "")
        assert words in done.stderr
    if words == "which can run code":
        done = subprocess.run([sys.executable, "-c", code, "--trust"], capture_output=True, text=True, check=False)
        assert "no mistakes found" in done.stdout


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"path": "a.json", "by_name": True},
        {"path": "a.json", "weights": "a.weights.h5", "by_name": True},
        {"path": "a.json", "skip_mismatch": True},
        {"path": "a.json", "drop_last": -1},
    ],
)
def test_options_that_would_do_nothing_are_refused(fields):
    with pytest.raises(ValidationError):
        Saved.model_validate(fields)


@pytest.mark.parametrize(
    ("first", "own"),
    [
        ({"class_name": "Rescaling", "module": "keras.layers"}, True),
        ({"class_name": "TrueDivide", "module": "keras.src.ops.numpy"}, True),
        ({"class_name": "Conv2D"}, False),
        ("Conv2D", False),
        ({"config": {}}, False),
    ],
)
def test_preprocessing_of_its_own_is_seen(first, own):
    layers = [{"class_name": "InputLayer"}, first]
    assert preprocesses({"config": {"layers": layers}}) is own


@pytest.fixture
def experiment(tmp_path, files):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (48, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x_train=images, y_train=np.arange(48) % 3)
    (tmp_path / "network.keras").write_bytes((files / "network.keras").read_bytes())
    file = tmp_path / "experiment.yaml"
    file.write_text(
        "data: {npz: {path: data.npz}}\n"
        "model: {saved: {path: network.keras, drop_last: 1, head: [8], dropout: 0.3, trainable: bn}}\n"
        "fit: {batch_size: 16, epochs: 2}\n"
    )
    return file


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_run_goes_on_exactly_when_the_file_is_gone(experiment, tmp_path):
    whole = kerasrun.train(experiment, output=tmp_path / "whole")
    cut = kerasrun.train(experiment, overrides=["fit.epochs=1"], output=tmp_path / "cut")
    (tmp_path / "network.keras").unlink()
    kerasrun.resume(cut, overrides=["fit.epochs=2"])
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert _weights(cut.last_model) == _weights(whole.last_model)


@pytest.mark.tensorflow
def test_a_model_of_a_run_serves_as_the_network_of_another(experiment, tmp_path):
    first = kerasrun.train(experiment, overrides=["fit.epochs=1"], output=tmp_path / "runs")
    second = kerasrun.train(
        experiment,
        overrides=[
            "fit.epochs=1",
            f"model={{saved: {{path: {first.root}}}}}",  # the folder: its best model
            "compile.optimizer.SGD.learning_rate=0",
        ],
        output=tmp_path / "runs",
    )
    assert _weights(second.best_model)[:2] == _weights(first.best_model)[:2]


def _weights(path):
    import keras

    return [array.tobytes() for array in keras.models.load_model(path, compile=False).get_weights()]


@pytest.mark.long
@pytest.mark.tensorflow
def test_what_a_layer_measured_goes_into_each_run_that_follows(experiment, tmp_path):
    """`Normalization` computes with copies of its weights: of the file, of a checkpoint, and of another run."""
    import keras

    scale = keras.layers.Normalization(name="scale")
    scale.adapt(np.random.default_rng(2).integers(0, 256, (20, 8, 8, 1)).astype(np.float32))
    layers = [keras.Input((8, 8, 1)), scale, keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    keras.Sequential(layers).save(tmp_path / "network.keras")
    same = [f"model={{saved: {{path: {tmp_path}/network.keras}}}}", "fit.validation_split=0.25"]
    whole = kerasrun.train(experiment, overrides=same, output=tmp_path / "runs")
    cut = kerasrun.train(experiment, overrides=[*same, "fit.epochs=1"], output=tmp_path / "runs")
    kerasrun.resume(cut, overrides=["fit.epochs=2"])
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    (measured,) = (row["val_loss"] for row in Table(whole.metrics_file).rows()[1:])
    assert kerasrun.evaluate(whole, last=True, split="validation").metrics["loss"] == measured
    still = [*same, "model.saved.weights=null", "fit.epochs=1", "compile.optimizer={SGD: {learning_rate: 0.0}}"]
    branch = kerasrun.train(
        experiment, overrides=still, output=tmp_path / "runs", branch=kerasrun.Branch(whole, "last")
    )
    assert Table(branch.metrics_file).rows()[0]["val_loss"] == measured


def test_a_network_of_images_without_a_channel_takes_grey_images(tmp_path):
    import keras

    plain = keras.Sequential([keras.Input((5, 5)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    plain.save(tmp_path / "plain.keras")
    inputs = keras.Input((5, 5, 1))
    network = Saved(path=tmp_path / "plain.keras").settled()
    model = keras.Model(inputs, network.build(inputs, Output(3, "softmax")))
    network.load_pretrained(model, inputs)
    x = np.random.default_rng(0).normal(size=(4, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(x[..., None], verbose=0), plain.predict(x, verbose=0))


@pytest.mark.tensorflow
def test_a_layer_may_be_the_activation_of_the_last_one():
    import keras

    assert activation_of(keras.layers.Dense(3, activation=keras.layers.LeakyReLU())) == "LeakyReLU"
