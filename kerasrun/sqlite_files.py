"""SQLite's files: why SQLite is not given those that somebody else may have put under their names."""

from pathlib import Path

from kerasrun.regular_files import open_regular, refusal_of_links, require_regular

SUFFIXES = ("", "-journal", "-wal", "-shm")
"""Of the files of a database, which SQLite opens by their names, through links too."""
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
"""The end of a journal of SQLite that names a super-journal."""


def refusal(database: Path) -> str | None:
    """Return why a database is not opened; None if it may be.

    SQLite removes the file that a journal names at its end; that of a single database names none.
    Source: https://www.sqlite.org/fileformat2.html#the_rollback_journal

    Raises:
        OSError: if one of the files is a pipe, a socket or a device, or cannot be read.
    """
    files = [database.with_name(f"{database.name}{suffix}") for suffix in SUFFIXES]
    if why := refusal_of_links(files):
        return why
    for file in filter(Path.exists, files):
        require_regular(file)
    journal = files[1]
    if journal.is_file():
        with open_regular(journal) as opened:
            opened.seek(max(0, journal.stat().st_size - len(_NAMES_ANOTHER)))
            if opened.read(len(_NAMES_ANOTHER)) == _NAMES_ANOTHER:
                return f"{journal} names a file that is to be removed"
    return None
