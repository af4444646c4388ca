"""Grids of cases, of which `make test` runs the first, and `make test-long` the rest."""

from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest


def rest_is_long(cases: Iterable[Any], short: int = 1) -> list[Any]:
    """Mark all cases of a grid but the first `short` as long; a tuple is a case of several arguments."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=() if at < short else pytest.mark.long)
        for at, case in zip(count(), cases)
    ]
