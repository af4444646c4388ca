"""What is found in Keras's source to be refused, Keras itself refuses; nothing else is."""

import random

import pytest

from kerasrun.experiment.refused import refusal
from kerasrun.keras_catalogue import FAMILIES, family_of_argument, names, refused_by_keras, signature
from tests.seeds import moved

# What a class needs, so that each of its other arguments can be tried.
NEEDED = {
    **{"units": 4, "filters": 4, "kernel_size": 3, "rate": 0.5, "factor": 0.1, "height": 4, "width": 4, "size": 2},
    **{"pool_size": 2, "input_dim": 5, "output_dim": 3, "dims": (2, 1), "target_shape": (4,), "n": 2, "axes": 1},
    **{"num_heads": 2, "key_dim": 4, "groups": 1, "scale": 2.0, "stddev": 0.1, "num_bins": 4, "num_tokens": 4},
    **{"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "first_decay_steps": 10},
    **{"boundaries": [10, 20], "values": [1.0, 0.5, 0.1], "filepath": "a.keras", "schedule": lambda epoch, rate: rate},
    **{"filename": "a.csv", "specificity": 0.5, "precision": 0.5, "sensitivity": 0.5, "recall": 0.5, "num_classes": 3},
    **{"target_class_ids": [0], "height_factor": 0.1, "width_factor": 0.1, "value_range": (0, 1), "gain": 1.0},
    **{"num_query_heads": 2, "num_key_value_heads": 2, "head_dim": 4, "equation": "ab,bc->ac", "output_shape": 4},
    **{"alpha": 0.5, "x_factor": 0.1, "cropping": 1, "padding": 1, "bin_boundaries": [1.0], "mode": "l1"},
}
FIRST = {"CategoryEncoding": {"num_tokens": 4}, "Discretization": {"bin_boundaries": [1.0]}}
VALUES = (
    "abc",
    "1,0",
    "same",
    "",
    -1,
    0,
    1,
    2,
    0.5,
    -0.5,
    1e9,
    float("nan"),
    True,
    [1, 2],
    [],
    [-1],
    ["a"],
    {},
    {"a": 1},
)


def possible(family, name):
    """What the class is made with, or None where that is not known here."""
    known = signature(family, name).parameters
    if refusal(family, name, "compile") or any(one.required and one.name not in NEEDED for one in known):
        return None
    return {one.name: NEEDED[one.name] for one in known if one.required} | FIRST.get(name, {})


def cases():
    for family in FAMILIES:
        for name in names(family) if family != "activations" else ():
            needed = possible(family, name)
            for parameter in signature(family, name).parameters if needed is not None else ():
                if family_of_argument(family, parameter.name) is None:
                    for value in VALUES:
                        yield family, name, {**needed, parameter.name: value}


def test_what_a_class_needs_and_its_defaults_are_never_refused():
    tried = [(f, name) for f in FAMILIES if f != "activations" for name in names(f) if possible(f, name) is not None]
    assert len(tried) > 200
    assert [one for one in tried if refused_by_keras(*one, possible(*one))] == []


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_keras_refuses_what_its_source_says():
    import keras

    refused, wrong = 0, []
    for family, name, arguments in random.Random(moved(1)).sample(list(cases()), 4000):
        if (found := refused_by_keras(family, name, arguments)) is None:
            continue
        refused += 1
        module = keras.optimizers.schedules if family == "schedules" else getattr(keras, family)
        try:
            getattr(module, name)(**arguments)
        except Exception:  # noqa: BLE001  whatever it raises
            continue
        wrong.append((name, arguments, str(found)))
    assert refused > 500
    assert wrong == []
