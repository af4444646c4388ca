import importlib
import inspect

import pytest

from kerasrun import keras_catalogue
from kerasrun.keras_catalogue import (
    FAMILIES,
    canonical,
    direction,
    family_of_argument,
    identifiers,
    names,
    signature,
    tensors,
)


def arguments(family, name):
    return [parameter.name for parameter in signature(family, name).parameters]


def test_every_family_has_names():
    assert all(names(family) for family in FAMILIES)


@pytest.mark.parametrize(
    ("family", "written", "name"),
    [
        ("optimizers", "adam", "Adam"),
        ("optimizers", "sgd", "SGD"),
        ("optimizers", "RmsProp", "RMSprop"),
        ("losses", "mse", "MeanSquaredError"),
        ("losses", "categorical_crossentropy", "CategoricalCrossentropy"),
        ("losses", "kl_divergence", "KLDivergence"),
        ("metrics", "auc", "AUC"),
        ("metrics", "accuracy", "accuracy"),
        ("metrics", "Accuracy", "Accuracy"),
        ("metrics", "ce", "ce"),
        ("initializers", "he_normal", "HeNormal"),
        ("initializers", "zero", "Zeros"),
        ("regularizers", "l2", "L2"),
        ("regularizers", "l1_l2", "L1L2"),
        ("constraints", "max_norm", "MaxNorm"),
        ("activations", "swish", "silu"),
        ("layers", "MaxPool2D", "MaxPooling2D"),
        ("layers", "GroupQueryAttention", "GroupQueryAttention"),
        ("schedules", "CosineDecay", "CosineDecay"),
    ],
)
def test_every_spelling_of_keras_leads_to_the_class(family, written, name):
    assert canonical(family, written) == name


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        canonical("optimizers", "Admm")


def test_arguments_that_are_passed_on_come_from_the_base_class():
    assert arguments("layers", "Dense")[:2] == ["units", "activation"]
    assert {"name", "dtype", "trainable", "activity_regularizer"} <= set(arguments("layers", "Dense"))
    assert "clipnorm" in arguments("optimizers", "Adam")


def test_arguments_that_the_class_sets_itself_are_not_offered():
    assert "cell" not in arguments("layers", "LSTM")
    assert "rank" not in arguments("layers", "Conv2D")
    assert "input_shape" not in arguments("layers", "Dense")


def test_required_arguments_and_defaults_are_known():
    known = signature("layers", "Conv2D")
    assert [parameter.name for parameter in known.parameters if parameter.required] == ["filters", "kernel_size"]
    assert known.default("padding") == "valid"
    assert signature("callbacks", "EarlyStopping").default("monitor") == "val_loss"


def test_the_direction_of_a_metric_is_known_where_keras_knows_it():
    assert (direction("accuracy"), direction("mse"), direction("AUC")) == ("up", "down", "up")
    assert direction("FalsePositives") is None


def test_nested_objects_are_found_by_the_argument_that_takes_them():
    assert family_of_argument("optimizers", "learning_rate") == "schedules"
    assert family_of_argument("layers", "kernel_initializer") == "initializers"
    assert family_of_argument("layers", "recurrent_activation") == "activations"
    assert family_of_argument("layers", "units") is None


@pytest.mark.tensorflow
def test_layers_of_several_tensors_are_known_by_their_signature():
    import keras

    several = {name for name in names("layers") if len(tensors(name)) > 1 and not name.endswith(("Cell", "Cells"))}
    assert several == {"GroupQueryAttention", "MultiHeadAttention"}
    for name in several:
        known = list(inspect.signature(getattr(keras.layers, name).call).parameters)
        assert tuple(known[1:3]) == tensors(name)


def in_keras(family, name):
    return getattr(importlib.import_module(FAMILIES[family]), name)


def constructors(cls):
    return [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base) and base is not object]


def explicit(function):
    return {
        parameter.name: parameter.default is inspect.Parameter.empty
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    }


@pytest.mark.tensorflow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "activations"])
def test_every_class_of_the_imported_keras_is_known_with_its_arguments(family):
    module = importlib.import_module(FAMILIES[family])
    classes = {value for value in vars(module).values() if inspect.isclass(value)}
    assert {in_keras(family, name) for name in names(family)} == classes
    for name in names(family):
        known = {parameter.name: parameter.required for parameter in signature(family, name).parameters}
        own, *bases = constructors(in_keras(family, name)) or [object.__init__]
        if own is object.__init__:
            assert known == {}, name
            continue
        assert explicit(own).items() <= known.items(), name
        beyond = {argument for base in bases for argument in explicit(base)} | {"implementation", "rms_scaling"}
        if any(parameter.kind == parameter.VAR_KEYWORD for parameter in inspect.signature(own).parameters.values()):
            assert known.keys() - explicit(own).keys() <= beyond | {"dynamic"}, name
        else:
            assert known == explicit(own), name


@pytest.mark.tensorflow
def test_every_layer_that_passes_arguments_on_takes_those_of_all_layers():
    import keras

    common = {"name", "dtype", "trainable"}
    passing = {
        name
        for name in names("layers")
        if "kwargs" in inspect.signature(getattr(keras.layers, name).__init__).parameters
        and not common <= set(arguments("layers", name))
    }
    # These take `**kwargs` and drop, or refuse, what is in them.
    assert passing == {"HashedCrossing", "InputLayer", "IntegerLookup", "StringLookup"}


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if family not in ("schedules", "callbacks", "layers")]
)
def test_every_text_that_keras_accepts_leads_to_the_same_object(family):
    registered = importlib.import_module(FAMILIES[family].replace("keras.", "keras.src.", 1)).ALL_OBJECTS_DICT
    not_public = {"LossFunctionWrapper"}
    accepted = {text: value for text, value in registered.items() if value.__name__ not in not_public}
    assert accepted
    for text, value in accepted.items():
        if family == "metrics" and text in keras_catalogue.METRIC_WORDS:
            continue
        found = in_keras(family, canonical(family, text))
        assert found is value or found.__name__.lower() == value.__name__.replace("_", "").lower(), text


@pytest.mark.tensorflow
def test_the_directions_are_those_of_the_imported_metrics():
    import keras

    for name in (
        "Accuracy",
        "AUC",
        "MeanSquaredError",
        "CategoricalCrossentropy",
        "TruePositives",
        "R2Score",
        "Recall",
    ):
        assert direction(name) == getattr(getattr(keras.metrics, name)(), "_direction", None), name


def test_the_catalogue_offers_no_function_as_a_layer():
    assert "add" not in identifiers("layers")
