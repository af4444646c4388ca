"""The conditions of `runs --where`: `NAME OP VALUE`, several joined by `and`. Nothing of them is executed.

A value is a number, a word, or text in quotation marks. Numbers are compared as numbers, anything else as text; a run
that has no value under the name never matches.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kerasrun.errors import UsageError
from kerasrun.text.problems import shown

_OPERATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    **{"<=": operator.le, ">=": operator.ge, "!=": operator.ne, "==": operator.eq},
    **{"<": operator.lt, ">": operator.gt, "=": operator.eq},
}
_NAME = r"[^\s<>=!'\"]+"
_ONE = re.compile(rf"\s*({_NAME})\s*({'|'.join(_OPERATIONS)})\s*(?:'([^']*)'|\"([^\"]*)\"|([^\s<>=!'\"]+))\s*")


@dataclass(frozen=True)
class Condition:
    """One comparison."""

    name: str
    operation: str
    value: str

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether it is true of the values of a run."""
        found = values.get(self.name)
        if found is None:
            return False
        both = number_of(found), number_of(self.value)
        left, right = both if None not in both else (str(found), self.value)
        return _OPERATIONS[self.operation](left, right)


def parse(text: str) -> list[Condition]:
    """Return the conditions that must all hold.

    Raises:
        UsageError: if the text is not of the form.
    """
    conditions, place = [], 0
    while True:
        found = _ONE.match(text, place)
        if found is None:
            break
        name, operation, *values = found.groups()
        conditions.append(Condition(name, operation, next(value for value in values if value is not None)))
        place = found.end()
        if place == len(text):
            return conditions
        joined = re.compile(r"(?<=[\s'\"])and(?=\s)").match(text, place)
        if joined is None:
            break
        place = joined.end()
    raise UsageError(
        f"--where {shown(text)}: expected NAME OP VALUE at {shown(text[place:].strip())}, such as 'val_accuracy > 0.9 "
        f"and status = finished'; OP is one of {' '.join(_OPERATIONS)}"
    )


def number_of(value: Any) -> float | None:
    """Return a number, or text that is one, as a number; None for anything else."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
