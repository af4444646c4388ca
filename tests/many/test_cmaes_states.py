import pickle
import struct

import cmaes
import numpy as np
import pytest

from kerasrun.many.cmaes_states import pickled_again

BOUNDS = np.array([[0.0, 1.0], [0.0, 1.0]])
CLASSES = {
    "cma:": lambda: cmaes.CMA(np.full(2, 0.5), 0.1, bounds=BOUNDS, seed=1, lr_adapt=True),
    "sepcma:": lambda: cmaes.SepCMA(np.full(2, 0.5), 0.1, bounds=BOUNDS, seed=1),
    "cmawm:": lambda: cmaes.CMAwM(np.full(2, 0.5), 0.1, bounds=BOUNDS, steps=np.array([0, 0.1]), seed=1),
}


def asked(optimizer):
    point = optimizer.ask()
    return point[1] if isinstance(point, tuple) else point


def grown(optimizer, generations=3):
    for _ in range(generations):
        points = [asked(optimizer) for _ in range(optimizer.population_size)]
        optimizer.tell([(point, float(point @ point)) for point in points])
    return optimizer


def parts(prefix, content, size=500):
    text = content.hex()
    return {f"{prefix}optimizer:{i // size}": text[i : i + size] for i in range(0, len(text), size)}


def restored(attributes, prefix):
    """What Optuna does."""
    found = {key: value for key, value in attributes.items() if key.startswith(f"{prefix}optimizer")}
    return pickle.loads(bytes.fromhex("".join(found[f"{prefix}optimizer:{i}"] for i in range(len(found)))))


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("prefix", CLASSES)
def test_a_state_goes_on_exactly_as_it_was(prefix, protocol):
    before = pickle.dumps(grown(CLASSES[prefix]()), protocol)
    attributes = {f"{prefix}generation": 3, **parts(prefix, before)}
    assert len(attributes) > 3
    after = pickled_again(attributes)
    assert after[f"{prefix}generation"] == 3
    points = []
    for optimizer in (pickle.loads(before), restored(after, prefix)):
        (optimizer._cma if prefix == "cmawm:" else optimizer)._rng.seed(7)
        points.append([asked(grown(optimizer)).tolist() for _ in range(5)])
    assert points[0] == points[1]


def test_a_trial_without_a_state_stays_as_it_is():
    assert pickled_again({"x_for_tell": [1.0]}) == {"x_for_tell": [1.0]}


def stranger(**changes):
    optimizer = CLASSES["cma:"]()
    vars(optimizer).update(changes)
    return pickle.dumps(optimizer, 4)


def number(value):
    return b"J" + struct.pack("<i", value)


STATE = b"(" + number(3) + b"U\x01|NNN" + number(-1) + number(-1) + number(0) + b"t"
OBJECT = b"cnumpy\ndtype\n(U\x01O" + number(0) + number(1) + b"tR" + STATE + b"b"
POINTER = b"\x80\x03cnumpy._core.multiarray\nscalar\n(" + OBJECT + b"C\x08AAAAAAAAtR."
"""NumPy would take these eight letters for the address of an object."""


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (parts("cma:", POINTER), "calls numpy.dtype"),
        (parts("cma:", pickle.dumps(print)), "holds builtins.print"),
        (parts("cma:", pickle.dumps(3)), "is no state of CmaEs"),
        (parts("cma:", pickle.dumps(np.zeros(3), 4)), "is no state of CmaEs"),
        (parts("cma:", stranger(_n_max_resampling=10**9)), "_n_max_resampling is 1000000000; expected at most 100,000"),
        (parts("cma:", stranger(_mean=[1.0])), "'_mean' is no attribute"),
        (parts("cma:", stranger(_mean=CLASSES["sepcma:"]())), "'_mean' is no attribute"),
        (parts("cma:", stranger(_cma=grown(CLASSES["cma:"]()), _n_dim="2")), "'_n_dim' is no attribute"),
        ({"cma:optimizer:1": ""}, "is not whole"),
        ({"cma:optimizer:0": "", "cma:optimizer": ""}, "is not whole"),
        ({"cma:optimizer:0": "", "sepcma:optimizer:1": ""}, "is not whole"),
        ({"cma:optimizer:0": 3}, "is not whole"),
        ({"cma:optimizer:0": "zz"}, "non-hexadecimal"),
    ],
)
def test_what_is_no_state_is_refused(attributes, words):
    with pytest.raises(ValueError, match=words):
        pickled_again(attributes)
