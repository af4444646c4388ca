"""The fields that all kinds of data share which are read as arrays, and what is made of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kerasrun.reading.data import Data, FitMode, Interpolation
from kerasrun.sources._fields import ClassNames, ImageSize
from kerasrun.sources.base import Source

if TYPE_CHECKING:
    from kerasrun.reading.arrays import LabelledArrays


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
        """As `data_from_arrays`, with what the fields say; `classes` where they name none."""
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
