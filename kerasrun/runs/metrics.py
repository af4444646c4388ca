"""The tables of a run, and how it is taken back to a checkpoint.

`metrics.csv` and `timings.csv` have one row an epoch. Floats are written so that they come back bit for bit, and a
resumed run cuts off what came after its checkpoint; a run that was never killed then has the same bytes.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasrun.errors import RunDirectoryError
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory

Row = Mapping[str, int | float]
_CHANGED = "the file was changed by hand; put it back from a copy"


class Table:
    """A CSV file with a header and numbers; the first column, `epoch`, holds integers. No rows, no file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, int | float]]:
        """Every row; empty where there is no file.

        Raises:
            RunDirectoryError: if the file cannot be read, or a line has a wrong number of cells or a cell is no number.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise RunDirectoryError(f"{self.path} cannot be read: {error}") from error
        header, *lines = list(csv.reader(io.StringIO(text))) or [[]]
        return [self._row(number, header, cells) for number, cells in enumerate(lines, start=2)]

    def append(self, row: Row) -> None:
        """Add a row; the first one sets the columns and their order, and a later one must have the same.

        Raises:
            RunDirectoryError: if the columns differ or the disk refuses; the table is as it was.
        """
        self.rewrite([*self.rows(), row])

    def truncate_to(self, rows: int) -> None:
        """Keep the first `rows` rows.

        Raises:
            RunDirectoryError: if there are fewer.
        """
        present = self.rows()
        if len(present) < rows:
            raise RunDirectoryError(
                f"{self.path} has {len(present)} rows, but the checkpoint was taken after {rows}; "
                "put the file back from a copy"
            )
        if len(present) > rows:
            self.rewrite(present[:rows])

    def rewrite(self, rows: Sequence[Row]) -> None:
        """Replace the whole table at once."""
        if not rows:
            atomic.remove_file(self.path)
            return
        header = list(rows[0])
        for row in rows:
            if set(row) != set(header):
                raise RunDirectoryError(f"{self.path} has the columns {', '.join(header)}, not {', '.join(row)}")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(column, row[column]) for column in header] for row in rows)
        atomic.write_text(self.path, text.getvalue())

    def _row(self, number: int, header: list[str], cells: list[str]) -> dict[str, int | float]:
        if len(cells) != len(header):
            raise RunDirectoryError(f"{self.path}:{number}: {len(cells)} cells, expected {len(header)}; {_CHANGED}")
        try:
            return {name: _number(name, cell) for name, cell in zip(header, cells, strict=True)}
        except ValueError as error:
            raise RunDirectoryError(f"{self.path}:{number}: {error}; {_CHANGED}") from error


def _number(column: str, cell: str) -> int | float:
    return int(cell) if column == "epoch" else float(cell)


def _cell(column: str, value: int | float) -> str:
    return repr(int(value) if column == "epoch" else float(value))  # a NumPy scalar's own repr names its type


def sizes(run: RunDirectory, output: Path) -> dict[str, int]:
    """Bytes of a file that grows, or of every file in a folder, by its path relative to the run."""
    return {_relative(run, path): path.stat().st_size for path in _files(output)}


def cut_back(run: RunDirectory, output: Path, recorded: Mapping[str, int]) -> tuple[str, ...]:
    """Take a file, or the files of a folder, back to the sizes that `sizes` recorded: younger files go, longer ones are
    cut.

    What is missing or too short cannot be brought back. Nothing is computed from these outputs, and a user may have
    removed them to make room, so that this stops no resume: it is returned as sentences for the user.
    """
    present = {_relative(run, path): path for path in _files(output)}
    for name, path in present.items():
        if name not in recorded:
            atomic.remove_file(path)
        elif path.stat().st_size > recorded[name]:
            atomic.truncate(path, recorded[name])
    return tuple(
        f"{run.root / name} {_lack(present.get(name), size)}; it is not complete any more"
        for name, size in recorded.items()
        if name not in present or present[name].stat().st_size < size
    )


def _files(output: Path) -> list[Path]:
    if output.is_file():
        return [output]
    return sorted(path for path in output.rglob("*") if path.is_file()) if output.is_dir() else []


def _relative(run: RunDirectory, path: Path) -> str:
    return path.relative_to(run.root).as_posix()


def _lack(path: Path | None, size: int) -> str:
    return f"has {path.stat().st_size} of {size} bytes" if path else "is missing"
