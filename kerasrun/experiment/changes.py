"""Check what a resume changes in its experiment: only what leaves the steps already taken true."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasrun.errors import UsageError
from kerasrun.experiment.resolved import as_plain, flow_yaml
from kerasrun.experiment.schema import Experiment

# Another device is refused, unless accepted, where it is compared: `kerasrun/training/resuming/compatibility.py`.
ALLOWED = (
    "fit.epochs",
    "fit.verbose",
    "checkpoint.epochs",
    "checkpoint.seconds_between",
    "checkpoint.seconds",
    "checkpoint.keep",
    "cache.memory",
    "cache.disk",
    "time_limit",
    "track",
    "report",
    "device",
)


def check_changes(before: Experiment, after: Experiment) -> None:
    """
    Raises:
        UsageError: naming every key that may not change.
    """
    old, new = as_plain(before), as_plain(_with_last_epochs_of(before, after))
    changed = [key for key in _differences(old, new, "") if not _is_allowed(key, after)]
    if changed:
        raise UsageError(
            f"a resumed run cannot change {', '.join(changed)}: the steps already taken would no longer be true. "
            f"It may change {', '.join(ALLOWED)} and paths of the data; for the rest start a new run with "
            "kerasrun train"
        )


def what_stays(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment in plain form without what a resume may change."""
    plain = as_plain(experiment)
    del plain["sweep"]  # training leaves it aside
    for key in list(_leaves(plain, "")):
        if _is_allowed(key, experiment):
            _taken(plain, key)
    if experiment.stages:
        del plain["stages"][-1]["epochs"]
    return plain


def allowed_changes(before: Experiment, after: Experiment) -> list[str]:
    """Return what differs and a resume may change, as `key.path=value` of `after`."""
    new = as_plain(after)
    keys = [key for key in _differences(as_plain(before), new, "") if _is_allowed(key, after)]
    changes = [f"{key}={flow_yaml(_taken(new, key))}" for key in keys]
    if before.stages and after.stages and before.stages[-1].epochs != after.stages[-1].epochs:
        changes.append(f"stages.{len(after.stages) - 1}.epochs={after.stages[-1].epochs}")
    return changes


def data_paths(experiment: Experiment) -> dict[str, str]:
    """Return the paths that the section `data` names, by key."""
    return {name: str(value) for name, value in vars(experiment.data).items() if isinstance(value, Path)}


def _taken(plain: dict[str, Any], key: str) -> Any:
    """Take the value at a key path out of nested mappings, and return it."""
    *outer, last = key.split(".")
    for name in outer:
        plain = plain[name]
    return plain.pop(last)


def _leaves(plain: Mapping[str, Any], key: str) -> Iterator[str]:
    for name, value in plain.items():
        path = f"{key}.{name}" if key else name
        yield from _leaves(value, path) if isinstance(value, Mapping) else (path,)


def _with_last_epochs_of(before: Experiment, after: Experiment) -> Experiment:
    """The last stage may have other epochs, as `fit.epochs` may be another number where there are no stages."""
    if not before.stages or len(before.stages) != len(after.stages):
        return after
    last = after.stages[-1].model_copy(update={"epochs": before.stages[-1].epochs})
    return after.model_copy(update={"stages": (*after.stages[:-1], last)})


def _differences(old: Any, new: Any, key: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key


def _is_allowed(key: str, after: Experiment) -> bool:
    if key in ALLOWED:
        return True
    section, _, field = key.partition(f".{after.data.kind}.")
    # Data may lie elsewhere; their fingerprint tells whether they are the same.
    return section == "data" and isinstance(getattr(after.data, field, None), Path)
