"""Write `digits/` beside this file from scikit-learn's copy of the UCI handwritten digits.

Run once, by hand (scikit-learn is needed here and nowhere else):

    pip install scikit-learn pillow h5py
    python data/make_digits.py

The same 1,797 examples in the same split are written as PNG class folders, as one npz, as one HDF5 file and as gzip IDX
files; a table lists the PNG files with labels of other kinds. The file `png/<split>/<class>/<number>.png` is example
`<number>` of that split in the other forms.
"""

import gzip
import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent / "digits"
SIDE = 32
TEST_SHARE = 0.2
SEED = 1
IDX_NAMES = {"train": "train", "test": "t10k"}
TRAITS = {"even": (0, 2, 4, 6, 8), "loop": (0, 6, 8, 9), "prime": (2, 3, 5, 7)}


def main() -> None:
    digits = load_digits()
    images = np.stack([enlarge(image) for image in digits.images])
    labels = digits.target.astype(np.uint8)
    shutil.rmtree(FOLDER, ignore_errors=True)
    arrays = {}
    for split, indices in stratified_split(labels).items():
        write_png(split, images[indices], labels[indices])
        write_idx(split, images[indices], labels[indices])
        arrays |= {f"x_{split}": images[indices], f"y_{split}": labels[indices].astype(np.int64)}
    np.savez_compressed(FOLDER / "digits.npz", **arrays)
    write_hdf5(arrays)
    write_table(arrays)


def write_hdf5(arrays: dict[str, np.ndarray]) -> None:
    with h5py.File(FOLDER / "digits.h5", "w") as file:
        for name, array in arrays.items():
            # Chunks of few examples: a batch in any order decompresses little that it does not need.
            options = {"chunks": (16, SIDE, SIDE), "compression": "gzip", "compression_opts": 9}
            # Without times in it the file comes out the same each time it is made.
            file.create_dataset(name, data=array, track_times=False, **options if array.ndim == 3 else {})


def write_table(arrays: dict[str, np.ndarray]) -> None:
    """List the PNG files, with the digit, what holds of it, and how much of the image is ink."""
    rows = ["image,digit,traits,ink,split"]
    for split in ("train", "test"):
        for number, (image, digit) in enumerate(zip(arrays[f"x_{split}"], arrays[f"y_{split}"], strict=True)):
            traits = ";".join(name for name, digits in TRAITS.items() if digit in digits)
            rows.append(f"png/{split}/{digit}/{number:04}.png,{digit},{traits},{image.mean() / 255:.4f},{split}")
    (FOLDER / "images.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")


def enlarge(image: np.ndarray) -> np.ndarray:
    """8×8 values 0..16 → 32×32 values 0..255."""
    grey = np.rint(image * (255 / 16)).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def stratified_split(labels: np.ndarray) -> dict[str, np.ndarray]:
    """The examples of each split in the order of the original; a fifth of every class is for testing."""
    generator = np.random.default_rng(SEED)
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        is_test[members[: round(TEST_SHARE * len(members))]] = True
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}


def write_png(split: str, images: np.ndarray, labels: np.ndarray) -> None:
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = FOLDER / "png" / split / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, optimize=True)


def write_idx(split: str, images: np.ndarray, labels: np.ndarray) -> None:
    folder = FOLDER / "idx"
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        # Without a fixed time the file would differ each time it is made.
        content = gzip.compress(header + array.tobytes(), 9, mtime=0)
        (folder / f"{IDX_NAMES[split]}-{kind}-ubyte.gz").write_bytes(content)


if __name__ == "__main__":
    main()
