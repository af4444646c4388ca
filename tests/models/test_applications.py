"""The networks of Keras by name: their weights, which of their layers learn, and what their source says of them."""

import importlib
import inspect
import shutil
import urllib.error
from pathlib import Path

import h5py
import numpy as np
import pytest

import kerasrun
from kerasrun.components import kinds
from kerasrun.errors import ExperimentError, ModelError
from kerasrun.models._keras_applications import application, application_names
from kerasrun.tasks.base import Output
from kerasrun.training import train as training
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow
KINDS = kinds("kerasrun.models")
DATA = Path(__file__).parents[2] / "data"
# Of the networks of one file, two that take little time.
FIELDS = {"MobileNet": {"weights": None, "alpha": 0.25}, "VGG16": {"weights": None, "head": [8]}}
VGG16_CONVOLUTIONS = [name for name in application("VGG16").layers if "conv" in name]
IMAGENET_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"


def short_experiment(folder):
    return f"""
data: {{directory: {{path: {DATA}/digits/png, color_mode: rgb, image_size: [32, 32], classes: [0, 1], limit: 30}}}}
model: {{MobileNet: {{alpha: 0.25, weights: null, pooling: avg, head: [4], trainable: conv_pw_13}}}}
augmentation: [RandomTranslation: {{height_factor: 0.1, width_factor: 0.1}}]
"""


