"""Lengths of time: how an experiment writes them (`90` seconds, `45s`, `90m`, `2h30m`, `1d`), and how we show them."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_FORM = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in "dhms"))
_SECONDS = (86400, 3600, 60, 1)


def _seconds(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if not found or not any(found.groups()):
        raise ValueError("expected a number of seconds, or a duration such as 45s, 90m, 3h, 2h30m or 1d")
    return sum(float(number) * unit for number, unit in zip(found.groups(), _SECONDS, strict=True) if number)


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
"""Seconds."""


def duration(seconds: float) -> str:
    """Return seconds as text: `0.8 s`, `42 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
