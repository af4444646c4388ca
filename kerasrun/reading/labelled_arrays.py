"""What the sources of arrays have read of a split, before it is checked, and the labels once they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from kerasrun.reading.stored import StoredArray


@dataclass(frozen=True)
class LabelledArrays:
    """The arrays of one split, read or not, and what a message calls each of them."""

    inputs: NDArray[Any] | StoredArray
    labels: NDArray[Any] | StoredArray
    inputs_name: str
    labels_name: str
    sample_weight: NDArray[Any] | None = None
    weight_name: str = ""

    @property
    def label_array(self) -> NDArray[Any]:
        """The labels of a kind that is held in memory.

        Raises:
            TypeError: for masks in a file.
        """
        if isinstance(self.labels, StoredArray):
            raise TypeError("masks are read as they are asked for")
        return self.labels


@dataclass(frozen=True)
class GivenLabels:
    """The labels of all splits before they are checked, and what the experiment says of them."""

    arrays: Mapping[str, LabelledArrays]
    """By the split's name, `train` among them."""
    names: Sequence[str] | None
    """The names of the classes, or of the columns or channels of other labels; None for their numbers."""
    image_size: tuple[int, int] | None
    """Height and width to which images are brought; None where they stay as they are."""
    ignored: Sequence[int | str]
    """Values of masks, and names of their classes, that do not count."""
    sequences: bool
    """Whether the inputs are sequences."""


@dataclass(frozen=True)
class ReadLabels:
    """The labels of all splits once they are checked."""

    labels: Mapping[str, NDArray[Any] | StoredArray]
    """By the split's name: class numbers int64 (examples,), which are 0 where `targets` or the inputs take their place;
    rows of numbers float32, or of 0 and 1 uint8, (examples, labels); masks uint8 (examples, height or steps, …, 1)."""
    names: tuple[str, ...]
    """The names of the classes, or of the columns or channels of other labels."""
    per_pixel: bool = False
    """Whether each pixel of an image, or each step of a sequence, has a label, and may have a weight."""
    are_inputs: bool = False
    """Whether the examples themselves are what is to be made of them."""
    targets: Mapping[str, LabelledArrays] = field(default_factory=dict)
    """Arrays that are to be made of the examples, in the place of inputs: they are checked and read as these are."""
