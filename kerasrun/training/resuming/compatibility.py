"""Compare what is here with what `run.json` recorded: `FIELDS` says what is compared, and what a difference means.

A difference that may change bits refuses the resume, unless the user accepts it; `run.json` then says so. Light to
import: TensorFlow is not needed.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kerasrun.errors import RunDirectoryError
from kerasrun.runs.directory import RunDirectory

logger = logging.getLogger("kerasrun")

Recorded = Mapping[str, Any]
"""`run.json`, or the same keys as they are now."""


class Verdict(StrEnum):
    """The meaning of a difference."""

    PASSES = "passes"
    WARNS = "warns"
    REFUSES = "refuses"
    """Unless the user accepts it."""
    ALWAYS_REFUSES = "refuses, always"


VARIABLE = "environment variable"


@dataclass(frozen=True)
class Field:
    """One thing that is compared, or on purpose is not.

    What it reads is written by `kerasrun/runs/environment.py`, or with the run's description.
    """

    name: str
    path: str | None
    """The keys in `run.json`, joined by dots; None where it is checked when it is read."""
    verdict: Verdict
    why: str


FIELDS = (
    Field("format of `run.json`", None, Verdict.ALWAYS_REFUSES, "another format is not guessed"),
    Field(
        *("format of a checkpoint", None, Verdict.ALWAYS_REFUSES),
        "the same; an older checkpoint of a format that is read serves, if there is one",
    ),
    Field(
        *("experiment", None, Verdict.ALWAYS_REFUSES),
        "the steps already taken would not be its own; what `-s` may change leaves them true",
    ),
    Field("kind of labels", "label_kind", Verdict.ALWAYS_REFUSES, "the network's outputs stand for them"),
    Field("classes", "classes", Verdict.ALWAYS_REFUSES, "a label is a place in their list"),
    Field(
        *("training examples", "examples.train", Verdict.ALWAYS_REFUSES),
        "their number decides how many steps an epoch has, and so where a checkpoint stands in it",
    ),
    Field("shape of an example", "examples.shape", Verdict.ALWAYS_REFUSES, "the network is built for it"),
    Field("type of an example", "examples.dtype", Verdict.ALWAYS_REFUSES, "images in bytes are scaled by default"),
    Field(
        *("data", "data_fingerprint", Verdict.REFUSES),
        "the steps still to come would see other examples; a sha256 over names and contents, not over places",
    ),
    Field(
        *("files of the data", "data_files", Verdict.PASSES),
        "names, sizes and times; where they differ, the contents are compared before training, else while it goes on",
    ),
    Field("device", "device.kind", Verdict.REFUSES, "GPUs and CPUs add in other orders"),
    Field(
        "shards of a batch", "shards", Verdict.REFUSES, "their gradients are computed apart, and added in their order"
    ),
    Field("workers", "workers", Verdict.PASSES, "whoever computes a shard, it has the same bits"),
    Field("GPU model", "device.models", Verdict.REFUSES, "kernels are chosen by the model"),
    Field("number of a GPU", "device.names", Verdict.PASSES, "GPUs of one model compute alike"),
    Field(
        *("threads", "device.threads", Verdict.PASSES),
        "set again as they were; a process whose TensorFlow already has others is refused",
    ),
    Field(
        *("deterministic operations", "device.deterministic", Verdict.PASSES),
        "the experiment says which, and that cannot change; a process that has begun otherwise is refused",
    ),
    Field(
        *(VARIABLE, "variables", Verdict.REFUSES),
        "those that change bits are set again as they were; only where TensorFlow was loaded before, in a Python "
        "process, does a difference stay",
    ),
    Field("kerasrun", "versions.kerasrun", Verdict.REFUSES, "order, augmentation and steps are its code"),
    Field("keras", "versions.keras", Verdict.REFUSES, "layers, losses and optimizers are its code"),
    Field("tensorflow", "versions.tensorflow", Verdict.REFUSES, "its kernels compute"),
    Field("numpy", "versions.numpy", Verdict.REFUSES, "it draws the order of the examples"),
    Field("pillow", "versions.pillow", Verdict.REFUSES, "it decodes and resizes images"),
    Field("plugin", "plugins", Verdict.REFUSES, "layers, losses and callbacks of its own are its code"),
    Field("python", "versions.python", Verdict.WARNS, "it computes nothing that is trained, but is not tested across"),
    Field("architecture", "processor.architecture", Verdict.REFUSES, "other machine code"),
    Field("instruction sets", "processor.instruction_sets", Verdict.REFUSES, "kernels are chosen by them"),
    Field("cache", "processor.caches", Verdict.REFUSES, "matrix products are cut into blocks that fit them"),
    Field("C library", "libc", Verdict.REFUSES, "functions such as exp are its code where vectors do not reach"),
    Field("processor's model", "processor.model", Verdict.PASSES, "what matters of it stands above"),
    Field("number of cores", "processor.count", Verdict.PASSES, "the threads are set as they were"),
    Field("operating system's release", "platform", Verdict.PASSES, "it computes nothing"),
    Field("host", "host", Verdict.PASSES, "its name computes nothing; the processor is compared"),
    Field("git commit", "git", Verdict.PASSES, "the experiment in the run is what is trained"),
    Field("command, working directory", "command", Verdict.PASSES, "a run may be moved"),
)


def changes_bits(recorded: Recorded, now: Recorded) -> bool:
    """Return whether anything differs that refuses a resume unless it is accepted."""
    return any(_changes(recorded, now, Verdict.REFUSES))


def check(
    run: RunDirectory, recorded: Recorded, now: Recorded, *, accept: bool, step: int, lost: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare every field; warn, refuse, or take note of what the user accepts.

    Args:
        recorded: what `run.json` says.
        now: the same keys as they are here.
        accept: whether to go on although the run will not end with the same bits.
        step: the global step at which the run goes on.
        lost: a sentence for each file of the run that is lost, and that it can go on without if the user accepts it.

    Returns:
        what `run.json` is to say from now on: nothing new unless a change was accepted.

    Raises:
        RunDirectoryError: naming everything that refuses, each with before → now.
    """
    found = {verdict: list(_changes(recorded, now, verdict)) for verdict in Verdict}
    for change in found[Verdict.WARNS]:
        logger.warning("not as it was when this run began: %s", change)
    always, changes = found[Verdict.ALWAYS_REFUSES], [*found[Verdict.REFUSES], *lost]
    if always or (changes and not accept):
        raise RunDirectoryError(_refusal(run, always, changes))
    if not changes:
        return {}
    for change in changes:
        logger.warning("accepted, so that the run will not end with the same bits: %s", change)
    entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "step": step, "changes": changes}
    keys = {field.path.split(".")[0] for field in FIELDS if field.path and field.verdict is Verdict.REFUSES}
    return {
        **{key: now[key] for key in sorted(keys)},
        "examples": now["examples"],
        "class_weight": now["class_weight"],
        "accepted_changes": [*recorded.get("accepted_changes", ()), entry],
    }


