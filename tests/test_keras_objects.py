import pytest

from kerasrun import keras_objects
from kerasrun.components import Component
from kerasrun.errors import ModelError

pytestmark = pytest.mark.tensorflow


def test_a_name_becomes_an_object():
    import keras

    assert isinstance(keras_objects.build("optimizers", Component("sgd")), keras.optimizers.SGD)
    assert isinstance(keras_objects.build("losses", Component("mse")), keras.losses.MeanSquaredError)


def test_components_among_the_arguments_are_built_first():
    import keras

    schedule = {"ExponentialDecay": {"initial_learning_rate": 0.5, "decay_steps": 10, "decay_rate": 0.9}}
    optimizer = keras_objects.build("optimizers", Component("SGD", {"learning_rate": schedule, "momentum": 0.9}))
    assert optimizer.get_config()["learning_rate"]["config"]["initial_learning_rate"] == 0.5
    layer = keras_objects.build(
        "layers",
        Component(
            "Dense",
            {
                "units": 3,
                "activation": "relu",
                "kernel_initializer": "he_normal",
                "kernel_regularizer": {"L2": {"l2": 0.5}},
                "kernel_constraint": "max_norm",
                "bias_initializer": None,
            },
        ),
    )
    assert isinstance(layer.kernel_initializer, keras.initializers.HeNormal)
    assert layer.kernel_regularizer.l2 == pytest.approx(0.5)
    assert isinstance(layer.kernel_constraint, keras.constraints.MaxNorm)
    assert layer.activation is keras.activations.relu


def test_layers_hold_layers():
    import keras

    wrapper = keras_objects.build("layers", Component("Bidirectional", {"layer": {"LSTM": {"units": 3}}}))
    assert isinstance(wrapper.forward_layer, keras.layers.LSTM)
    pipeline = keras_objects.build("layers", Component("Pipeline", {"layers": ["ReLU", {"Dense": {"units": 3}}]}))
    assert [type(layer).__name__ for layer in pipeline.layers] == ["ReLU", "Dense"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomTranslation", {"height_factor": [-0.1, 0.1], "width_factor": [0.0, 0.1]}),
        ("Conv2D", {"filters": 3, "kernel_size": [3, 3], "strides": [1, 2]}),
        ("Reshape", {"target_shape": [3, 4]}),
        ("Permute", {"dims": [2, 1]}),
        ("ZeroPadding2D", {"padding": [[1, 1], [0, 1]]}),
        ("Cropping2D", {"cropping": [[1, 1], [0, 1]]}),
        ("MaxPooling2D", {"pool_size": [2, 2]}),
        ("RandomZoom", {"height_factor": [-0.1, 0.1]}),
        ("LayerNormalization", {"axis": [-1]}),
        ("Normalization", {"mean": [0.1, 0.2], "variance": [1.0, 1.0]}),
    ],
)
def test_lists_are_what_keras_wants(name, arguments):
    assert keras_objects.build("layers", Component(name, arguments)).name


@pytest.mark.parametrize(
    ("family", "component", "words"),
    [
        ("layers", Component("Dense", {"units": -1}), "Dense: Received an invalid value for `units`"),
        ("layers", Component("Dense", {}), "Dense: 'units' is missing"),
        ("layers", Component("Dens", {}), "keras.layers has no 'Dens'"),
        ("layers", Component("Dense", {"units": 3, "kernel_initializer": {"Constnt": {}}}), "no 'Constnt'"),
        (
            "layers",
            Component("RandomZoom", {"height_factor": 0.1, "fill_mode": "no"}),
            "Unknown `fill_mode` no. Expected",
        ),
        ("callbacks", Component("ReduceLROnPlateau", {"factor": 2}), "does not support a factor >= 1.0"),
    ],
)
def test_what_keras_refuses_is_told_in_its_words(family, component, words):
    with pytest.raises(ModelError, match=words.replace("`", ".")):
        keras_objects.build(family, component)
