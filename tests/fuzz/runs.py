"""Run directories that somebody tampered with: what the commands that read a run say of them.

A run is trained once. In a copy of it files are deleted, cut, exchanged for folders, pipes and links, filled with
something else, or changed in their structure, with checksums that are right again.
"""

import atexit
import csv
import hashlib
import io
import json
import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasrun.errors import KerasrunError
from kerasrun.regular_files import read_bytes
from kerasrun.runs.records import sha256_of_fields
from tests.fuzz import in_process, json_values
from tests.fuzz.experiments import mutated_bytes

MEMORY = None  # TensorFlow's is its own
GROWTH = 2**30
SECONDS = 40
PROCESSOR_SECONDS = 5
LIGHT = False

_base: dict[str, Path] = {}
COMMANDS = (
    *(("resume", "RUN"), ("resume", "RUN", "--accept-changes"), ("resume", "RUN", "-s", "fit.epochs=3"), ("resume",)),
    *(("evaluate", "RUN"), ("evaluate", "RUN", "--last", "--json"), ("export", "RUN", "-f", "weights")),
    *([("predict", "RUN", "EXAMPLES"), ("summary", "RUN"), ("plot", "RUN"), ("verify", "RUN")] * 2),
    *(("runs", "--json"), ("runs", "--sort", "val_loss", "--where", "val_loss > 0")),
    *(("train", "EXPERIMENT", "--dry-run", "--from", "RUN", *more) for more in ((), ("--epoch", "1"))),
)


@dataclass(frozen=True)
class Case:
    folder: Path
    commands: tuple[tuple[str, ...], ...]


def prepare() -> None:
    """Train the runs: one that is at its end, and one that is to go on."""
    import tensorflow as tf

    from kerasrun.training import verification
    from tests.training.conftest import train_small, write_digits

    def not_here(*arguments: object) -> None:
        raise KerasrunError("everything was read; nothing is trained three times here")

    verification._train = not_here
    tf.config.run_functions_eagerly(True)  # to trace takes longer than to train a few steps
    folder = Path(tempfile.mkdtemp(prefix="fuzz-runs-"))
    atexit.register(shutil.rmtree, folder)
    np.save(folder / "examples.npy", write_digits(folder)["x_test"][:2])
    text = "fit: {epochs: 2, batch_size: 50, validation_split: 0.2}\ncompile: {metrics: [accuracy]}\n"
    text += "callbacks: [{EarlyStopping: {patience: 9}}, {CSVLogger: {filename: log.csv}}, TensorBoard]\n"
    text += "checkpoint: {keep: 3}\n"
    finished = train_small(folder, text)
    going_on = shutil.copytree(finished.root, finished.root.with_name("small-2"))
    (going_on / "last.keras").unlink()
    shutil.rmtree(max((going_on / "checkpoints").iterdir()))
    _edit_run(going_on, lambda content: {**content, "status": "interrupted", "name": "small-2"})
    _base["folder"] = folder


def make(rng: random.Random, folder: Path) -> Case:
    shutil.copytree(_base["folder"], folder, symlinks=True, dirs_exist_ok=True)
    run = folder / "runs" / rng.choice(("small-1", "small-2", "small-2"))
    files = [path for path in sorted(run.rglob("*")) if not path.is_symlink()]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        structured = [path for path in files if path.suffix in (".json", ".csv", ".keras", ".yaml") and path.is_file()]
        if rng.random() < 0.65 and structured:
            _restructured(rng, rng.choice(structured), run)
        else:
            path = rng.choice((*files, run / ".lock", folder / "runs/latest", run))
            _replaced(rng, path, files)
        files = [path for path in files if os.path.lexists(path)]
    places = {"RUN": str(run), "EXAMPLES": str(folder / "examples.npy"), "EXPERIMENT": str(folder / "small.yaml")}
    return Case(
        folder, tuple(tuple(places.get(one, one) for one in command) for command in (("runs",), rng.choice(COMMANDS)))
    )


def check(case: Case) -> str:
    outcomes = [in_process.kerasrun(case.folder, *command) for command in case.commands]
    return "accepted" if all(outcomes) else "refused"


