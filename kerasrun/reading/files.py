"""Finding files: what counts as an image, what is passed over, and what to say when something is not there."""

import difflib
import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kerasrun.errors import DataError
from kerasrun.regular_files import open_regular, sha256_of_file

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".gif", ".webp", ".tif", ".tiff"}
)
"""The extensions of images, compared without regard to case."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
"""The first bytes of images whose names have no extension; WebP is `RIFF....WEBP`."""
NOT_READ = {
    **dict.fromkeys((".heic", ".heif"), "HEIC"),
    ".avif": "AVIF",
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"), "camera RAW"),
    ".jxl": "JPEG XL",
    ".svg": "SVG",
}
"""Images that are not read: the extension and what they are called."""

IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""The names of what operating systems leave in folders, beside those that begin with a dot; without regard to case."""


def image_files(arguments: Iterable[str | Path]) -> list[Path]:
    """Return the image files that files, folders (searched through all their folders) and globs stand for.

    A file is taken as it is named; from folders and globs come the visible files with an image's extension, sorted.

    Raises:
        DataError: if something does not exist, or a folder or a glob yields no image.
    """
    return [file for argument in arguments for file in _stood_for(argument)]


def _stood_for(argument: str | Path) -> list[Path]:
    if not str(argument):
        raise DataError("an empty name; expected an image file, a folder or a glob")
    path = Path(argument)
    expected = "an image file, a folder or a glob"
    try:
        if path.is_dir():
            files = [file for file in files_below(path) if is_image(file)]
        elif path.exists():
            files = [path]
        elif glob.has_magic(str(argument)):
            matches = sorted(_matches(path), key=str)
            files = [match for match in matches if match.is_file() and is_visible(match.name) and is_image(match)]
        else:
            raise missing(path, expected)
    except OSError as error:
        raise unreadable(path, error, expected) from error
    if not files:
        raise DataError(f"{argument}: no image here; expected files ending in {listed(sorted(IMAGE_SUFFIXES))}")
    return files


def _matches(pattern: Path) -> set[Path]:
    """Return what a glob stands for; `**` for each folder once, since `glob` follows links that lead round for ever."""
    if "**" not in pattern.parts:
        return set(map(Path, glob.glob(str(pattern))))  # noqa: PTH207  `Path.glob` takes no absolute pattern
    place = pattern.parts.index("**")
    above, rest = Path(*pattern.parts[:place]), pattern.parts[place + 1 :] or ("*",)
    folders = [folder for top in _matches(above) if top.is_dir() for folder, _ in _folders_below(top)]
    return {one for folder in folders for one in _matches(Path(glob.escape(str(folder)), *rest))}


def files_below(folder: Path) -> list[Path]:
    """Return the visible files in a folder and in all of its folders, those of a folder before those of the next.

    A folder to which several links lead is listed once. Errors are those of `list_folder`.
    """
    return [file for _, files in _folders_below(folder) for file in files]


def _folders_below(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Give a folder and all folders in it, each once, with their visible files."""
    seen, waiting = set(), [folder]
    while waiting:
        files, folders = list_folder(one := waiting.pop())
        state = one.stat()
        if (state.st_dev, state.st_ino) not in seen:
            seen.add((state.st_dev, state.st_ino))
            yield one, files
            waiting += reversed(folders)


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the visible files and the visible folders in `folder`, each sorted by name.

    Raises:
        DataError: if `folder` is missing, is a file, or may not be read.
    """
    files: list[Path] = []
    folders: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_visible(entry.name):
                    (folders if entry.is_dir() else files).append(folder / entry.name)
    except OSError as error:
        raise unreadable(folder, error, "a folder") from error
    return files, folders


def is_visible(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in IGNORED_NAMES


def is_image(path: Path) -> bool:
    """Return whether a file is an image by its extension; without one, by how it begins."""
    if path.suffix:
        return path.suffix.lower() in IMAGE_SUFFIXES
    try:
        with open_regular(path) as file:
            begin = file.read(12)
    except OSError:
        return False
    return begin.startswith(_BEGINNINGS) or (begin[:4] == b"RIFF" and begin[8:] == b"WEBP")


def passed_over(files: Iterable[Path]) -> str | None:
    """Return in one line which files are not images, counted by their extensions; None if all are."""
    counts = Counter(file.suffix.lower() or "without an extension" for file in files if not is_image(file))
    if not counts:
        return None
    images = sorted({NOT_READ[suffix] for suffix in counts if suffix in NOT_READ})
    advice = f"; {' and '.join(images)} images are not read, convert them to JPEG or PNG" if images else ""
    return listed([f"{count} {suffix}" for suffix, count in sorted(counts.items())]) + advice


class FileThatStays:
    """A file that is read again and again, and must be what it was when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = self._current()

    def check(self) -> None:
        """Raise a `DataError` if it was written since, or is gone."""
        if self._current() != self._state:
            raise DataError(f"{self.path}: was changed after the data were opened; expected a file that stays")

    def _current(self) -> tuple[int, int]:
        try:
            state = self.path.stat()
        except OSError as error:
            raise unreadable(self.path, error, "the file that was opened") from error
        return state.st_size, state.st_mtime_ns


def sha256_of(entries: Iterable[Sequence[str]]) -> str:
    """Return the sha256 of texts, a line for each, as hexadecimal text."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update("".join(f"{text}\n" for text in entry).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def sha256_of_content(path: Path) -> str:
    """Return the sha256 of a file, as hexadecimal text; raises as `first_bytes`."""
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise unreadable(path, error, "a file") from error


def stamp(path: Path) -> str:
    """Return a text that changes when a file is written, as far as its file system reports, but not if it is moved."""
    try:
        state = path.stat()
    except OSError:  # reading it reports what is wrong
        return "none"
    return f"{state.st_size} {state.st_mtime_ns}"


def first_bytes(path: Path, expected: str) -> bytes:
    """Read the first 8 bytes of a file, or raise a `DataError`: what the system reports is clearer than a library's."""
    try:
        with open_regular(path) as file:
            return file.read(8)
    except OSError as error:
        raise unreadable(path, error, expected) from error


def unreadable(path: Path, error: OSError, expected: str) -> DataError:
    """Return the error for a path that the operating system does not open."""
    if isinstance(error, FileNotFoundError | NotADirectoryError) and not path.exists():
        return missing(path, expected)
    return DataError(f"{path}: cannot be read: {error.strerror}; expected {expected}")


def missing(path: Path, expected: str) -> DataError:
    """Return the error for a path that does not exist: how far the path goes, and the nearest name there."""
    parent, name = path.parent, path.name
    while not parent.exists() and parent != parent.parent:
        parent, name = parent.parent, parent.name
    advice = f"{parent.absolute()} exists, but has no {name!r}"
    if not parent.is_dir():
        return DataError(f"{path}: does not exist; expected {expected}; {parent} is a file, not a folder")
    try:
        names = [entry.name for entry in parent.iterdir() if is_visible(entry.name)]
    except OSError:  # it may be entered, but not listed: there is nothing to suggest
        names = []
    near = difflib.get_close_matches(name, names, n=1)
    return DataError(
        f"{path}: does not exist; expected {expected}; {advice}"
        + (f"; did you mean {parent / near[0]}?" if near else "")
    )


def listed(names: Sequence[str], limit: int = 10, separator: str = ", ") -> str:
    """Return at most `limit` names as text, and the number of the others."""
    more = len(names) - limit
    return separator.join(names[:limit]) + (f"{separator}and {more} more" if more > 0 else "")
