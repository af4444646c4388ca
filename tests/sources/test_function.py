"""Data that a function of a plugin gives."""

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import DataError, ExperimentError, PluginError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.results.prediction import predict
from kerasrun.sources.npz import Npz
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

PLUGIN = """
from pathlib import Path

import numpy as np


class Rows:
    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, number):
        assert type(number) is int
        return self.array[number]


def waves(split, file: Path, scale=1.0, how="array"):
    arrays = np.load(file)
    if f"x_{split}" not in arrays:
        return None
    x, y = scale * arrays[f"x_{split}"], arrays[f"y_{split}"]
    if how == "broken":
        return x / "two", y
    if how == "generator":
        return (pair for pair in zip(x, y))
    if how == "alone":
        return x
    return Rows(x) if how == "rows" else x, y
"""
EXPERIMENT = """
plugins: [own.py]
data: {waves: {file: x.npz}}
model: {layers: [Conv1D: {filters: 4, kernel_size: 3}, GRU: {units: 5}, Dropout: {rate: 0.2}]}
fit: {epochs: 3, batch_size: 25}
"""


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(1)
    y = np.arange(60) % 2
    x = random.normal(size=(60, 8, 3)) + y[:, None, None]
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    np.save(tmp_path / "x.npy", x[:9])
    (tmp_path / "own.py").write_text(PLUGIN)
    return tmp_path


def source(folder, keys="file: x.npz"):
    return parse(EXPERIMENT.replace("file: x.npz", keys), folder / "run.yaml").experiment.data


def test_it_gives_the_data_that_the_same_arrays_in_a_file_give(folder):
    expected = Npz(path=folder / "x.npz", examples="sequences").open()
    for keys in ("file: x.npz", "file: x.npz, how: rows", "{file: x.npz, scale: 1, limit: 100}"[1:-1]):
        assert source(folder, keys).open().fingerprint == expected.fingerprint
    assert source(folder, "file: x.npz, scale: 2").open().fingerprint != expected.fingerprint


def test_its_keys_survive_the_resolved_experiment(folder):
    experiment = parse(EXPERIMENT, folder / "run.yaml").experiment
    assert experiment.data.file == folder / "x.npz"
    assert parse(resolved_yaml(experiment), "other.yaml").experiment == experiment


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("generator", "gives a generator, which a resumed run could not take up"),
        ("alone", r"gives ndarray; expected \(x, y\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(folder, how, words):
    with pytest.raises(DataError, match=rf"^waves\('train'\): {words}"):
        source(folder, f"file: x.npz, how: {how}").open()


def test_an_error_in_it_is_told_with_its_line(folder):
    with pytest.raises(PluginError, match=r"own\.py:22: "):
        source(folder, "file: x.npz, how: broken").open()


@pytest.mark.parametrize(
    ("keys", "plugin", "words"),
    [
        ("scale: 2", PLUGIN, r"e\.yaml:3:8: data\.waves"),
        ("file: x, scales: 2", PLUGIN, "did you mean 'scale'"),
        ("file: x", PLUGIN + "import keras\n", "line 28 of own.py imports Keras"),
        ("file: x", PLUGIN.replace("scale", "limit"), "the argument 'limit' of waves is a name"),
        ("file: x", PLUGIN.replace("how", "open"), "the argument 'open' of waves is a name"),
        ("file: x", PLUGIN.replace("how", "kind"), "the argument 'kind' of waves is a name"),
        ("file: x", PLUGIN.replace("how", "_how"), "the argument '_how' of waves is a name"),
    ],
)
def test_what_is_wrong_is_told_by_the_text(folder, keys, plugin, words):
    (folder / "own.py").write_text(plugin)
    with pytest.raises(ExperimentError, match=words):
        parse(EXPERIMENT.replace("file: x.npz", keys), folder / "e.yaml")


def test_the_next_experiment_does_not_have_it(folder):
    assert source(folder).kind == "waves"
    with pytest.raises(ExperimentError, match="unknown kind of data 'waves'"):
        parse(EXPERIMENT.replace("plugins: [own.py]", ""), folder / "run.yaml")


@pytest.mark.tensorflow
def test_a_run_of_it_is_exact_evaluates_and_predicts(folder):
    train_whole_and_cut(folder, EXPERIMENT)
    (folder / "own.py").unlink()  # the run has a copy
    run = kerasrun.resume(folder / "cut" / "run-1")
    assert variables_digest(run.last_model) == variables_digest(folder / "whole" / "run-1" / "last.keras")
    (folder / "run.yaml").write_text(EXPERIMENT.replace("waves: {file:", "npz: {path:"))
    (folder / "own.py").write_text(PLUGIN)
    of_file = kerasrun.train(folder / "run.yaml", output=folder / "of_file")
    assert variables_digest(run.last_model) == variables_digest(of_file.last_model)
    assert kerasrun.evaluate(run).metrics == kerasrun.evaluate(of_file).metrics
    assert len(predict(folder / "x.npy", model=run.last_model)) == 9


@pytest.mark.tensorflow
def test_a_resume_refuses_data_that_are_not_the_same_again(folder):
    (folder / "own.py").write_text(PLUGIN.replace("scale * arrays", "np.random.default_rng().random() * arrays"))
    train_whole_and_cut(folder, EXPERIMENT)
    with pytest.raises(kerasrun.errors.KerasrunError, match=r"data \w+ → \w+"):
        kerasrun.resume(folder / "cut" / "run-1")
