import numpy as np
import pytest

from kerasrun.reading.inputs import within_limit
from kerasrun.sources.csv import Csv
from kerasrun.sources.npy import Npy


def test_every_class_keeps_its_share():
    labels = np.repeat([2, 0, 1], [60, 30, 10])
    chosen = within_limit(labels, 10)
    assert np.bincount(labels[chosen]).tolist() == [3, 1, 6]
    assert (np.diff(chosen) > 0).all()
    assert chosen[labels[chosen] == 2].tolist() == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize("labels", [np.zeros((100, 1), np.float32), np.zeros((100, 3), np.uint8)])
def test_examples_without_a_class_are_evenly_spaced(labels):
    assert within_limit(labels, 4).tolist() == [0, 25, 50, 75]


@pytest.mark.parametrize("limit", [None, 5, 6])
def test_all_stay_where_there_are_no_more(limit):
    assert within_limit(np.array([1, 0, 1, 0, 1]), limit).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("budget", [0, 2**30])
def test_labels_examples_and_weights_stay_together(tmp_path, monkeypatch, budget):
    monkeypatch.setattr("kerasrun.reading.arrays.memory_budget", lambda: budget)
    monkeypatch.setattr("kerasrun.reading.rows.memory_budget", lambda: budget)
    numbers = np.arange(40)
    arrays = {"x_train": numbers[:, None] * 10.0, "y_train": numbers % 2, "sample_weight": numbers + 1}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    table = np.stack([arrays["x_train"][:, 0], arrays["y_train"], arrays["sample_weight"]], axis=1)
    np.savetxt(tmp_path / "rows.csv", table, delimiter=",", fmt="%d", header="x,y,w", comments="")
    for source in (
        Npy(**{name: tmp_path / f"{name}.npy" for name in arrays}, limit=4),
        Csv(train=tmp_path / "rows.csv", label="y", sample_weight="w", limit=4),
    ):
        train = source.open().splits["train"]
        kept = train.inputs.take(np.arange(4))[:, 0] / 10
        assert kept.tolist() == [0, 1, 20, 21]
        assert train.labels.tolist() == [0, 1, 0, 1]
        assert train.sample_weight.tolist() == [1, 2, 21, 22]
