from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.models.layers import LayerEntry, Layers
from kerasrun.tasks.base import Output

FIELDS = {"layers": {"layers": [{"Conv2D": {"filters": 2, "kernel_size": 3}}, "GlobalAveragePooling2D"]}}
DATA = Path(__file__).parents[2] / "data"

TEN = Output(10, "softmax")


def short_experiment(folder):
    return f"""
data: {{hdf5: {{path: {DATA}/digits/digits.h5, limit: 60}}}}
model: {{layers: [Flatten, {{Dense: {{units: 8, use_bias: false}}}}, BatchNormalization, ReLU]}}
"""


def network(*entries):
    return Layers.model_validate({"layers": list(entries)})


def built(entries, shape=(8, 8, 1), output=TEN):
    import keras

    keras.backend.clear_session()
    inputs = keras.Input(shape)
    return keras.Model(inputs, network(*entries).build(inputs, output))


def joined(entries, outputs, shape=(4,)):
    import keras

    keras.backend.clear_session()
    inputs = keras.Input(shape)
    layers = Layers.model_validate({"layers": entries, "outputs": outputs})
    return keras.Model(inputs, layers.build(inputs, TEN))


def test_an_entry_has_a_name_and_inputs_beside_its_arguments():
    entry = network({"Add": {"name": "sum", "inputs": ["a", "input"], "dtype": "float32"}}).layers[0]
    assert entry == LayerEntry(Component("Add", {"dtype": "float32"}), "sum", ("a", "input"))
    assert entry.arguments == {"dtype": "float32", "name": "sum", "inputs": ["a", "input"]}


@pytest.mark.parametrize(
    "entry", [3, {"Dense": 3}, {"Dense": {"name": 3}}, {"Add": {"inputs": "a"}}, {"Add": {"inputs": []}}]
)
def test_an_entry_of_another_form_is_refused(entry):
    with pytest.raises(ValidationError):
        network(entry)


def test_no_layers_are_no_network():
    with pytest.raises(ValidationError):
        network()


@pytest.mark.tensorflow
def test_layers_follow_each_other_and_end_in_the_output_that_is_needed():
    model = built([{"Conv2D": {"filters": 4, "kernel_size": 3, "name": "c"}}, "ReLU"])
    assert [type(layer).__name__ for layer in model.layers][1:] == ["Conv2D", "ReLU", "Flatten", "Dense"]
    assert model.layers[1].name == "c"
    assert model.output.shape == (None, 10)
    assert model.layers[-1].name == "output"
    assert model.layers[-1].get_config()["activation"] == "softmax"


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "last",
    [
        {"Dense": {"units": 3, "activation": "softmax"}},
        {"Dense": {"units": 10}},
        {"Activation": {"activation": "sigmoid"}},
        "Softmax",
    ],
)
def test_an_output_layer_of_the_users_own_stays(last):
    model = built(["Flatten", last])
    assert type(model.layers[-1]).__name__ == (last if isinstance(last, str) else next(iter(last)))


@pytest.mark.tensorflow
def test_a_layer_applied_again_has_the_same_weights():
    model = built(
        [
            {"Cropping1D": {"cropping": [0, 1], "name": "left"}},
            {"Cropping1D": {"cropping": [1, 0], "name": "right", "inputs": ["input"]}},
            {"Dense": {"units": 4, "name": "code", "inputs": ["left"]}},
            {"code": {"inputs": ["right"], "name": "right_code"}},
            {"right_code": {"inputs": ["left"], "name": "left_code"}},
            {"Subtract": {"inputs": ["left_code", "right_code"]}},
        ],
        shape=(2, 3),
    )
    assert [layer.name for layer in model.layers].count("code") == 1
    assert model.get_layer("code").count_params() == 4 * 3 + 4
    alike = np.ones((1, 2, 3), np.float32)
    difference = type(model)(model.input, model.get_layer("subtract").output)
    assert not difference(alike).numpy().any()
    assert difference(np.arange(6, dtype=np.float32).reshape(1, 2, 3)).numpy().any()


def test_an_output_is_the_layer_that_is_applied_again():
    entries = [{"Dense": {"units": 2, "name": "a"}}, {"a": {"name": "b"}}, {"b": {"name": "c"}}]
    layers = Layers.model_validate({"layers": entries, "outputs": ["a", "c"]})
    assert layers.several_outputs == dict.fromkeys(["a", "c"], Component("Dense", {"units": 2}))


@pytest.mark.tensorflow
def test_several_outputs_stand_side_by_side_in_their_order():
    entries = [{"Dense": {"units": 2, "name": "b"}}, {"Dense": {"units": 3, "name": "a", "inputs": ["input"]}}]
    model = joined(entries, ["a", "b"])
    assert model.output.shape == (None, 5)
    assert [tensor.shape[-1] for tensor in model.get_layer("output").input] == [3, 2]
    assert model.output.dtype == "float32"


@pytest.mark.tensorflow
def test_an_output_that_is_no_row_is_refused():
    entries = [
        {"Flatten": {"name": "a"}},
        {"Conv2D": {"filters": 2, "kernel_size": 3, "name": "b", "inputs": ["input"]}},
    ]
    with pytest.raises(ModelError, match=r"the output 'b' has the shape \(6, 6, 2\) for each example.*Flatten"):
        joined(entries, ["a", "b"], (8, 8, 1))


