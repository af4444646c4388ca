"""Every way in which data may lie, tried one after the other."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kerasrun.errors import DataError
from kerasrun.experiment.recognition._contract import Recognized
from kerasrun.experiment.recognition.arrays import array_file, idx_files, npy_files
from kerasrun.experiment.recognition.images import class_folder_images, images_with_masks
from kerasrun.experiment.recognition.tables import tables
from kerasrun.reading.files import missing

_LOOKS: Sequence[Callable[[Path], Recognized | None]] = (
    *(array_file, tables, npy_files, idx_files),
    *(images_with_masks, class_folder_images),
)


def recognize(path: Path) -> Recognized:
    """Find out what lies at `path`.

    Raises:
        DataError: if it is nothing that a source reads, or is damaged.
    """
    if not path.exists():
        raise missing(path, "a folder or a file of data")
    for look in _LOOKS:
        if found := look(path):
            return found
    raise DataError(
        f"{path}: not recognized as data; expected class folders of images, folders images and masks, MNIST's IDX "
        "files, an .npz or .h5 file with x_train and y_train, a folder with x_train.npy and y_train.npy, or a text "
        "file of rows (.csv)"
    )
