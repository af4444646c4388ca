"""A key in the wrong section, a name of an older Keras and a form of a tutorial are read, or the right one is said."""

import pytest

from kerasrun.components import Component
from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.schema import Compile, Experiment, Fit
from kerasrun.experiment.where import places_of

DATA = "data: {npz: {path: a.npz}}\n"


def problem(text):
    with pytest.raises(ExperimentError) as error:
        parse(text, "e.yaml")
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: LeNet\nepochs: 3", "e.yaml:3:1: epochs: unknown key 'epochs'; expected it as fit.epochs"),
        ("model: LeNet\nfit: {seed: 3}", "expected it as seed"),
        (
            "model: LeNet\ncompile: {optimizer: SGD, learning_rate: 1}",
            "expected it as compile.optimizer.SGD.learning_rate",
        ),
        ("model: LeNet\nfit: {callbacks: [TerminateOnNaN]}", "expected it as callbacks"),
        (
            "model: LeNet\nfit: {patience: 3}",
            "expected it as callbacks.EarlyStopping.patience or callbacks.ReduceLROnPlateau.patience",
        ),
        ("model: LeNet\ncheckpoint: {save_best_only: true}", "expected it as callbacks.ModelCheckpoint.save_best_only"),
        ("model: LeNet\ncheckpoint: {filepath: a.keras}", "expected it as callbacks.ModelCheckpoint.filepath"),
        ("layers: [Flatten]", "layers: unknown key 'layers'; expected it as model.layers"),
        ("units: [3]", "units: unknown key 'units'; expected it as model.MLP.units"),
        ("model: {MLP: {units: [3]}}\ndropout: 0.5", "expected it as model.MLP.dropout"),
        (
            "model: LeNet\ncompile: {optimizer: {learning_rate: 1}}",
            "the argument 'learning_rate' without its optimizer; expected {Adam: {learning_rate: …}}",
        ),
        ("model: {layers: [Flatten, {LeakyReLU: {alpha: 0.1}}]}", "did you mean 'negative_slope'?"),
        ("model: {layers: [{Embedding: {input_dim: 3, output_dim: 3, input_length: 3}}]}", "the data decide the shape"),
        ("model: LeNet\ncallbacks: [{TensorBoard: {write_grads: true}}]", "Keras 3 writes no gradients"),
        ("model: {layers: [{MaxPooling2D: (2, 2)}]}", "expected several numbers in brackets: [3, 3]"),
        ("model: LeNet\nfit: {metrics: [accuracy]}", "expected it as compile.metrics"),
        ("model: LeNet\nfit: {shuffle: true}", "it is not needed"),
        ("model: LeNet\nfit: {initial_epoch: 3}", "kerasrun resume"),
        ("model: LeNet\nfit: {nb_epoch: 3}", "did you mean 'epochs'?"),
        ("model: LeNet\nfit: {workers: 3}", "it is not needed"),
        ("model: LeNet\nfit: {validation_batch_size: 3}", "it is not needed"),
        ("model: LeNet\ncompile: {weighted_metrics: [accuracy]}", "it is not needed"),
        ("model: LeNet\ncompile: {run_eagerly: true}", "it is not needed"),
        ("model: LeNet\ncompile: {steps_per_execution: 3}", "it is not needed"),
        ("model: LeNet\ncompile: {optimizer: {name: Adam, learning_rate: 1}}", "{Adam: {learning_rate: …}}"),
        ("model: {layers: [Flatten, {Dense: {output_dim: 3}}]}", "did you mean 'units'?"),
        ("model: {layers: [Flatten, {Dense: {units: 3, init: zeros}}]}", "did you mean 'kernel_initializer'?"),
        ("model: {layers: [{Conv2D: {filters: 3, kernel_size: 3, border_mode: same}}]}", "did you mean 'padding'?"),
        ("model: LeNet\ncallbacks: [{ReduceLROnPlateau: {epsilon: 0.1}}]", "did you mean 'min_delta'?"),
        (
            "model: {layers: [{Conv2D: {filters: 3, kernel_size: (3, 3)}}]}",
            "expected several numbers in brackets: [3, 3]",
        ),
        ("model: LeNet\ncompile: {optimizer: AdamOptimizer}", "did you mean 'Adam'?"),
        (
            "model: LeNet\ncompile: {loss: CrossEntropyLoss}",
            "expected none: without 'loss', the cross-entropy that fits",
        ),
        ("model: LeNet\ncompile: {loss: cross_entropy}", "expected none: without 'loss', the cross-entropy that fits"),
        ("model: LeNet\ncompile: {metrics: accuracy}", "expected a list: [accuracy]"),
        ("model: LeNet\ncompile: {optimizer: {SGD: {momentum: 9}}}", "expected a share from 0 to 1"),
        ("model: LeNet\ncallbacks: EarlyStopping", "expected a list: [EarlyStopping]"),
        ("model: LeNet\naugmentation: [{RandomFlip: {mode: horisontal}}]", "did you mean 'horizontal'?"),
        ("model: LeNet\ndevice: cuda", "did you mean 'gpu'?"),
        ("model: LeNet\nprecision: fp16", "did you mean 'mixed_float16'?"),
        ("model: LeNet\nfit: {epochs:3}", "expected a blank behind the ':': epochs: 3"),
        ("model: LeNet\nfit:{epochs: 3}", "expected a blank behind the ':': fit: {epochs"),
        ("model: Sequential", "did you mean 'layers'?"),
        ("model: [Flatten, {Dense: {units: 4}}]", "expected them as layers: {layers: [...]}"),
        ("model: {VGG16: {weights: image_net}}", "expected imagenet, the path of a .h5 file, or null"),
        ("model: LeNet\npreprocessing: [{Rescaling: {scale: 1./255}}]", "did you mean '0.00392156862745098'?"),
    ],
)
def test_what_belongs_elsewhere_or_is_called_otherwise_is_said(text, words):
    assert words in problem(DATA + text)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("data: mnist", "expected {keras_dataset: {name: mnist}}"),
        ("data: {cifar10: {}}", "expected {keras_dataset: {name: cifar10}}"),
        ("data: {folder: {path: photos}}", "did you mean 'directory'?"),
        ("data: {npz: {file: a.npz}}", "did you mean 'path'?"),
        ("data: {csv: {path: a.csv}}", "did you mean 'train'?"),
        ("data: {directory: {path: ., class_mode: categorical}}", "labels take the form that the loss"),
        ("data: {path: photos}", "the key 'path' without the kind; expected {directory: {path: …}}"),
        (
            "data: {path: photos, color_mode: rgb}",
            "the keys 'path' and 'color_mode' without the kind; expected {directory: {path: …, color_mode: …}}",
        ),
        (
            "data: {train: a.csv, label: y}",
            "expected {csv: {train: …, label: …}}, {",  # and others, more as sources are added
        ),
        ("data: {directory: {path: ., image_size: (64, 64)}}", "expected several numbers in brackets: [64, 64]"),
        ("data: {directory: {path: ., image_size: 64x64}}", "expected [height, width], such as [64, 64]"),
        ("data: {directory: {path: ., image_size: [64, 64, 3]}}", "expected [height, width], such as [64, 64]"),
        ("data: {directory: {path: ., image_size: [64]}}", "received a list; expected [height, width]"),
        ("data: {directory: {path: .}, shuffle: true}", "it is not needed"),
        ("data: {directory: {path: .}, image_size: 3}", "expected the keys of 'directory' below it"),
    ],
)
def test_a_key_of_the_data_without_its_kind_is_said(data, words):
    assert words in problem(f"{data}\nmodel: LeNet\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("compile: {optimizer: {SGD: {learning_rate: -0.001}}}", "received -0.001; expected a number of at least 0"),
        ("compile: {optimizer: {SGD: {learning_rate: .nan}}}", "expected a finite number"),
        ("compile: {optimizer: {SGD: {momentum: .inf}}}", "expected a finite number"),
        ("compile: {optimizer: {Adam: {clipnorm: -1}}}", "expected a number of at least 0"),
        ("fit: {batch_size: 1_6}", "received 1_6; expected a number without leading zeros"),
        ("seed: 08", "received 08; expected a number without leading zeros"),
        ("augmentation: [{Dropout: {rate: 50}}]", "expected a share from 0 to 1"),
        ("preprocessing: [{Dense: {units: 2.5}}]", "expected a whole number of at least 1"),
        ("preprocessing: [{Embedding: {input_dim: 0, output_dim: 2}}]", "expected a whole number of at least 1"),
        ("preprocessing: [{RepeatVector: {n: 0}}]", "expected a whole number of at least 1"),
        ("preprocessing: [{MaxPooling2D: {pool_size: [2, 0]}}]", "pool_size.1: received 0; expected a whole number"),
        ("preprocessing: [{LSTM: {units: 2, dropout: 5}}]", "expected a share from 0 to 1"),
        ("preprocessing: [{BatchNormalization: {momentum: 1.5}}]", "expected a share from 0 to 1"),
        ("augmentation: [{RandomRotation: {factor: [-15, 15]}}]", "expected a share from -1 to 1"),
    ],
)
def test_a_number_without_a_meaning_is_refused(text, words):
    assert words in problem(f"{DATA}model: LeNet\n{text}\n")


