"""Write `digit_masks/` and `digit_masks.h5` beside this file: shipped digits before an uneven background, and where
their strokes are; the same pairs as files and as arrays.

Run once, by hand: `python data/make_digit_masks.py`. With the same versions of NumPy, Pillow and h5py every file comes
out the same, byte for byte.
"""

import shutil
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
FOLDER = HERE / "digit_masks"
COUNTS = {"train": 48, "test": 16}
SEED = 1


def main() -> None:
    generator = np.random.default_rng(SEED)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with np.load(HERE / "digits" / "digits.npz") as digits:
        for split, count in COUNTS.items():
            for number, digit in enumerate(digits[f"x_{split}"][:count]):
                save(FOLDER / split / "images" / f"{number:04}.png", before_a_background(digit, generator))
                save(FOLDER / split / "masks" / f"{number:04}.png", np.where(digit > 127, 255, 0).astype(np.uint8))
    write_hdf5()


def write_hdf5() -> None:
    with h5py.File(FOLDER.with_suffix(".h5"), "w") as file:
        for split in COUNTS:
            for name, folder in (("x", "images"), ("y", "masks")):
                pictures = [np.asarray(Image.open(path)) for path in sorted((FOLDER / split / folder).glob("*.png"))]
                # Without times in it the file comes out the same each time it is made.
                options = {"compression": "gzip", "compression_opts": 9, "track_times": False}
                file.create_dataset(f"{name}_{split}", data=np.stack(pictures), **options)


def before_a_background(digit: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Grey patches and noise, so that brightness alone does not tell a stroke."""
    coarse = generator.integers(0, 120, (5, 5), dtype=np.uint8)
    patches = np.asarray(Image.fromarray(coarse).resize(digit.shape, Image.Resampling.BICUBIC)).astype(float)
    mixed = patches + digit * 0.5 + generator.normal(0, 8, digit.shape)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, optimize=True)


if __name__ == "__main__":
    main()