what_is_wrong_with = in_process.what_is_wrong_with


def _replaced(rng: random.Random, path: Path, files: list[Path]) -> None:
    """Delete, cut, empty or exchange a file or folder."""
    content = path.read_bytes() if path.is_file() else b""
    how = rng.randrange(9)
    if not path.parent.is_dir():
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    match how:
        case 0:
            pass
        case 1:
            path.write_bytes(content[: rng.randrange(len(content) + 1)])
        case 2:
            path.touch()
        case 3:
            path.mkdir()
            if rng.random() < 0.5:
                (path / "file").write_bytes(content)
        case 4:
            path.write_bytes(rng.randbytes(rng.choice((1, 100, 10_000))))
        case 5:
            os.mkfifo(path)
        case 6:
            path.symlink_to(rng.choice(("nowhere", path.name, "/dev/zero", "/dev/null", ".", *map(str, files))))
        case 7:
            path.write_bytes(
                rng.choice((b"{}", b"[]", b"null", b"[" * 10**5, b"0", b'"', b"\xef\xbb\xbf{}", b"\xff\xfe{"))
            )
        case _:
            path.write_bytes(mutated_bytes(rng, content))


def _restructured(rng: random.Random, path: Path, run: Path) -> None:
    """Change what a file says, mostly so that its checksums are right."""
    right = rng.random() < 0.9
    content = path.read_bytes()
    try:
        if path.suffix == ".keras":
            in_process.rewrite_zip(
                path, rng.choice(("kerasrun.json", "config.json")), lambda it: json_values.mutated(rng, it)
            )
        elif path.suffix == ".csv":
            path.write_text(_mutated_csv(rng, content.decode()))
        elif path.name == "resolved.yaml":
            path.write_text(_mutated_text(rng, content.decode()))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if right:
                _edit_run(run, lambda it: {**it, "resolved_sha256": [digest]})
        elif path.name == "progress.json":
            _edit_progress(path, lambda it: json_values.mutated(rng, it), right)
        elif path.name == "run.json":
            _edit_run(run, lambda it: json_values.mutated(rng, it), right)
        else:
            path.write_text(json.dumps(json_values.mutated(rng, json.loads(content))))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError, zipfile.BadZipFile, csv.Error):
        path.write_bytes(b"{")  # it was changed before, and is nothing that can be edited


def _edit_run(run: Path, change: Callable[[dict], object], right: bool = True) -> None:
    content = json.loads(read_bytes(run / "run.json"))
    del content["sha256"]
    content = change(content)
    if right and isinstance(content, dict):
        content["sha256"] = sha256_of_fields(content)
    (run / "run.json").write_text(json.dumps(content))


def _edit_progress(path: Path, change: Callable[[object], object], right: bool) -> None:
    content = json.loads(path.read_bytes())
    del content["sha256"]
    content["progress"] = change(content["progress"])
    if right:
        content["sha256"] = sha256_of_fields(content)
    path.write_text(json.dumps(content))


def _mutated_csv(rng: random.Random, text: str) -> str:
    rows = list(csv.reader(io.StringIO(text))) or [["epoch"]]
    row = rng.choice(rows)
    odd = (
        *map(str, json_values.NUMBERS),
        *(one for one in json_values.TEXTS if one.isprintable()),
        "1_0",
        "٣",
        "x" * 200_000,
    )
    match rng.randrange(6):
        case 0 | 1 | 2:
            row[rng.randrange(len(row))] = rng.choice(odd)
        case 3:
            row.append(rng.choice(odd))
        case 4:
            rows += [row] * rng.choice((1, 1000))
        case _:
            rows = [[*one, *([str(n) for n in range(300)] if one is rows[0] else ["0.5"] * 300)] for one in rows]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _mutated_text(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[at]
        case 1:
            key, colon, _ = lines[at].partition(":")
            lines[at] = f"{key}{colon} {json.dumps(rng.choice(json_values.ODD))}"
        case 2:
            lines[at] = lines[at].replace(rng.choice("0123456789"), rng.choice(("9", "-", "99999", "x")))
        case _:
            lines[at : at + 1] = [lines[at], lines[at]]
    return "\n".join(lines)
