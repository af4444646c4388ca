import pytest
from pydantic import ValidationError

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.models._contract import Output
from kerasrun.models.layers import LayerEntry, Layers

TEN = Output(10, "softmax")


def network(*entries):
    return Layers.model_validate({"layers": list(entries)})


def built(entries, shape=(8, 8, 1), output=TEN):
    import keras

    keras.backend.clear_session()
    inputs = keras.Input(shape)
    return keras.Model(inputs, network(*entries).build(inputs, output))


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
