import gzip
import struct
import time

import numpy as np
import pytest
from pydantic import ValidationError

from kerasrun.errors import DataError
from kerasrun.reading.data import ImageFormat
from kerasrun.sources.idx import Idx
from tests.sources.pixels import pixels

READ_AS_A_WHOLE = True


def sample(folder):
    for prefix, numbers in (("train", range(4)), ("t10k", range(4, 6))):
        images = b"".join(pixels(number).tobytes() for number in numbers)
        header = [0, 0, 8, 3, 0, 0, 0, len(numbers), 0, 0, 0, 6, 0, 0, 0, 8]
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(bytes(header) + images)
        labels = bytes(number % 2 for number in numbers)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, len(numbers)]) + labels)
    return {"path": folder}


def change(folder):
    path = folder / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[16] ^= 1
    path.write_bytes(content)


X = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture
def folder(tmp_path, write_idx):
    write_idx(tmp_path / IMAGES, X)
    write_idx(tmp_path / LABELS, Y)
    return tmp_path


def fails(folder, *words, **fields):
    with pytest.raises(DataError) as error:
        Idx(path=folder, **fields).open()
    for word in words:
        assert str(word) in str(error.value)


def test_images_and_labels_come_through_unchanged(folder):
    data = Idx(path=folder).open()
    np.testing.assert_array_equal(data.splits["train"].inputs.array, X[..., None])
    assert data.splits["train"].labels.tolist() == Y.tolist()
    assert data.classes == ("0", "1", "2")
    assert data.image_format == ImageFormat(5, 4, "grayscale")


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_spelling_gives_the_same_data(folder, mark, suffix):
    expected = Idx(path=folder).open().fingerprint
    for name in (IMAGES, LABELS):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        spelt = folder / (name.replace("-idx", f"{mark}idx") + suffix)
        spelt.write_bytes(gzip.compress(content) if suffix else content)
    assert Idx(path=folder).open().fingerprint == expected


def test_the_file_that_is_not_gzipped_comes_first(folder):
    (folder / f"{IMAGES}.gz").write_bytes(b"damaged")
    assert len(Idx(path=folder).open().splits["train"]) == 6


@pytest.mark.parametrize(("prefix", "split"), [("t10k", "test"), ("test", "test"), ("validation", "validation")])
def test_other_splits_are_found_by_their_prefix(folder, write_idx, prefix, split):
    write_idx(folder / f"{prefix}-images-idx3-ubyte", X[:2])
    write_idx(folder / f"{prefix}-labels-idx1-ubyte", Y[:2])
    assert {name: len(part) for name, part in Idx(path=folder).open().splits.items()} == {"train": 6, split: 2}


def test_two_names_of_one_split_are_an_error(folder, write_idx):
    for prefix in ("t10k", "test"):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", X[:2])
    fails(folder, "t10k-images-idx3-ubyte, test-images-idx3-ubyte both name test images")


def test_files_may_be_named_one_by_one(tmp_path, write_idx):
    for name, array in {"a": X, "b": Y, "c": X[:2], "d": Y[:2]}.items():
        write_idx(tmp_path / name, array)
    files = dict(zip(("train_images", "train_labels", "test_images", "test_labels"), "abcd", strict=True))
    data = Idx.model_validate(files, context={"folder": tmp_path}).open()
    assert [len(split) for split in data.splits.values()] == [6, 2]


@pytest.mark.parametrize("fields", [{}, {"train_images": "a"}, {"path": "x", "test_labels": "a"}])
def test_half_a_description_is_an_error(fields):
    with pytest.raises(ValidationError, match=r"expected path|expected \w+ beside"):
        Idx(**fields)


def test_images_are_resized(folder):
    data = Idx(path=folder, image_size=[8, 8], fit_mode="pad").open()
    assert data.splits["train"].inputs.example_shape == (8, 8, 1)
    assert data.image_format == ImageFormat(8, 8, "grayscale", fit_mode="pad")


