"""JSON that somebody else may have written: read within limits, and held against the type that it should have."""

import functools
import json
import zipfile
from pathlib import Path
from typing import Any, TypeVar

from kerasrun.text.problems import dotted, shown

T = TypeVar("T")

MOST_LEVELS = 100
"""How deep values may be nested; of YAML as well."""
MOST_BYTES = 2**25
"""How large a file of text may be: that of a checkpoint with the tables of 100,000 epochs is smaller."""
MOST_COLLECTIONS = 2**20
"""How many objects and lists there may be: each takes dozens of times the memory of its text."""


def read_file(path: Path) -> bytes:
    """Return the content of a file; of nothing but a file, as a pipe or a device may have no end.

    Raises:
        OSError: if the system does not give it.
        ValueError: if it is none, or has too many bytes; the sentence lacks its beginning, the name of the file.
    """
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    with path.open("rb") as file:
        return _within_limit(file.read(MOST_BYTES + 1))


def read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file in a zip, which says itself how large it becomes; raises as `read_file`, and a KeyError."""
    with archive.open(name) as file:
        return _within_limit(file.read(MOST_BYTES + 1))


def parse(content: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: as `read_file`, if it is none, or is beyond a limit.
    """
    text = _within_limit(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    if text.count(b"{") + text.count(b"[") > MOST_COLLECTIONS:
        raise ValueError(f"has more than {MOST_COLLECTIONS:,} lists and objects")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error
    inner, levels = [value], 0
    while inner := [one for outer in inner for one in _within(outer) if isinstance(one, dict | list)]:
        levels += 1
        if levels > MOST_LEVELS:
            raise ValueError(f"is nested too deeply, in more than {MOST_LEVELS} levels")
    return value


def checked(kind: type[T], content: Any) -> T:
    """Return a value as an object of its type; from bytes, a list of JSON may be a tuple, an object a dataclass.

    Raises:
        ValueError: naming the key path of the first thing that is not of the type.
    """
    from pydantic import ValidationError

    hashable: Any = kind
    adapter = _adapter(hashable)
    try:
        validate = adapter.validate_json if isinstance(content, bytes) else adapter.validate_python
        found: T = validate(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        expected = first["msg"].replace("Input should be", "expected").replace("Field required", "is missing")
        received = "" if first["type"] == "missing" else f", received {shown(first['input'])}"
        raise ValueError(f"{dotted(first['loc'])}: {expected}{received}") from error
    return found


def _within_limit(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES:,} bytes")
    return content


def _within(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter  # not above: who lists commands needs nothing of it

    return TypeAdapter(kind)
