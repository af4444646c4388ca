"""What is said before training, counted one by one."""

from collections import Counter
from types import SimpleNamespace

import numpy as np

from kerasrun.engine.devices import Device
from kerasrun.reading.data import Data, ImageFormat, Split
from kerasrun.runs.directory import RunDirectory
from kerasrun.training.overview import overview

GENERATOR = np.random.default_rng(5)


class Examples:
    def __init__(self, count, shape):
        self.count, self.example_shape = count, shape

    def __len__(self):
        return self.count


def said(tmp_path, labels, kind, names, *, shape=(3,), image_format=None, weights=None):
    """The lines for splits of these labels, each as a list of words."""
    splits = {name: Split(name, Examples(len(one), shape), one) for name, one in labels.items()}
    data = Data(splits, names, image_format, "", kind)
    trainable = SimpleNamespace(shape=(3, 5))
    model = SimpleNamespace(count_params=lambda: 1234, trainable_weights=[trainable, SimpleNamespace(shape=())])
    job = SimpleNamespace(
        data=data,
        train=splits["train"],
        splits=[one for name, one in splits.items() if name != "test"],
        model=model,
        device=Device("cpu", ("CPU:0",), "CPU, 3 threads", {}),
    )
    return overview(RunDirectory(tmp_path / "run-1"), job, weights).splitlines()


def test_each_class_is_counted_in_each_split(tmp_path):
    labels = {name: GENERATOR.integers(0, 3, size) for name, size in (("train", 2000), ("validation", 50), ("test", 7))}
    names = ("cat", "a class with a name that takes a line\n", "empty", "not there")
    lines = said(tmp_path, labels, "classes", names)
    assert lines[0].split() == ["examples", "train", "validation", "test"]
    counts = [Counter(one.tolist()) for one in labels.values()]
    assert [line.split()[-3:] for line in lines[1:5]] == [[f"{one[n]:,}" for one in counts] for n in range(4)]
    assert [line[2:26].strip() for line in lines[1:3]] == ["cat", "a class with a name tha…"]
    assert lines[5].split() == ["all", "2,000", "50", "7"]
    assert [line.split(maxsplit=1) for line in lines[6:]] == [
        ["features", "3"],
        ["parameters", "1,234 (16 trainable)"],
        ["device", "CPU, 3 threads"],
        ["written", f"to  {tmp_path}/run-1"],
    ]


def test_of_many_classes_the_smallest_and_the_largest_are_said(tmp_path):
    labels = {"train": np.repeat(np.arange(100), np.arange(100) + 12)}
    lines = said(tmp_path, labels, "classes", tuple(map(str, range(100))), shape=(4, 6, 3), weights="those of a-1")
    assert lines[1].split() == ["each", "of", "100", "classes", "12–111"]
    assert lines[3].split() == ["image", "size", "4×6,", "3", "channels"]
    assert lines[5].split() == ["begins", "with", "those", "of", "a-1"]


def test_labels_that_hold_together_are_counted_each_and_numbers_are_not(tmp_path):
    labels = {"train": GENERATOR.integers(0, 2, (300, 2)).astype(np.uint8)}
    form = ImageFormat(4, 6, "grayscale")
    lines = said(tmp_path, labels, "multi_label", ("red", "round"), shape=(4, 6, 1), image_format=form)
    assert [line.split() for line in lines[1:4]] == [
        *([name, str(labels["train"][:, n].tolist().count(1))] for n, name in enumerate(("red", "round"))),
        ["all", "300"],
    ]
    assert lines[4].split() == ["image", "size", "4×6,", "grayscale"]
    lines = said(tmp_path, {"train": np.ones((9, 1), np.float32)}, "numbers", ("price",))
    assert [line.split() for line in lines[:2]] == [["examples", "train"], ["all", "9"]]
