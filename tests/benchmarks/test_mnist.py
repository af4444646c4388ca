import gzip

import numpy as np
from PIL import Image

from benchmarks._mnist import read_mnist, write_mnist, write_png
from kerasrun.sources.idx import Idx

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([1, 0, 1], np.uint8)


def test_written_files_come_back(tmp_path):
    images, labels = read_mnist(write_mnist(tmp_path / "idx", IMAGES, LABELS), "train")
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_gzipped_files_are_read(tmp_path):
    folder = write_mnist(tmp_path / "idx", IMAGES, LABELS)
    for file in list(folder.iterdir()):
        (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    np.testing.assert_array_equal(read_mnist(folder, "train")[0], IMAGES)


def test_kerasrun_reads_the_same(tmp_path):
    split = Idx(path=write_mnist(tmp_path / "idx", IMAGES, LABELS)).open().splits["train"]
    np.testing.assert_array_equal(split.inputs.take(np.arange(3))[..., 0], IMAGES)
    np.testing.assert_array_equal(split.labels, LABELS)


def test_png_folders_hold_the_same_pixels(tmp_path):
    folder = write_png(tmp_path / "png", IMAGES, LABELS)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == [
        *("0/00001.png", "1/00000.png", "1/00002.png"),
    ]
    with Image.open(folder / "0" / "00001.png") as image:
        np.testing.assert_array_equal(np.asarray(image), IMAGES[1])
