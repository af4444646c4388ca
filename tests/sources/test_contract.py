"""What every kind of data promises; a new kind adds its sample here."""

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from kerasrun.components import kinds
from kerasrun.errors import DataError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.reading.memory import kept_within

KINDS = kinds("kerasrun.sources")


def directory_sample(folder):
    for number in range(6):
        path = folder / ("train" if number < 4 else "test") / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number)).save(path)
    return {"path": folder}


def change_directory(folder):
    path = folder / "train" / "a" / "0.png"
    Image.fromarray(changed(np.asarray(Image.open(path)))).save(path)


def npz_sample(folder):
    images = np.stack([pixels(number) for number in range(6)])
    labels = np.arange(6) % 2
    np.savez(folder / "a.npz", x_train=images[:4], y_train=labels[:4], x_test=images[4:], y_test=labels[4:])
    return {"path": folder / "a.npz"}


def change_npz(folder):
    with np.load(folder / "a.npz") as file:
        arrays = dict(file)
    np.savez(folder / "a.npz", **arrays | {"x_train": changed(arrays["x_train"])})


def idx_sample(folder):
    for prefix, numbers in (("train", range(4)), ("t10k", range(4, 6))):
        images = b"".join(pixels(number).tobytes() for number in numbers)
        header = [0, 0, 8, 3, 0, 0, 0, len(numbers), 0, 0, 0, 6, 0, 0, 0, 8]
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(bytes(header) + images)
        labels = bytes(number % 2 for number in numbers)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, len(numbers)]) + labels)
    return {"path": folder}


def change_idx(folder):
    path = folder / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[16] ^= 1
    path.write_bytes(content)


def csv_sample(folder):
    for name, numbers in (("train", range(4)), ("test", range(4, 6))):
        rows = [",".join(["ab"[number % 2], *map(str, pixels(number)[0])]) for number in numbers]
        (folder / f"{name}.csv").write_text("\n".join([",".join(["class", *"stuvwxyz"]), *rows]), encoding="utf-8")
    return {"train": folder / "train.csv", "test": folder / "test.csv", "label": "class"}


def change_csv(folder):
    path = folder / "train.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("\na,", "\na,1", 1), encoding="utf-8")


def npy_sample(folder):
    files = {f"{axis}_{split}": folder / f"{axis}_{split}.npy" for split in ("train", "test") for axis in "xy"}
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        np.save(files[f"x_{split}"], np.stack([pixels(number) for number in numbers]))
        np.save(files[f"y_{split}"], np.array(numbers) % 2)
    return files


def change_npy(folder):
    path = folder / "x_train.npy"
    np.save(path, changed(np.load(path)))


def hdf5_sample(folder):
    images = np.stack([pixels(number) for number in range(6)])
    labels = np.arange(6) % 2
    with h5py.File(folder / "a.h5", "w", libver="latest") as file:
        file.create_dataset("x_train", data=images[:4], chunks=(2, 6, 8), compression="gzip")
        file.update({"y_train": labels[:4], "x_test": images[4:], "y_test": labels[4:]})
    return {"path": folder / "a.h5"}


def change_hdf5(folder):
    with h5py.File(folder / "a.h5", "r+") as file:
        file["x_train"][...] = changed(file["x_train"][...])


def keras_dataset_sample(folder):
    arguments = npz_sample(folder)
    arguments["path"].rename(folder / "mnist.npz")
    return {"name": "mnist", "path": folder}


def change_keras_dataset(folder):
    (folder / "mnist.npz").rename(folder / "a.npz")
    change_npz(folder)
    (folder / "a.npz").rename(folder / "mnist.npz")


def image_masks_sample(folder):
    for number in range(6):
        split = folder / ("train" if number < 4 else "test")
        for name, values in (("images", pixels(number)), ("masks", pixels(number) // 128 * 255)):
            (split / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(split / name / f"{number}.png")
    return {"path": folder}


def change_image_masks(folder):
    path = folder / "train" / "masks" / "0.png"
    values = np.asarray(Image.open(path)).copy()
    values.flat[0] ^= 255
    Image.fromarray(values).save(path)


SAMPLES = {
    "csv": (csv_sample, change_csv),
    "keras_dataset": (keras_dataset_sample, change_keras_dataset),
    "hdf5": (hdf5_sample, change_hdf5),
    "npy": (npy_sample, change_npy),
    "directory": (directory_sample, change_directory),
    "npz": (npz_sample, change_npz),
    "idx": (idx_sample, change_idx),
    "image_masks": (image_masks_sample, change_image_masks),
}
READ_AS_A_WHOLE = {"npz", "idx", "keras_dataset"}
IMAGES = {"directory", "npz", "npy", "hdf5", "idx", "keras_dataset", "image_masks"}


def labels_of(split):
    return split.labels if isinstance(split.labels, np.ndarray) else split.labels.take(np.arange(len(split)))


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (6, 8), dtype=np.uint8)


def changed(array):
    array = array.copy()
    array.flat[0] ^= 1
    return array


@pytest.fixture(params=KINDS)
def sample(request, tmp_path):
    """The kind's class, the arguments that open its sample, and the sample's folder."""
    folder = tmp_path / "sample"
    folder.mkdir()
    return KINDS[request.param], SAMPLES[request.param][0](folder), folder


def test_the_family_has_members():
    assert set(SAMPLES) == set(KINDS)
    assert len(KINDS) > 3


def test_checking_the_fields_needs_neither_numpy_nor_pillow(tmp_path):
    arguments = {}
    for kind, (write, _) in SAMPLES.items():
        (tmp_path / kind).mkdir()
        arguments[kind] = {key: str(value) for key, value in write(tmp_path / kind).items()}
    code = (
        "import sys; from kerasrun.components import kinds;"
        f"[kind(**{arguments}[name]) for name, kind in kinds('kerasrun.sources').items()];"
        "print({'numpy', 'PIL'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_its_fields_survive_the_resolved_experiment(sample):
    source, arguments, _ = sample
    experiment = parse("data: {directory: {path: x}}\nmodel: {layers: [Flatten]}\n", "a.yaml").experiment
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
    assert (data.image_format.shape if data.image_format else None) == (shape if source.kind in IMAGES else None)


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
    SAMPLES[source.kind][1](folder)
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
    assert is_kept(train.inputs) == (source.kind in READ_AS_A_WHOLE)


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
