"""The training state is restored whole or not at all."""

import h5py
import numpy as np
import pytest

from kerasrun.engine import state
from kerasrun.errors import CheckpointError
from tests.grids import rest_is_long
from tests.reading.test_hdf5 import ELSEWHERE

pytestmark = pytest.mark.tensorflow


def model(units=3):
    import keras

    keras.utils.clear_session()
    inputs = keras.Input((4,))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Dense(units)(inputs)))
    built = keras.Model(inputs, x)
    built.compile("adam", "mse", metrics=[keras.metrics.MeanAbsoluteError(name="mae")])
    built.fit(np.ones((8, 4)), np.ones((8, units)), verbose=0)
    return built


def test_everything_comes_back_from_the_file(tmp_path):
    trained, fresh = model(), model()
    (tmp_path / "state.h5").write_bytes(state.to_hdf5(state.model_arrays(trained)))
    state.restore_model(fresh, state.from_hdf5(tmp_path / "state.h5"))
    before, after = state.model_arrays(trained), state.model_arrays(fresh)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_it_takes_nothing_from_other_files(tmp_path, kind):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros((6, 4), np.uint8)
    with h5py.File(tmp_path / "state.h5", "w") as file:
        kind(file, "model/0000/kernel", str(tmp_path / "other.h5"))
    with pytest.raises(CheckpointError, match=r"state\.h5 cannot be read: model/0000/kernel.*: it"):
        state.from_hdf5(tmp_path / "state.h5")


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_file_is_told_by_its_name(tmp_path, content):
    whole = state.to_hdf5({"model/0000/kernel": np.zeros(9)})
    (tmp_path / "state.h5").write_bytes(whole[:-9] if content is None else content)
    with pytest.raises(CheckpointError, match=r"state\.h5 cannot be read"):
        state.from_hdf5(tmp_path / "state.h5")


@pytest.mark.parametrize("name", ["model/0000/kernel", "model", "model/0000"])
def test_what_no_checkpoint_holds_is_told_by_its_name(tmp_path, name):
    texts = (b"x", np.array([b"x"]), np.zeros(2, [("a", "f4")]), np.ones(2, complex), h5py.Empty("f"))
    for value in texts if name.endswith("kernel") else [np.zeros(3)]:
        with h5py.File(tmp_path / "state.h5", "w") as file:
            file[name] = value
        with pytest.raises(CheckpointError, match=rf"state\.h5 cannot be read: {name} "):
            state.from_hdf5(tmp_path / "state.h5")


def test_bfloat16_comes_back(tmp_path):
    from ml_dtypes import bfloat16

    kernel = np.array([[1.5, -2.0]], bfloat16)
    (tmp_path / "state.h5").write_bytes(state.to_hdf5({"model/0000/kernel": kernel, "model/0001/one": kernel[0, 0]}))
    arrays = state.from_hdf5(tmp_path / "state.h5")
    assert np.array_equal(arrays["model/0000/kernel"], kernel)
    assert (arrays["model/0001/one"], arrays["model/0001/one"].dtype) == (1.5, bfloat16)


def test_it_holds_what_keras_files_leave_out():
    names = " ".join(state.model_arrays(model()))
    assert all(part in names for part in ("seed_generator_state", "moving_mean", "iteration", "momentum", "mae"))


@pytest.mark.parametrize("change", rest_is_long(["lacks one", "has one more", "has another shape"]))
def test_another_models_state_is_refused_and_nothing_is_assigned(change):
    built = model()
    arrays = {name: array + 1 for name, array in state.model_arrays(built).items()}
    kernel = next(name for name in arrays if name.endswith("dense/kernel"))
    if change == "lacks one":
        del arrays[kernel]
    elif change == "has one more":
        arrays["model/9999/extra"] = np.zeros(3)
    else:
        arrays[kernel] = np.zeros((2, 2))
    before = state.model_arrays(built)
    with pytest.raises(CheckpointError, match="another model"):
        state.restore_model(built, arrays)
    after = state.model_arrays(built)
    assert all(np.array_equal(before[name], after[name]) for name in before)