def saved(path, model):
    """A file in the layout of Keras's own weights files."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


@pytest.fixture(scope="module")
def official_layout(tmp_path_factory):
    import keras

    model = keras.applications.VGG16(include_top=False, weights=None)
    return saved(tmp_path_factory.mktemp("weights") / "vgg16_notop.h5", model)


def built(name="VGG16", size=32, **fields):
    import keras

    keras.utils.clear_session()
    network = KINDS[name].model_validate({"weights": None, "head": [8], **fields})
    inputs = keras.Input((size, size, 3), name="input")
    x = network.preprocess(inputs)
    model = keras.Model(inputs, network.build(x, Output(1, "sigmoid")))
    return model, lambda: network.load_pretrained(model, x)


@pytest.mark.parametrize(
    ("trainable", "learning"),
    [(False, []), (True, VGG16_CONVOLUTIONS), ("block5_conv2", ["block5_conv2", "block5_conv3"])],
)
def test_what_is_before_the_named_layer_is_frozen(trainable, learning):
    model, _ = built(trainable=trainable)
    names = {layer.name for layer in model.layers if layer.trainable_weights}
    assert names == {*learning, "head1", "output"}


@pytest.mark.parametrize(("trainable", "learning"), [(False, []), ("block5_conv3", ["block5_conv3"])])
def test_a_stage_chooses_among_the_convolutions_and_the_head_always_learns(trainable, learning):
    network = KINDS["VGG16"].model_validate({"weights": None, "head": [8]})
    model, _ = built(trainable=True)
    network.set_trainable(model.layers, trainable)
    assert {layer.name for layer in model.layers if layer.trainable_weights} == {*learning, "head1", "output"}


def test_without_a_head_dropout_stands_before_the_output():
    model, _ = built("MobileNet", alpha=0.25, pooling="avg", head=[], dropout=0.2)
    assert [type(layer).__name__ for layer in model.layers[-3:]] == ["GlobalAveragePooling2D", "Dropout", "Dense"]


def test_an_unknown_first_layer_is_told_with_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean block5_conv1"):
        KINDS["VGG16"].model_validate({"trainable": "block5_con1"})


def test_an_unknown_first_layer_is_told_where_the_source_computes_the_names():
    with pytest.raises(ModelError, match=r"MobileNet has no layer 'conv_dw_14'; did you mean conv_dw_"):
        built("MobileNet", trainable="conv_dw_14")


def test_frozen_batch_normalization_uses_and_keeps_its_statistics():
    model, _ = built("MobileNet", alpha=0.25)
    x = np.random.default_rng(1).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    before = [variable.numpy() for variable in model.non_trainable_weights]
    assert before
    assert np.array_equal(model(x, training=True), model(x, training=False))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.non_trainable_weights, strict=True))


@pytest.mark.long
def test_weights_come_from_a_local_file(official_layout):
    import keras

    model, load = built(weights=official_layout)
    load()
    original = keras.applications.VGG16(include_top=False, weights=str(official_layout))
    for name in VGG16_CONVOLUTIONS:
        assert np.array_equal(model.get_layer(name).get_weights()[0], original.get_layer(name).get_weights()[0])


@pytest.mark.long
@pytest.mark.parametrize("include_top", [True, False])
def test_a_file_serves_with_its_top_and_without(tmp_path, include_top):
    import keras

    original = keras.applications.MobileNet(weights=None, alpha=0.25, include_top=include_top)
    path = saved(tmp_path / "mobilenet.h5", original)
    model, load = built("MobileNet", alpha=0.25, weights=path)
    load()
    for name in ("conv1", "conv_pw_13", "conv_pw_13_bn"):
        pairs = list(zip(model.get_layer(name).get_weights(), original.get_layer(name).get_weights(), strict=True))
        assert pairs
        assert all(np.array_equal(a, b) for a, b in pairs)


def test_imagenet_weights_come_from_keras_cache_without_a_network(official_layout, tmp_path, monkeypatch):
    import keras
    from keras.src.utils import file_utils

    (tmp_path / "models").mkdir()
    shutil.copy(official_layout, tmp_path / "models" / IMAGENET_FILE)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", lambda *arguments: pytest.fail("the network was asked"))
    # Keras compares the file with the md5 of the real weights, which are not to be had offline.
    monkeypatch.setattr(file_utils, "validate_file", lambda *arguments, **options: True)
    model, load = built(weights="imagenet")
    load()
    original = keras.applications.VGG16(include_top=False, weights=str(official_layout))
    kernels = (one.get_layer("block1_conv1").kernel.numpy() for one in (model, original))
    assert np.array_equal(*kernels)


@pytest.mark.long
def test_with_imagenet_weights_a_network_computes_what_keras_does(tmp_path, monkeypatch):
    import keras
    from keras.src.utils import file_utils

    original = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3))
    # Its file has the means and variances of ImageNet, which the layer computes with copies of.
    original.get_layer("normalization").set_weights([np.full(3, 0.5), np.full(3, 0.25), np.array(0)])
    path = saved(tmp_path / "efficientnetb0_notop.h5", original)
    monkeypatch.setattr(file_utils, "get_file", lambda *arguments, **options: str(path))
    network = keras.applications.EfficientNetB0(include_top=False, input_shape=(32, 32, 3), pooling="avg")
    model, load = built("EfficientNetB0", weights="imagenet", pooling="avg", head=[])
    load()
    x = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    features = keras.Model(model.input, model.layers[-1].input)
    assert np.array_equal(features(x), network(x))
    assert not np.array_equal(features(x), original(x))


def test_imagenet_weights_that_are_not_to_be_had_name_file_folder_and_alternative(tmp_path, monkeypatch):
    from keras.src.utils import file_utils

    def no_network(*arguments):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", no_network)
    _, load = built("MobileNet", weights="imagenet", alpha=0.25)
    file = tmp_path / "models" / "mobilenet_2_5_224_tf_no_top.h5"
    with pytest.raises(ModelError, match=rf"MobileNet's .*{file} is missing.*URL fetch failure.*weights: null"):
        load()


def test_a_width_without_imagenet_weights_is_told_in_keras_words():
    _, load = built("MobileNet", weights="imagenet", alpha=0.3)
    with pytest.raises(ModelError, match=r"model.MobileNet: .*alpha can be one of"):
        load()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.h5", "none.h5: no such weights file"),
        ("weights.npz", "expected imagenet, the path of a .h5 file, or null"),
    ],
)
def test_a_file_that_cannot_have_the_weights_is_told_before_tensorflow_is_loaded(tmp_path, monkeypatch, name, words):
    (tmp_path / "weights.npz").touch()
    np.savez(tmp_path / "data.npz", x_train=np.zeros((4, 32, 32, 3), np.uint8), y_train=np.arange(4) % 2)
    file = tmp_path / "experiment.yaml"
    file.write_text(f"data: {{npz: {{path: data.npz}}}}\nmodel: {{VGG16: {{weights: {name}}}}}\n")
    monkeypatch.setattr(training, "start_device", lambda *arguments: pytest.fail("TensorFlow was started"))
    with pytest.raises((ModelError, ExperimentError), match=words):
        kerasrun.train(file, output=tmp_path)


@pytest.mark.long
def test_the_weights_of_another_network_are_refused(tmp_path):
    import keras

    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(path)
    without_names = tmp_path / "names.h5"
    with h5py.File(without_names, "w") as file:
        file.attrs["layer_names"] = 3
    for weights in (path, without_names):
        _, load = built("MobileNet", weights=weights, alpha=0.25)
        with pytest.raises(ModelError, match="not the weights of MobileNet"):
            load()


@pytest.mark.long
def test_a_run_goes_on_exactly_without_its_file_of_weights(tmp_path):
    import keras

    pixels = np.random.default_rng(1).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x_train=pixels, y_train=np.arange(24) % 2)
    saved(tmp_path / "weights.h5", keras.applications.MobileNet(weights=None, alpha=0.25, include_top=False))
    train_whole_and_cut(
        tmp_path,
        "data: {npz: {path: data.npz}}\n"
        "model: {MobileNet: {alpha: 0.25, weights: weights.h5, trainable: conv_dw_13, head: [], dropout: 0.2}}\n"
        "fit: {batch_size: 8, epochs: 3}\n",
    )
    whole, cut = (kerasrun.open_run(tmp_path / name / "run-1") for name in ("whole", "cut"))
    (tmp_path / "weights.h5").unlink()
    kerasrun.resume(cut)
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    weights = [keras.models.load_model(run.last_model, compile=False).get_weights() for run in (cut, whole)]
    assert weights[0]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_masks_are_refused_with_what_to_do():
    import keras

    inputs = keras.Input((32, 32, 3))
    network = KINDS["MobileNet"].model_validate({"weights": None})
    with pytest.raises(ModelError, match=r"the labels need one for each pixel.*layers"):
        network.build(inputs, Output(1, "sigmoid", per_pixel=True))


def test_every_network_of_the_imported_keras_is_known_with_its_arguments():
    import keras

    functions = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert set(application_names()) == functions
    assert len(functions) > 30
    for name in functions:
        known = inspect.signature(getattr(keras.applications, name)).parameters
        own = {one.name: one.plain_default for one in application(name).own}
        assert own.items() <= {key: parameter.default for key, parameter in known.items()}.items(), name
        rest = known.keys() - own.keys() - {"dropout", "dropout_rate"}
        assert rest == {
            *("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "name"),
            "classifier_activation",
        }, name
        assert KINDS[name].model_validate(own).kind == name


@pytest.mark.parametrize("name", application_names())
def test_the_least_size_and_the_preprocessing_are_keras(name):
    import keras

    known = application(name)
    with pytest.raises(ValueError, match=f"at least {known.least}x{known.least}"):
        getattr(keras.applications, name)(
            weights=None, include_top=False, input_shape=(known.least - 1, known.least - 1, 3)
        )
    pixels = np.full((1, 2, 2, 3), 200, np.float32)
    wanted = importlib.import_module(known.module).preprocess_input(pixels.copy())
    assert np.array_equal(wanted, pixels) == (known.preprocessing is None)


def test_the_layers_that_the_source_names_are_those_of_the_network():
    import keras

    assert {name for name in application_names() if application(name).layers} == {"VGG16", "VGG19"}
    layers = keras.applications.VGG16(include_top=False, weights=None).layers
    assert [layer.name for layer in layers][1:] == list(application("VGG16").layers)


def test_images_that_are_too_small_are_refused_with_both_sizes():
    with pytest.raises(ModelError, match=r"31×64 are too small for VGG16.*image_size"):
        built_vgg16((31, 64, 3))


def test_rows_of_numbers_are_refused():
    with pytest.raises(ModelError, match="takes images"):
        built_vgg16((784,))


def built_vgg16(shape):
    import keras

    return KINDS["VGG16"].model_validate(FIELDS["VGG16"]).build(keras.Input(shape), Output(10, "softmax"))
