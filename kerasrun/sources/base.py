"""The base of the kinds of data."""

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from kerasrun.components import Kind
from kerasrun.reading.data import Data, LabelKind, Shape


class Source(Kind):
    """Base of the kinds of data. Fields of type `Path` hold absolute paths once the experiment is loaded."""

    limit: Annotated[int, Field(ge=1)] | None = None
    """For a quick try: at most so many examples of each split, evenly spaced, with the same share of every class."""

    @property
    def label_kind(self) -> LabelKind:
        """What the labels are, as far as the experiment decides; `Data` has the same."""
        return "classes"

    @property
    def example_shape(self) -> Shape | None:
        """What the experiment says of the shape of an example; None where only the data tell what it is."""
        return None

    @property
    def listed_classes(self) -> tuple[str, ...] | None:
        """The classes in the order of their numbers, where the experiment lists them."""
        return getattr(self, "classes", None)

    @property
    def label_columns(self) -> int | None:
        """How many labels an example has, as far as the experiment decides."""
        return None

    @abstractmethod
    def open(self) -> Data:
        """Find everything; read and check what is small, and begin to read the rest; leave out what is beyond `limit`.

        Raises:
            DataError: if anything is missing, damaged or contradicts itself; the message names the file. For what is
                read later, `Data.fingerprint` raises it.
        """
