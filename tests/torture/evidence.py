"""What of a finished run no kill may change: each thing under a name, so that a difference can be told."""

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
from tensorboard.compat.proto.event_pb2 import Event

from kerasrun.runs import checkpoints
from kerasrun.runs.directory import RunDirectory

# How long an epoch took, how long TensorBoard's files have become, when the run began, and how much memory was free
# then differ between any two runs.
_NOT_COMPARED = ("epoch_seconds", "outputs", "files", "features")


def evidence(run: RunDirectory) -> dict[str, str]:
    """Name → text or sha256: every variable of every model and of the last checkpoint, every table, every event."""
    return dict(_everything(run))


def differences(whole: dict[str, str], tortured: dict[str, str]) -> list[str]:
    """A line for each name whose evidence is not the same."""
    return [
        f"{name}: {_short(tortured.get(name))}, expected {_short(whole.get(name))}"
        for name in sorted(whole.keys() | tortured.keys())
        if whole.get(name) != tortured.get(name)
    ]


def _everything(run: RunDirectory) -> Iterator[tuple[str, str]]:
    ended = run.read_run()
    for key in ("status", "reason", "best"):
        yield f"run.json {key}", json.dumps(ended[key])
    for path in (run.best_model, run.last_model, *sorted((run.root / "saved").glob("*"))):
        for name, digest in _variables(path):
            yield f"{path.relative_to(run.root)} {name}", digest
    for path in (run.metrics_file, run.root / "log.csv"):
        yield path.name, path.read_text(encoding="utf-8")
    newest = checkpoints.newest(run)
    yield "checkpoint step", str(newest.step)
    yield "checkpoint progress", json.dumps({k: v for k, v in newest.progress.items() if k not in _NOT_COMPARED})
    yield "checkpoint features kept", json.dumps(newest.progress["features"]["kept"])
    for name, digest in _datasets(newest.state_file.read_bytes()):
        yield f"checkpoint {name}", digest
    yield from _shown_by_tensorboard(run)
    yield "left half written", ", ".join(sorted(path.name for path in run.root.rglob(".tmp-*")))


def _variables(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix != ".keras":
        yield from _datasets(path.read_bytes())
        return
    with zipfile.ZipFile(path) as archive:
        yield from _datasets(archive.read("model.weights.h5"))
        if "kerasrun.json" in archive.namelist():
            yield "kerasrun.json", archive.read("kerasrun.json").decode()


def _datasets(content: bytes) -> Iterator[tuple[str, str]]:
    found: dict[str, h5py.Dataset] = {}
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        for name, dataset in found.items():
            array = dataset[()]
            yield name, _sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes())


def _shown_by_tensorboard(run: RunDirectory) -> Iterator[tuple[str, str]]:
    """Under every tag the steps and values, each as often as it stands in the files; graphs are counted."""
    shown: dict[str, Counter[tuple[int, str]]] = {}
    for file in sorted((run.root / "tensorboard").rglob("*tfevents*")):
        for event in _events(file.read_bytes()):
            if event.HasField("graph_def"):
                shown.setdefault(f"tensorboard {file.parent.name} graph", Counter())[0, "graph"] += 1
            for value in event.summary.value:
                points = shown.setdefault(f"tensorboard {file.parent.name} {value.tag}", Counter())
                points[event.step, _sha256(value.tensor.SerializeToString(deterministic=True))] += 1
    for name, points in shown.items():
        yield name, json.dumps([(step, value[:12], times) for (step, value), times in sorted(points.items())])


def _events(content: bytes) -> Iterator[Event]:
    """Records of the format TFRecord: length (8 bytes) and its checksum (4), content and its checksum (4)."""
    place = 0
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        yield Event.FromString(content[place + 12 : place + 12 + length])
        place += 12 + length + 4
    assert place == len(content), "an event file ends within a record"


def _short(text: str | None) -> str:
    return "not there" if text is None else repr(text if len(text) < 300 else f"{text[:300]}…")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
