"""Rows of values in Parquet files."""

import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from kerasrun.errors import DataError, MissingProgramError
from kerasrun.reading.files import FileThatStays, first_bytes, listed
from kerasrun.reading.memory import too_packed
from kerasrun.reading.tables import Place, Table
from kerasrun.regular_files import open_regular
from kerasrun.sources._rows import LOOKED_AT, RowSource

if TYPE_CHECKING:
    import hashlib

    import numpy as np
    from numpy.typing import NDArray

_TOGETHER = 2**16
"""How many rows are read at once."""
_BLOCK = 2**24
_CELL, _ROW = 4, 100
"""How many bytes a value takes in memory, and each row beside its values while it is read: its place in the file."""
_LONGEST = 2**17
"""How many characters a value may have, as in a text file."""


class Parquet(RowSource):
    """Rows of values in Parquet files, one file for each split: a column is a feature or a label.

    Columns are given, and found in the other files, as for `csv`, and are numbers or categories like those. A message
    names a row by its number, counted from 1. Rows that would not fit into memory are
    read when they are asked for, with the group of rows that they are in: fast where groups are small. It needs
    `pip install 'kerasrun[parquet]'`. `predict` takes text files with columns of the same names.
    """

    kind: ClassVar[str] = "parquet"
    form: ClassVar[str] = "a Parquet file of rows (.parquet)"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def table(self, path: Path) -> Table:
        with _opened(path) as (file, _):
            names, about = tuple(file.schema_arrow.names), file.metadata
            unpacked = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        if why := too_packed(max(unpacked, about.num_rows * (len(names) * _CELL + _ROW)), path):
            raise DataError(f"{path}: {why}")
        if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
            raise DataError(f"{path}: has {listed(list(map(repr, repeated)))} more than once; rename the columns")
        return _ParquetTable(path, names)

    @classmethod
    def first_rows(cls, path: Path) -> tuple[list[str], list[list[str]], dict[str, Any]]:
        with _opened(path) as (file, _):
            names = file.schema_arrow.names
            columns = next(file.iter_batches(LOOKED_AT), None)
            rows = [] if columns is None else list(zip(*map(_texts, columns.columns), strict=True))
        if len(rows) < 2 or len(names) < 2:
            raise DataError(
                f"{path}: has {len(rows)} rows and {len(names)} columns; expected rows of features and labels"
            )
        return names, [list(row) for row in rows], {}


