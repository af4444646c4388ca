"""The tables of a run, and how it is taken back to a checkpoint.

`metrics.csv` and `timings.csv` have one row an epoch. Floats are written so that they come back bit for bit, and a
resumed run cuts off what came after its checkpoint; a run that was never killed then has the same bytes.
"""

import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from kerasrun.errors import RunDirectoryError
from kerasrun.regular_files import read_bytes
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory
from kerasrun.text.problems import shown

Cell = int | float | None
"""None where an epoch has no such value: one without validation has none of `val_…`."""
Row = Mapping[str, Cell]
_MOST_CELLS = 2**21
"""A million epochs of a loss: each cell takes several times the memory of its text."""
_MOST_COLUMNS = 10_000
"""More than the logs of any training, and few enough to be compared and listed in a second."""
_CHANGED = "the file is damaged, or was changed by hand; kerasrun resume puts it back from a checkpoint"


class Table:
    """A CSV file with a header and numbers, or empty cells; the first column, `epoch`, holds integers. No rows, no
    file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._size: int | None = None
        """How many bytes the file had after the last row that this object has appended."""

    def rows(self) -> list[dict[str, Cell]]:
        """Return every row; empty where there is no file.

        Raises:
            RunDirectoryError: if it cannot be read, a line has a wrong number of cells, or a cell is not a number.
        """
        header, lines = self._read()
        return [self._row(number, header, cells) for number, cells in enumerate(lines, start=2)]

    def of_epoch(self, epoch: int | None) -> tuple[int, dict[str, Cell]]:
        """Return how many rows there are, and the one of an epoch, else the last; the others are not looked at.

        Raises:
            RunDirectoryError: as `rows`.
        """
        header, lines = self._read()
        place = next((place for place, cells in enumerate(lines) if cells[:1] == [str(epoch)]), len(lines) - 1)
        return len(lines), self._row(place + 2, header, lines[place]) if lines else {}

    def column(self, name: str) -> list[str]:
        """Return the text of each cell of a column; empty where there is none.

        Raises:
            RunDirectoryError: if the file cannot be read, or a line has too few cells.
        """
        header, lines = self._read()
        if name not in header:
            return []
        place = header.index(name)
        for number, cells in enumerate(lines, start=2):
            if len(cells) <= place:
                raise RunDirectoryError(f"{self.path}:{number}: no {name}; {_CHANGED}")
        return [cells[place] for cells in lines]

    def _read(self) -> tuple[list[str], list[list[str]]]:
        """Return the names of the columns and the cells of each line."""
        text = self.text()
        if not text:
            return [], []
        if text.count(",") + text.count("\n") > _MOST_CELLS:
            raise RunDirectoryError(f"{self.path} has more than {_MOST_CELLS:,} cells; {_CHANGED}")
        try:
            header, *lines = list(csv.reader(io.StringIO(text))) or [[]]
        except csv.Error as error:
            raise RunDirectoryError(f"{self.path}: {error}; {_CHANGED}") from error
        if len(header) > _MOST_COLUMNS:
            raise RunDirectoryError(f"{self.path} has more than {_MOST_COLUMNS:,} columns; {_CHANGED}")
        if header[:1] != ["epoch"] or len(set(header)) < len(header):
            raise RunDirectoryError(f"{self.path}:1: no columns, expected 'epoch' and others; {_CHANGED}")
        return header, lines

    def text(self) -> str:
        """Return every line of the file but one that is still being written; empty where there is no file."""
        try:
            content = read_bytes(self.path)
            return content[: content.rfind(b"\n") + 1].decode()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise RunDirectoryError(f"{self.path} cannot be read: {error}") from error
        except ValueError as error:
            raise RunDirectoryError(f"{self.path} {error}") from error

    def append(self, row: Row) -> None:
        """Add a row; the first one sets the columns and their order, and a later one must have the same.

        Raises:
            RunDirectoryError: if the columns differ or the disk refuses; the table is as it was.
        """
        if self._size is not None and self._size == atomic.sizes(self.path).get(self.path):
            line = _lines(self.path, self._columns, [row])
            atomic.append(self.path, line.encode(), self._size)
            self._size += len(line)
            return
        rows = [*self.rows(), row]
        self.rewrite(rows)
        self._columns, self._size = list(rows[0]), atomic.sizes(self.path)[self.path]

    def flush(self) -> None:
        """Wait until what was appended is on the disk; a user may have removed the file."""
        if self._size is not None:
            with atomic.explained(self.path), contextlib.suppress(FileNotFoundError):
                atomic.flush(self.path)

    def damage(self, text: str) -> str | None:
        """Return what is wrong with a file that should begin with `text`, as a sentence; None if nothing is."""
        try:
            present = read_bytes(self.path)
        except FileNotFoundError:
            return f"{self.path} is missing" if text else None
        except OSError as error:
            return f"{self.path} cannot be read: {error.strerror}"
        except ValueError as error:
            return f"{self.path} {error}"
        if present.startswith(text.encode()):
            return None
        rows = zip_longest(io.BytesIO(text.encode()), io.BytesIO(present))
        line = next(number for number, (written, found) in enumerate(rows, start=1) if written != found)
        return f"{self.path}:{line} is not what was written"

    def take_back(self, text: str) -> None:
        """Make `text` the whole file; no text, no file."""
        if text:
            atomic.write_text(self.path, text)
        else:
            atomic.remove_file(self.path)

    def rewrite(self, rows: Sequence[Row]) -> None:
        """Replace the whole table at once."""
        if not rows:
            self.take_back("")
            return
        columns = list(rows[0])
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(columns)
        self.take_back(header.getvalue() + _lines(self.path, columns, rows))

    def _row(self, number: int, header: list[str], cells: list[str]) -> dict[str, Cell]:
        if len(cells) != len(header):
            raise RunDirectoryError(f"{self.path}:{number}: {len(cells)} cells, expected {len(header)}; {_CHANGED}")
        try:
            return {name: _number(name, cell) for name, cell in zip(header, cells, strict=True)}
        except ValueError as error:
            raise RunDirectoryError(f"{self.path}:{number}: {error}; {_CHANGED}") from error


def _lines(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Return the lines of rows, which must have these columns in any order."""
    for row in rows:
        if set(row) != set(columns):
            raise RunDirectoryError(f"{path} has the columns {', '.join(columns)}, not {', '.join(row)}")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(name, row[name]) for name in columns] for row in rows)
    return text.getvalue()