@pytest.mark.tensorflow
def test_inputs_make_a_graph():
    model = built(
        [
            {"Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same", "name": "a"}},
            {"Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same", "name": "b", "inputs": ["input"]}},
            {"Concatenate": {"inputs": ["a", "b"], "name": "joined"}},
            {"Flatten": {"inputs": ["joined"]}},
        ]
    )
    assert model.get_layer("joined").output.shape == (None, 8, 8, 8)


def convolution(filters, **graph):
    return {"Conv2D": {"filters": filters, "kernel_size": 3, "padding": "same", "activation": "relu", **graph}}


@pytest.mark.tensorflow
def test_a_u_net_with_its_skips_keeps_the_size_of_the_image():
    model = built(
        [
            convolution(4, name="fine"),
            "MaxPooling2D",
            convolution(8, name="coarse"),
            "MaxPooling2D",
            convolution(16),
            {"Conv2DTranspose": {"filters": 8, "kernel_size": 2, "strides": 2, "name": "up1"}},
            {"Concatenate": {"inputs": ["coarse", "up1"], "name": "skip1"}},
            convolution(8),
            {"UpSampling2D": {"size": 2, "interpolation": "bilinear", "name": "up2"}},
            {"Concatenate": {"inputs": ["fine", "up2"], "name": "skip2"}},
            convolution(4),
        ],
        shape=(16, 12, 3),
        output=Output(3, "softmax", per_pixel=True),
    )
    assert model.output.shape == (None, 16, 12, 3)
    assert model.get_layer("skip1").output.shape == (None, 8, 6, 16)
    assert model.get_layer("skip2").output.shape == (None, 16, 12, 12)
    assert model.layers[-1].kernel_size == (1, 1)


@pytest.mark.tensorflow
@pytest.mark.parametrize("inputs", [["words", "words"], ["words", "words", "words"]])
def test_attention_takes_its_inputs_one_by_one(inputs):
    model = built(
        [
            {"Embedding": {"input_dim": 20, "output_dim": 6, "name": "words"}},
            {"MultiHeadAttention": {"num_heads": 2, "key_dim": 3, "inputs": inputs, "name": "attention"}},
            {"Add": {"inputs": ["words", "attention"]}},
            "LayerNormalization",
        ],
        shape=(5,),
    )
    assert model.get_layer("attention").output.shape == (None, 5, 6)


@pytest.mark.tensorflow
def test_initializers_regularizers_and_constraints_are_components_like_layers():
    arguments = {
        "units": 4,
        "kernel_initializer": {"TruncatedNormal": {"stddev": 0.02}},
        "bias_initializer": "ones",
        "kernel_regularizer": {"L1L2": {"l1": 0.25, "l2": 0.5}},
        "kernel_constraint": {"MaxNorm": {"max_value": 3}},
    }
    layer = built(["Flatten", {"Dense": arguments}]).layers[-2]
    assert layer.kernel_initializer.stddev == 0.02
    assert layer.bias.numpy().tolist() == [1, 1, 1, 1]
    assert layer.kernel_regularizer.l1 == 0.25
    assert layer.kernel_constraint.max_value == 3


@pytest.mark.tensorflow
def test_layers_that_change_shapes_follow_each_other():
    model = built(
        [
            {"Resizing": {"height": 16, "width": 16}},
            {"Conv2D": {"filters": 4, "kernel_size": 3, "use_bias": False}},
            "BatchNormalization",
            {"Reshape": {"target_shape": [14, 56]}},
            {"Bidirectional": {"layer": {"LSTM": {"units": 3, "return_sequences": True}}}},
            {"TimeDistributed": {"layer": {"Dense": {"units": 2}}}},
        ]
    )
    assert [layer.output.shape[1:] for layer in model.layers[1:7]] == [
        *((16, 16, 1), (14, 14, 4), (14, 14, 4), (14, 56), (14, 6), (14, 2)),
    ]


@pytest.mark.tensorflow
def test_a_layer_that_does_not_fit_is_told_with_its_place_and_keras_sentence():
    with pytest.raises(ModelError, match=r"layer 2 of the model \(big\): Conv2D .* the shape \(4, 4, 2\): .*negative"):
        built(
            [
                {"Conv2D": {"filters": 2, "kernel_size": 5}},
                {"Conv2D": {"filters": 2, "kernel_size": 7, "name": "big"}},
            ]
        )


@pytest.mark.tensorflow
def test_arguments_that_keras_refuses_are_told_with_the_layer():
    with pytest.raises(ModelError, match=r"layer 1 of the model: Dense: .*units"):
        built([{"Dense": {"units": -1}}])


@pytest.mark.tensorflow
def test_an_input_that_no_layer_has_is_told():
    with pytest.raises(ModelError, match=r"layer 1 of the model: Add: no earlier layer is called 'x'; there are input"):
        built([{"Add": {"inputs": ["x", "input"]}}])


@pytest.mark.tensorflow
def test_the_reason_of_a_layer_that_does_not_fit_is_told():
    with pytest.raises(ModelError, match=r"Reshape cannot be applied to the shape \(8, 8, 1\): The total size of the"):
        built([{"Reshape": {"target_shape": [5, 5]}}])