class _ParquetTable(Table):
    """A Parquet file. A block is a table of Arrow; a place is the number of a row, its group, and its row in that."""

    def blocks(
        self, positions: Sequence[int], digest: "hashlib._Hash | None" = None
    ) -> Iterator[tuple[list[Place], Any]]:
        import numpy as np
        import pyarrow

        stays, line = FileThatStays(self.path), 0
        with _opened(self.path) as (file, content):
            while digest is not None and (block := content.read(_BLOCK)):
                digest.update(block)
            about = file.metadata
            ends = np.cumsum([about.row_group(group).num_rows for group in range(file.num_row_groups)])
            # Of all groups at once: there may be thousands of a few rows.
            for batch in file.iter_batches(_TOGETHER, columns=self._named(positions)):
                rows = np.arange(line, line + len(batch))
                groups = np.searchsorted(ends, rows, "right")
                begins = np.concatenate(([0], ends))[groups]
                places = zip((rows + 1).tolist(), groups.tolist(), (rows - begins).tolist(), strict=True)
                yield list(places), pyarrow.Table.from_batches([batch])
                line += len(batch)
        stays.check()

    def rows_at(self, places: Sequence[Place], positions: Sequence[int]) -> Any:
        import numpy as np
        import pyarrow

        names, found, order = self._named(positions), [], []
        with _opened(self.path) as (file, _):
            for group in sorted({group for _, group, _ in places}):
                asked = [place for place, (_, one, _) in enumerate(places) if one == group]
                found.append(file.read_row_group(group, names).take([places[place][2] for place in asked]))
                order += asked
            if not found:
                return file.schema_arrow.empty_table().select(names)
        return pyarrow.concat_tables(found).take(np.argsort(order))

    def numbers(
        self, positions: Sequence[int], rows: Any, lines: Sequence[int], *, gaps: bool = False, answers: bool = False
    ) -> "NDArray[np.float32]":
        import numpy as np

        from kerasrun.reading.inputs import note_rounded

        found = np.empty((len(lines), len(positions)), np.float32)
        for place, position in enumerate(positions):
            with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
                values = self._numbers(position, rows, lines, gaps=gaps)
                found[:, place] = values
            note_rounded(values, f"{self.path}: {self.name(position)}")
            wrong = ~np.isfinite(found[:, place]) & ~(np.isnan(values) & gaps)
            for row in np.flatnonzero(wrong).tolist():
                value = rows.column(self.columns[position])[row].as_py()
                raise DataError(
                    f"{self.path}:{lines[row]}: {self.name(position)}: {value}; expected a finite number (as float32)"
                )
        return found

    def _texts(self, position: int, rows: Any, lines: Sequence[int]) -> list[str]:
        from pyarrow import types

        column = rows.column(self.columns[position])
        kind = _type_of_values(column)
        if types.is_nested(kind) or types.is_binary(kind):
            raise self._of_type(position, kind, "text or numbers")
        with _explained(self.path):
            texts = _texts(column)
        if longest := max((text for text in set(texts) if len(text) > _LONGEST), key=len, default=None):
            place = f"{self.path}:{lines[texts.index(longest)]}: {self.name(position)}"
            raise DataError(f"{place}: a value of {len(longest):,} characters; expected at most {_LONGEST:,}")
        return texts

    def _numbers(self, position: int, rows: Any, lines: Sequence[int], *, gaps: bool) -> "NDArray[np.float64]":
        import numpy as np
        import pyarrow
        from pyarrow import types

        column = rows.column(self.columns[position])
        kind = _type_of_values(column)
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)):
            raise self._of_type(position, kind, "numbers")
        column = column.cast(kind)
        if column.null_count and not gaps:
            line = lines[int(column.is_null().to_numpy().argmax())]
            raise DataError(f"{self.path}:{line}: {self.name(position)}: a missing value; expected a number")
        with _explained(self.path):
            numbers: NDArray[np.float64] = column.cast(pyarrow.float64(), safe=False).to_numpy()
        return numbers

    def _of_type(self, position: int, kind: object, expected: str) -> DataError:
        return DataError(f"{self.path}: {self.name(position)} holds values of the type {kind}; expected {expected}")

    def _named(self, positions: Sequence[int]) -> list[str]:
        return [self.columns[position] for position in positions]


def _type_of_values(column: Any) -> Any:
    from pyarrow import types

    return column.type.value_type if types.is_dictionary(column.type) else column.type


def _texts(column: Any) -> list[str]:
    """Return the values of a column as a text file would have them; a missing one is empty.

    Values that the file has once, for many rows, are so in memory too.
    """
    from pyarrow import types

    if not types.is_dictionary(column.type):
        return _written(column.to_pylist())
    texts: list[str] = []
    for chunk in getattr(column, "chunks", [column]):
        own = [*_written(chunk.dictionary.to_pylist()), ""]
        texts += [own[-1 if number is None else number] for number in chunk.indices.to_pylist()]
    return texts


def _written(values: list[Any]) -> list[str]:
    return [
        "" if value is None or value != value else str(value).lower() if isinstance(value, bool) else str(value).strip()
        for value in values
    ]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, IO[bytes]]]:
    """Open a file with pyarrow, which reads more of it as it is asked to; the bytes of it are given too.

    Raises:
        MissingProgramError: if pyarrow is not installed.
        DataError: if the file cannot be read, now or later.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingProgramError(
            "the source parquet needs pyarrow, which is not part of a plain installation: "
            "pip install 'kerasrun[parquet]'"
        )
    from pyarrow import parquet, types

    first_bytes(path, "a Parquet file")
    with _explained(path), open_regular(path) as content:
        about = parquet.read_metadata(content)
        texts = [one.name for one in about.schema.to_arrow_schema() if types.is_string(one.type)]
        options = {"metadata": about, "read_dictionary": texts, "page_checksum_verification": True}
        with parquet.ParquetFile(content, **options) as file:
            content.seek(0)
            yield file, content


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises into an error with the name of the file."""
    import pyarrow

    try:
        yield
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:  # a date beyond the year 9999
        reason = str(error).strip().splitlines()
        raise DataError(
            f"{path}: is not a Parquet file, or is damaged or truncated: {reason[0] if reason else error!r}"
        ) from error
