"""The fields that the kinds of data share which are read as arrays, and what is made of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.reading.data import Data, FitMode, Interpolation, LabelKind
from kerasrun.sources._fields import ClassNames, ImageSize
from kerasrun.sources.base import Recognized, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kerasrun.reading.arrays import LabelledArrays

# With more whole numbers than these, labels are rather counts than classes.
_MOST_CLASSES = 100


class ArraySource(Source):
    """Base of the kinds of data that are read as arrays."""

    image_size: ImageSize | None = None
    """`[height, width]` to which every image is brought."""
    interpolation: Interpolation = "bilinear"
    """How pixels are computed when an image is resized."""
    fit_mode: FitMode = "resize"
    """`resize` stretches to `image_size`; `pad` keeps the aspect, centres the image, and fills with zeros."""
    classes: ClassNames | None = None
    """Names of the classes, in the order of the class numbers; by default the numbers themselves."""

    def data_from(self, arrays: Mapping[str, "LabelledArrays"], classes: Sequence[str] | None = None) -> Data:
        """Make data of arrays as `data_from_arrays` does, by the fields; `classes` where they name none."""
        from kerasrun.reading.arrays import data_from_arrays

        return data_from_arrays(
            arrays,
            label_kind=self.label_kind,
            classes=self.classes or classes,
            image_size=self.image_size,
            interpolation=self.interpolation,
            fit_mode=self.fit_mode,
            limit=self.limit,
        )

    @classmethod
    def with_seen_labels(cls, paths: Mapping[str, Path]) -> Recognized:
        """Describe arrays whose source has the key `labels`, after a look at all of them."""
        # Every label is a number, so this reads them all.
        data = cls.model_validate({**paths, "labels": "numbers"}).open()
        kind = _label_kind(data.splits["train"].label_array)
        return cls.recognized(paths, {} if kind == cls.model_fields["labels"].default else {"labels": kind})


def _label_kind(labels: "NDArray[Any]") -> LabelKind:
    """Return the kind that labels seem to be, of any numbers, (examples, labels)."""
    import numpy as np

    if labels.shape[1] > 1:
        if not np.isin(labels, (0, 1)).all():
            return "numbers"
        return "classes" if (labels.sum(axis=1) == 1).all() else "multi_label"
    whole = (labels == np.floor(labels)).all() and labels.min() >= 0
    return "classes" if whole and 2 <= labels.max() + 1 <= _MOST_CLASSES else "numbers"
