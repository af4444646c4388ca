"""JSON that somebody else may have written: read within limits, and held against the type that it should have."""

import functools
import json
from typing import Any, TypeVar

from kerasrun.regular_files import LARGEST_TEXT
from kerasrun.text.problems import dotted, shown

T = TypeVar("T")

MOST_LEVELS = 100
"""How deep values may be nested; of YAML as well."""
MOST_COLLECTIONS = 2**20
"""How many objects and lists there may be: each takes dozens of times the memory of its text."""


def parse(content: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: if it is none, or is beyond a limit; the sentence lacks its beginning, the name of the file.
    """
    text = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"has more than {LARGEST_TEXT:,} bytes")
    if (collections := text.count(b"{") + text.count(b"[")) > MOST_COLLECTIONS:
        raise ValueError(f"has more than {MOST_COLLECTIONS:,} lists and objects")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error
    inner, levels = [value] if collections > MOST_LEVELS else [], 0
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


def _within(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter  # not above: who lists commands needs nothing of it

    return TypeAdapter(kind)