def _changes(recorded: Recorded, now: Recorded, verdict: Verdict) -> Iterator[str]:
    for field in FIELDS:
        if field.verdict is verdict and field.path is not None and verdict is not Verdict.PASSES:
            yield from _differences(field.name, _value(recorded, field.path), _value(now, field.path))


def _value(run: Recorded, path: str) -> Any:
    value: Any = run
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _differences(name: str, before: Any, now: Any) -> Iterator[str]:
    """Yield a sentence for a value, or for each key of a mapping; what was not recorded counts as None."""
    if isinstance(before, Mapping | None) and isinstance(now, Mapping | None):
        before, now = before or {}, now or {}
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(f"{name} {key}", before.get(key), now.get(key))
    elif before != now:
        yield f"{name} {_shown(before)} → {_shown(now)}"


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)[:12] if re.fullmatch("[0-9a-f]{64}", str(value)) else str(value)


def _refusal(run: RunDirectory, always: list[str], unless_accepted: list[str]) -> str:
    changes = [*(f"{change} (cannot be accepted)" for change in always), *unless_accepted]
    listed = "".join(f"\n  {change}" for change in changes)
    if any(change.startswith(VARIABLE) for change in changes):
        listed += "\n(TensorFlow had read its variables before this call: resume in a process of its own)"
    otherwise = (
        "start a new run with kerasrun train"
        if always
        else f"kerasrun resume {run.quoted} --accept-changes goes on, although the run will then not end with the same "
        "bits"
    )
    return f"not everything is as it was when {run} began:{listed}\nput it back as it was, or {otherwise}"
