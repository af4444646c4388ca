"""A smaller share of a folder of photos, for a quick look; the same one for all contenders."""

import shutil
from pathlib import Path

TRAINING, VALIDATION = "train", "val"
VALIDATES = 4
"""So many images train for each one that validates, where there are as many."""


def cut(source: Path, target: Path, images: int | None) -> Path:
    """A folder with `train/` and `val/` of class folders, with so many training images, as many of each class.

    Args:
        source: is given back if `images` is None.
        target: a new folder for copies.
    """
    if images is None:
        return source
    for split, count in ((TRAINING, images), (VALIDATION, max(1, images // VALIDATES))):
        classes = sorted(path for path in (source / split).iterdir() if path.is_dir())
        for folder in classes:
            (target / split / folder.name).mkdir(parents=True)
            for file in sorted(folder.iterdir())[: max(1, count // len(classes))]:
                shutil.copyfile(file, target / split / folder.name / file.name)
    return target