def _number(column: str, cell: str) -> Cell:
    if column == "epoch":
        if not cell.isdecimal() or len(cell) > 15:
            raise ValueError(f"the epoch {shown(cell)}, expected a number")
        return int(cell)
    return float(cell) if cell else None


def _cell(column: str, value: Cell) -> str:
    if value is None:
        return ""
    return repr(int(value) if column == "epoch" else float(value))  # a NumPy scalar's own repr names its type


def sizes(run: RunDirectory, output: Path) -> dict[str, int]:
    """Return the bytes of a file that grows, or of TensorBoard's in a folder, by its path relative to the run."""
    found = {path.relative_to(run.root).as_posix(): size for path, size in atomic.sizes(output).items()}
    return {name: size for name, size in found.items() if _grows(run, output, name)}


def cut_back(run: RunDirectory, output: Path, recorded: Mapping[str, int]) -> tuple[str, ...]:
    """Take a file, or TensorBoard's in a folder, back to the sizes that `sizes` recorded: younger files go, longer ones
    are cut, and others in the folder, such as profiles and notes, stay.

    What is missing or too short cannot be brought back. Nothing is computed from these outputs, and a user may have
    removed them to make room, so that this stops no resume: it is returned as sentences for the user.
    """
    present = sizes(run, output)
    for name, size in present.items():
        if name not in recorded:
            atomic.remove_file(run.root / name)
        elif size > recorded[name]:
            atomic.truncate(run.root / name, recorded[name])
    return tuple(
        f"{run.root / name} {_lack(present.get(name), size)}; it is not complete any more"
        for name, size in recorded.items()
        if _grows(run, output, name) and present.get(name, -1) < size
    )


def _grows(run: RunDirectory, output: Path, name: str) -> bool:
    """Return whether a file is an output itself, or one of TensorBoard's in it."""
    file = run.root / name
    return file == output or (file.parent == output and file.name.startswith("events.out.tfevents."))


def _lack(present: int | None, size: int) -> str:
    return "is missing" if present is None else f"has {present} of {size} bytes"
