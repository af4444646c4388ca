"""How an experiment writes a length of time and an amount of memory.

A time is `90` (seconds), `45s`, `90m`, `3h`, `2h30m` or `1d`. Memory is `0.25` (a share of what is free), `500MB`,
`2GB` or `1.5GiB`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

_DURATION = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in "dhms"))
_SECONDS = (86400, 3600, 60, 1)
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_AMOUNT = re.compile(rf"(\d{{1,15}}(?:\.\d+)?) ?({'|'.join(_UNITS)})")


def _number_or(pattern: re.Pattern[str], words: str) -> WithJsonSchema:
    """Return what JSON Schema says of a number that may also be written as such a text."""
    keywords = {"minimum": 0, "minLength": 1, "pattern": f"^{pattern.pattern}$", "patternErrorMessage": words}
    return WithJsonSchema({"type": ["number", "string"], **keywords})


def _seconds(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found or not any(found.groups()):
        raise ValueError("expected a number of seconds, or a duration such as 45s, 90m, 3h, 2h30m or 1d")
    return sum(float(number) * unit for number, unit in zip(found.groups(), _SECONDS, strict=True) if number)


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(gt=0, allow_inf_nan=False),
    _number_or(_DURATION, "expected a duration such as 90m"),
]
"""Seconds."""


def duration(seconds: float) -> str:
    """Return seconds as text: `0.8 s`, `42 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def amount(size: float) -> str:
    """Return bytes as text: `812 B`, `1.2 MB`, `45 GB`."""
    units = iter(("kB", "MB", "GB", "TB", "PB", "EB"))
    unit = "B"
    while size >= 999.5 and (larger := next(units, None)):
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}" if size < 9.95 and unit != "B" else f"{size:.0f} {unit}"


def _bytes(value: Any) -> int | None:
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    return int(float(found[1]) * _UNITS[found[2]]) if found else None


def _bytes_or_share(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value >= 0 and (value <= 1 or float(value).is_integer()):  # bytes are whole
        return value
    amount = _bytes(value)
    if amount is None or amount == 1:  # which would be read as a share, all of the memory
        raise ValueError("expected a share of the free memory from 0 to 1, or an amount such as 500MB, 2GB or 1.5GiB")
    return amount


Memory = Annotated[
    float,
    BeforeValidator(_bytes_or_share),
    Field(ge=0, allow_inf_nan=False),
    _number_or(_AMOUNT, "expected an amount such as 2GB"),
]
"""A share of what is free, up to 1; else bytes."""


def _bytes_on_disk(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == "auto" or (is_number and (value == 0 or (value > 1 and float(value).is_integer()))):
        return value
    amount = _bytes(value)
    if amount is None or amount == 1:  # which nobody means
        raise ValueError("expected auto, 0, or an amount such as 500MB, 50GB or 1.5TiB")
    return amount


Disk = Annotated[
    Literal["auto"]
    | Annotated[float, Field(ge=0, allow_inf_nan=False), _number_or(_AMOUNT, "expected an amount such as 2GB")],
    BeforeValidator(_bytes_on_disk),
]
"""Bytes, or `auto`."""