def test_thousands_may_be_divided():
    assert parse(f"{DATA}model: LeNet\nfit: {{batch_size: 1_024}}", "e.yaml").experiment.fit.batch_size == 1024


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{Dropout: 0.5}", Component("Dropout", {"rate": 0.5})),
        ("{Dense: 400}", Component("Dense", {"units": 400})),
        ("{Activation: relu}", Component("Activation", {"activation": "relu"})),
        ("{Reshape: [4, 4, 1]}", Component("Reshape", {"target_shape": [4, 4, 1]})),
        ("Dense(64)", Component("Dense", {"units": 64})),
        ("\"layers.Dense(64, activation='relu')\"", Component("Dense", {"units": 64, "activation": "relu"})),
        (
            "\"Conv2D(3, (3, 3), padding='same')\"",
            Component("Conv2D", {"filters": 3, "kernel_size": [3, 3], "padding": "same"}),
        ),
    ],
)
def test_a_form_of_tutorials_is_read_where_its_meaning_is_certain(written, meant):
    text = f"{DATA}model:\n  layers:\n    - {written}\n"
    assert parse(text, "e.yaml").experiment.model.layers[0].component == meant


def test_a_pair_in_round_brackets_is_a_list():
    text = f"{DATA}model:\n  layers:\n    - Conv2D:\n        filters: 3\n        kernel_size: (3, 5)\n"
    assert parse(text, "e.yaml").experiment.model.layers[0].component.arguments["kernel_size"] == [3, 5]


@pytest.mark.parametrize(("written", "size"), [("64", (64, 64)), ("[32, 48]", (32, 48))])
def test_an_image_size_is_one_number_or_two(written, size):
    data = f"data: {{directory: {{path: ., image_size: {written}}}}}\nmodel: LeNet\n"
    assert parse(data, "e.yaml").experiment.data.image_size == size


def test_every_key_of_the_sections_is_found():
    assert places_of("epochs") == ["fit.epochs", "checkpoint.epochs"]
    for name, section in (("fit", Fit), ("compile", Compile)):
        assert all(f"{name}.{key}" in places_of(key) for key in section.model_fields)
    assert all(key in places_of(key) for key in Experiment.model_fields)


def test_a_choice_that_only_some_layers_share_is_not_forced_upon_others():
    layers = "[{STFTSpectrogram: {mode: magnitude}}, Flatten]"
    assert parse(f"{DATA}model: {{layers: {layers}}}", "e.yaml").experiment.model.layers