def test_a_wrong_magic_number_is_told(folder, write_idx):
    write_idx(folder / IMAGES, X.reshape(6, 20))
    fails(folder, folder / IMAGES, "wrong magic number 2050", "expected 2051")
    write_idx(folder / IMAGES, Y)
    fails(folder, folder / IMAGES, "2049, that of labels", "expected 2051 (images")
    (folder / IMAGES).write_text("hello, this is text")
    fails(folder, folder / IMAGES, "wrong magic number")


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_truncated_file_is_told(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    fails(folder, folder / name, "is truncated", f"{len(content) - 1} bytes", f"expected {len(content)}")
    (folder / name).write_bytes(content[:6])
    fails(folder, folder / name, "truncated in its header")
    (folder / name).write_bytes(b"")
    fails(folder, folder / name, "has 0 bytes")


def test_trailing_bytes_are_told(folder):
    with (folder / IMAGES).open("ab") as file:
        file.write(b"xx")
    fails(folder, folder / IMAGES, "trailing bytes: 138 bytes; expected 136 for 6 × 5 × 4 images")


def test_a_damaged_gzip_stream_is_told(folder):
    content = bytearray(gzip.compress((folder / IMAGES).read_bytes()))
    (folder / IMAGES).write_bytes(content[:-9])
    fails(folder, folder / IMAGES, "gzip", "truncated")
    content[20] ^= 255
    (folder / IMAGES).write_bytes(content)
    fails(folder, folder / IMAGES, "gzip", "damaged")


def test_counts_that_differ_are_told(folder, write_idx):
    write_idx(folder / LABELS, Y[:5])
    fails(folder, f"{folder / IMAGES} has 6 examples", f"{folder / LABELS} has 5 labels")


def test_labels_out_of_range_of_the_classes_are_told(folder):
    fails(folder, folder / LABELS, "label at index 2 is 2", "2 classes", classes=["a", "b"])
    assert Idx(path=folder, classes=[1, 2, 3]).open().classes == ("1", "2", "3")


def test_images_without_labels_are_told(folder):
    (folder / LABELS).unlink()
    fails(folder, folder / IMAGES, "no file of train labels")


def test_a_folder_without_the_files_is_told(tmp_path):
    (tmp_path / "mnist.zip").touch()
    fails(tmp_path, tmp_path, "no train-images-idx3-ubyte[.gz]", "mnist.zip")
    fails(tmp_path / "nowhere", "does not exist")


def test_a_missing_named_file_is_told(folder):
    fails(folder, "nowhere: does not exist", test_images=folder / "nowhere", test_labels=folder / LABELS)


@pytest.mark.parametrize("zeros", [0, 3, 2**20 - 9])
def test_a_gzipped_file_may_be_several_streams_with_zeros_behind(folder, zeros):
    content = (folder / LABELS).read_bytes()
    (folder / LABELS).unlink()
    parts = [gzip.compress(content[:3]), gzip.compress(b""), gzip.compress(content[3:]) + bytes(zeros)]
    (folder / f"{LABELS}.gz").write_bytes(b"".join(parts))
    assert Idx(path=folder).open().splits["train"].labels.tolist() == Y.tolist()


@pytest.mark.parametrize("first", [3, 14])
@pytest.mark.parametrize("last", [b"", b"x"])
def test_a_hole_of_gigabytes_behind_a_stream_takes_no_time(folder, first, last):
    content = (folder / LABELS).read_bytes()
    (folder / LABELS).unlink()
    with (folder / f"{LABELS}.gz").open("wb") as file:
        file.write(gzip.compress(content[:first]))
        file.seek(2**33)
        file.write(last)
        file.truncate()
    begin = time.monotonic()
    with pytest.raises(DataError, match=r"its gzip stream is damaged or truncated: more than 1,048,576 zeros follow"):
        Idx(path=folder).open()
    assert time.monotonic() - begin < 2


def test_a_gzipped_file_that_ends_too_early_is_told(folder):
    packed = gzip.compress((folder / IMAGES).read_bytes())
    (folder / IMAGES).unlink()
    for end in range(2, len(packed)):
        (folder / f"{IMAGES}.gz").write_bytes(packed[:end])
        with pytest.raises(DataError, match="its gzip stream is damaged or truncated"):
            Idx(path=folder).open()


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 0)])
def test_no_images_are_told_whatever_else_the_header_says(folder, shape):
    (folder / IMAGES).write_bytes(struct.pack(">HBB3I", 0, 8, 3, *shape))
    fails(folder, folder / IMAGES, "holds no images")
