"""What may change between a run and its resumption: only what leaves the steps already taken true."""

from collections.abc import Iterator, Mapping
from typing import Any

from kerasrun.errors import UsageError
from kerasrun.experiment.resolved import as_plain
from kerasrun.experiment.schema import Experiment

ALLOWED = ("fit.epochs", "checkpoint")


def check_changes(before: Experiment, after: Experiment) -> None:
    """
    Raises:
        UsageError: naming every key that may not change.
    """
    old, new = as_plain(before), as_plain(after)
    changed = [key for key in _differences(old, new, "") if not _is_allowed(key)]
    if changed:
        raise UsageError(
            f"a resumed run cannot change {', '.join(changed)}: the steps already taken would no longer be true. "
            "It may change fit.epochs, paths of the data, and checkpoint; for the rest start a new run with "
            "kerasrun train"
        )


def _differences(old: Any, new: Any, key: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key


def _is_allowed(key: str) -> bool:
    if key.startswith("data."):
        return True  # the data's fingerprint tells whether they are the same
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in ALLOWED)
