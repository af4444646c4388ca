"""What the sources of arrays have read of a split, before it is checked."""

from dataclasses import dataclass
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
