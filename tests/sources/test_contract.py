"""The promises of every kind of data.

The test file of each kind has `sample(folder)`, which writes four examples for training and two for testing, of two
classes, and returns the fields that open them; `change(folder)`, which changes one value of the training examples; and
`READ_AS_A_WHOLE = True` where examples are kept however little memory there is.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasrun.components import kinds
from kerasrun.errors import DataError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.reading.memory import kept_within
from tests.families import own_tests

KINDS = kinds("kerasrun.sources")


def labels_of(split):
    return split.labels if isinstance(split.labels, np.ndarray) else split.labels.take(np.arange(len(split)))


@pytest.fixture(params=KINDS)
def sample(request, tmp_path):
    """The kind's class, the arguments that open its sample, and the sample's folder."""
    folder = tmp_path / "sample"
    folder.mkdir()
    return KINDS[request.param], own_tests(KINDS[request.param]).sample(folder), folder


def test_the_family_has_members():
    assert {"csv", "directory", "npz", "image_masks"} < set(KINDS)


def test_checking_the_fields_needs_neither_numpy_nor_pillow(sample):
    source, arguments, _ = sample
    code = (
        "import sys; from kerasrun.components import kinds;"
        f"kinds('kerasrun.sources')[{source.kind!r}](**{ {key: str(value) for key, value in arguments.items()} });"
        "print({'numpy', 'PIL', 'h5py', 'pyarrow'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_its_fields_survive_the_resolved_experiment(sample):
    source, arguments, _ = sample
    experiment = parse("data: {directory: {path: x}}\nmodel: {layers: [Identity]}\n", "a.yaml").experiment
    experiment = experiment.model_copy(update={"data": source(**arguments, limit=3)})
    assert parse(resolved_yaml(experiment), "b.yaml").experiment.data == experiment.data


def test_it_opens_with_splits_of_examples_and_labels(sample):
    source, arguments, _ = sample
    data = source(**arguments).open()
    assert list(data.splits) == ["train", "test"]
    assert [len(split) for split in data.splits.values()] == [4, 2]
    for name, split in data.splits.items():
        assert split.name == name
        labels = labels_of(split)
        if data.label_kind == "masks":
            assert (labels.dtype, labels.shape) == (np.uint8, (len(split), *split.inputs.example_shape[:2], 1))
        else:
            assert (labels.dtype, labels.shape) == (np.int64, (len(split),))
        assert set(np.unique(labels)) <= set(range(len(data.classes)))
        assert split.names is None or len(split.names) == len(split)
    assert len(data.classes) == 2
    assert data.skipped == ()


def test_take_gives_the_asked_examples_in_the_asked_order(sample):
    source, arguments, _ = sample
    data = source(**arguments).open()
    inputs = data.splits["train"].inputs
    every = inputs.take(np.arange(4))
    assert every.shape == (4, *inputs.example_shape)
    assert every.dtype == inputs.dtype
    assert len({image.tobytes() for image in every}) == 4
    for indices in ([2, 0], [3, 3, 1], [0], []):
        np.testing.assert_array_equal(inputs.take(np.array(indices, np.int64)), every[indices])


def test_images_fit_the_image_format(sample):
    source, arguments, _ = sample
    data = source(**arguments).open()
    shape = data.splits["train"].inputs.example_shape
    assert (data.image_format.shape if data.image_format else None) == (shape if len(shape) == 3 else None)


def test_two_openings_are_equal(sample):
    source, arguments, _ = sample
    first, second = source(**arguments).open(), source(**arguments).open()
    for name in first.splits:
        everything = np.arange(len(first.splits[name]))
        np.testing.assert_array_equal(labels_of(first.splits[name]), labels_of(second.splits[name]))
        np.testing.assert_array_equal(
            first.splits[name].inputs.take(everything), second.splits[name].inputs.take(everything)
        )


def test_moving_the_data_keeps_the_fingerprint(sample, tmp_path):
    source, arguments, folder = sample
    before = source(**arguments).open().fingerprint
    shutil.move(folder, tmp_path / "elsewhere")
    elsewhere = tmp_path / "elsewhere"
    moved = {
        key: elsewhere / value.relative_to(folder) if isinstance(value, Path) else value
        for key, value in arguments.items()
    }
    assert source(**moved).open().fingerprint == before


def test_a_changed_pixel_changes_the_fingerprint(sample):
    source, arguments, folder = sample
    before = source(**arguments).open().fingerprint
    own_tests(source).change(folder)
    assert source(**arguments).open().fingerprint != before


def test_data_that_change_while_they_are_read_are_told(sample):
    """The fingerprint is of what was there when it was first read; what is read later must be that."""
    source, arguments, folder = sample
    with kept_within(0):
        data = source(**arguments).open()
    data.require_read()
    train = data.splits["train"]
    for path in (path for path in folder.rglob("*") if path.is_file()):
        path.write_bytes(path.read_bytes() + b"\n")
    for read in (one for one in (train.inputs, train.labels) if hasattr(one, "take") and not is_kept(one)):
        with pytest.raises(DataError, match=r"(is not as it was when|was changed after) the data were opened"):
            read.take(np.arange(4))
    assert is_kept(train.inputs) == getattr(own_tests(source), "READ_AS_A_WHOLE", False)


def test_a_limit_takes_the_same_share_of_every_class_and_changes_the_fingerprint(sample):
    source, arguments, _ = sample
    whole = source(**arguments).open()
    data = source(**arguments, limit=2).open()
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 2, "test": 2}
    if data.label_kind == "classes":
        assert all(sorted(split.labels) == [0, 1] for split in data.splits.values())
    assert data.classes == whole.classes
    assert data.fingerprint != whole.fingerprint
    every = {bytes(example) for example in whole.splits["train"].inputs.take(np.arange(4))}
    kept = {bytes(example) for example in data.splits["train"].inputs.take(np.arange(2))}
    assert len(kept) == 2
    assert kept < every


def test_nothing_is_written_to_the_data(sample):
    source, arguments, folder = sample

    def state():
        return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}

    before = state()
    data = source(**arguments).open()
    data.splits["train"].inputs.take(np.arange(4))
    assert state() == before


def test_examples_in_memory_cannot_be_changed(sample):
    source, arguments, _ = sample
    data = source(**arguments).open()
    data.require_read()
    inputs = data.splits["train"].inputs
    with pytest.raises(ValueError, match="read-only"):
        inputs.array[0] = 0


def test_damage_to_a_file_is_told_or_is_in_bytes_that_nobody_reads(sample):
    source, arguments, folder = sample
    before = source(**arguments).open()
    before.require_read()
    noticed = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for damaged in (
            None,
            b"",
            content[: len(content) // 2],
            *(flipped(content, n) for n in range(0, 8 * 999, 157)),
        ):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            try:
                data = source(**arguments).open()
                data.require_read()
            except DataError as error:
                assert str(folder) in str(error)  # noqa: PT017  either will do
                noticed += 1
            else:
                assert data.fingerprint != before.fingerprint or holds_the_same(data, before), path
                noticed += data.fingerprint != before.fingerprint
            path.write_bytes(content)
    assert noticed > 20


def flipped(content, number):
    damaged = bytearray(content)
    damaged[number // 8 % len(content)] ^= 1 << number % 8
    return bytes(damaged)


def is_kept(examples):
    return isinstance(examples, np.ndarray) or getattr(examples, "is_kept", False)


def holds_the_same(data, other):
    return all(
        np.array_equal(labels_of(split), labels_of(other.splits[name]))
        and np.array_equal(
            split.inputs.take(np.arange(len(split))), other.splits[name].inputs.take(np.arange(len(split)))
        )
        for name, split in data.splits.items()
    )
