"""The files that are written for a user to edit: an experiment, and beside it the schema by which editors know it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerasrun.errors import DataError
from kerasrun.regular_files import open_regular

SCHEMA = ".kerasrun-schema.json"
"""The file of the schema, in the folder of the experiments that name it."""
MODELINE = f"# yaml-language-server: $schema={SCHEMA}\n"
"""The comment by which the language server for YAML finds it: a path from the experiment's own folder."""


def write_new(target: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all.

    Raises:
        DataError: if it is there, or cannot be written.
    """
    try:
        with _whole(target, text) as private:
            _name(private, target)
    except FileExistsError:
        raise DataError(
            f"{target}: is there already, and is not written over; name another file with --output FILE"
        ) from None
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from error


@contextmanager
def _whole(target: Path, text: str) -> Iterator[Path]:
    """Yield a file beside `target` that has the text, for the block to name; it is gone afterwards."""
    private = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-50:]}")
    try:
        private.write_text(text, encoding="utf-8")
        yield private
    finally:
        private.unlink(missing_ok=True)


def _name(private: Path, target: Path) -> None:
    """Give a file a name that no other file has."""
    if os.path.lexists(target):  # a rename would replace it
        raise FileExistsError(target)
    try:
        os.link(private, target)
    except FileExistsError:
        raise
    except OSError:  # this file system has no hard links
        private.rename(target)


def write_experiment(target: Path, text: str) -> None:
    """Write an experiment that is not there yet, and beside it the schema that its first line names.

    Raises:
        DataError: as `write_new` and `write_schema`.
    """
    write_new(target, MODELINE + text)
    write_schema(target.with_name(SCHEMA))


def write_schema(target: Path) -> None:
    """Write the schema of experiment files; an earlier one, perhaps of other versions, is replaced.

    Raises:
        DataError: if the file is something else, or cannot be written; an earlier one is still there.
    """
    from kerasrun.experiment.json_schema import BEGINNING, schema_text

    try:
        with open_regular(target) as file:
            is_schema = file.read(len(BEGINNING)) == BEGINNING.encode()
        if is_schema:
            with _whole(target, schema_text()) as private:
                private.replace(target)
            return
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from error
    write_new(target, schema_text())
