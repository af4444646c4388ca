"""Tell trackers of a run. Each has a process of its own, which reads `metrics.csv` as it grows: whatever a tracker
does, waits for or breaks, training does not notice it. Light to import.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

from kerasrun.errors import MissingProgramError, RunBusyError
from kerasrun.experiment.files import parse_text
from kerasrun.experiment.load import Loaded
from kerasrun.experiment.variables import fill
from kerasrun.regular_files import read_bytes, refusal_of_links
from kerasrun.run_files import GROUP_FILE, RunFile
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.listing import summary_of
from kerasrun.runs.lock import lock
from kerasrun.runs.metrics import Table
from kerasrun.runs.records import sha256_of_fields
from kerasrun.text import json_text
from kerasrun.text.problems import dotted
from kerasrun.text.yaml_text import walk
from kerasrun.trackers.base import Point, Tracked, Tracker, lacking, tracker
from kerasrun.workers.child_processes import deaf_children

logger = logging.getLogger("kerasrun")

SECONDS_AT_THE_END = 10.0
"""How long the end of a run waits for its trackers."""
_SECONDS_LEFT = 120.0
"""How long the process of a tracker may go on after that."""
_SECONDS_BETWEEN_LOOKS = 1.0


def require_packages(loaded: Loaded) -> None:
    """
    Raises:
        MissingProgramError: if a package of a tracker is not installed, with its place in the experiment.
    """
    for number, name in enumerate(loaded.experiment.track):
        if words := lacking(name):
            raise MissingProgramError(str(loaded.document.problem(("track", number), f"'{name}' needs {words}")))


class Tracking:
    """The processes that tell trackers of a run; they learn of its end by the end of this block, or of this process."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.processes: dict[str, tuple[subprocess.Popen[bytes], threading.Thread]] = {}

    def __enter__(self) -> "Tracking":
        return self

    def begin(self, names: Sequence[str]) -> None:
        """Begin to tell these trackers; what could not be begun is a warning."""
        for name in dict.fromkeys(names):
            command = [sys.executable, "-P", "-m", __name__, str(self.run.root), name]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            try:
                with deaf_children():
                    process = subprocess.Popen(command, **pipes, start_new_session=True)
            except OSError as error:
                logger.warning("%s is not told of %s: %s", name, self.run, error)
                continue
            thread = threading.Thread(target=_pass_on, args=[process.stdout], daemon=True)
            thread.start()
            self.processes[name] = process, thread

    def __exit__(self, *error: object) -> None:
        for process, _ in self.processes.values():
            assert process.stdin is not None
            process.stdin.close()
        until = time.monotonic() + SECONDS_AT_THE_END
        for name, (process, thread) in self.processes.items():
            try:
                code = process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("%s is still being told of %s, by a process that ends by itself", name, self.run)
                continue
            thread.join()
            if code:
                logger.warning(
                    "%s: %s ended with %d; kerasrun resume %s tries again", self.run, name, code, self.run.quoted
                )


def _pass_on(words: IO[bytes]) -> None:
    with words:
        for line in words:
            logger.warning("%s", line.decode(errors="replace").rstrip())


# What the process of a tracker does.


def main(root: str, name: str) -> None:
    """Tell one tracker of a run until the run is at an end, which is when stdin is."""
    words = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what packages print is for nobody
    logger.addHandler(logging.StreamHandler(words))
    if hasattr(os, "nice"):
        os.nice(5)  # training goes before
    run, over = RunDirectory(Path(root)), threading.Event()
    threading.Thread(target=_watch, args=[over], daemon=True).start()
    folder = run.below(RunFile.TRACKING, name)
    with _alone(folder):  # once the process of an earlier training has left it
        following = Following(run, name, folder)
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            following.catch_up()
        time.sleep(0.1)  # a process that was killed is gone a moment after its pipes
        following.end()


def _watch(over: threading.Event) -> None:
    """Note that the process that trains has closed its end, or is gone, and leave no more than some time from then."""
    os.read(0, 1)
    over.set()
    time.sleep(_SECONDS_LEFT)
    os._exit(1)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make a folder, wait until no other process has it, and have it while the block runs."""
    atomic.make_folders(folder)
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(lock(RunDirectory(folder)))
                break
            except RunBusyError:
                time.sleep(0.2)
        yield


class Following:
    """A tracker that is told of a run. A failure is told once, and everything is tried again after the next epoch."""

    def __init__(self, run: RunDirectory, name: str, folder: Path) -> None:
        self.run, self.name = run, name
        self.file = folder / "id.json"
        """What the tracker keeps: the id of its run."""
        self.tracker: Tracker | None = None
        """None before it has begun, and after a failure."""
        self.last = 0
        """The last epoch that it has."""
        self._seen: object = None
        self._told = ""

    def catch_up(self) -> None:
        """Send the rows that the tracker does not have, if there is anything new since the last look."""
        with self._failure_told("after the next epoch it is tried again"):
            texts = [Table(self.run.metrics_file).text(), Table(self.run.timings_file).text()]
            if texts != self._seen:
                self._seen = texts
                self._send()

    def end(self) -> None:
        """Send what is left, and how the run ended."""
        with self._failure_told(f"kerasrun resume {self.run.quoted} tries again"):
            following, points = self._send()
            found = summary_of(self.run)
            best = next((one for one in points if one.epoch == found.best_epoch), None)
            if best and found.best_name and found.best_value is not None:
                best = best._replace(values={found.best_name: found.best_value})
            if found.status != "running":  # else the next process has it already, and tells how it ends
                following.end(found.status, self.run.read_run()["reason"] or "", best)

    def _send(self) -> tuple[Tracker, list[Point]]:
        self.tracker = self.tracker or self._begun()
        points = _points(self.run)
        if new := [one for one in points if one.epoch > self.last]:
            self.tracker.send(new)
            self.last = new[-1].epoch
        self._told = ""
        return self.tracker, points

    def _begun(self) -> Tracker:
        if words := lacking(self.name):
            raise MissingProgramError(words)
        kind = tracker(self.name)
        os.environ.update({**kind.environment, **os.environ})
        kept: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):  # there is none, or it is damaged
            kept = json_text.checked(dict[str, Any], read_bytes(self.file))
        begun, told = kind(), tracked(self.run)
        own = (told.runs / name for name in (".tracking", f".tracking/{self.name}"))
        if why := refusal_of_links(own) or kind.refusal(told.runs):  # the folder of the runs may be somebody else's
            raise OSError(why)
        with _alone(told.runs / ".tracking" / self.name):  # two at once would break a store that MLflow makes
            self.last = begun.begin(told, kept, lambda **values: atomic.write_json(self.file, values))
        return begun

    @contextlib.contextmanager
    def _failure_told(self, advice: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever a library raises
            self.tracker = None
            words = f"{' '.join(f'{type(error).__name__}: {error}'.split())[:200]}; {advice}"
            if words != self._told:
                logger.warning("%s is not told of %s: %s", self.name, self.run, words)
            self._told = words


def _points(run: RunDirectory) -> list[Point]:
    """Return the epochs of which both tables have a row."""
    begun = datetime.fromisoformat(run.read_run()["started"]).timestamp()
    times = list(accumulate(map(float, Table(run.timings_file).column("seconds")), initial=begun))[1:]
    return [
        Point(int(row.pop("epoch") or 0), moment, {name: value for name, value in row.items() if value is not None})
        for row, moment in zip(Table(run.metrics_file).rows(), times, strict=False)
    ]


def tracked(run: RunDirectory) -> Tracked:
    """Return what a tracker is told of a run when it begins."""
    record = run.read_run()
    root = parse_text(run.read_resolved(record), str(run.resolved_file), [])
    assert root is not None, "it was written from an experiment"
    fill(root, None)
    told = {"run": str(run.root), "file": record.get("file"), "command": record.get("command")}
    group = run.root.parent if (run.root.parent / GROUP_FILE).exists() else None
    return Tracked(
        run.root,
        runs=(group or run.root).parent,
        experiment=group.name.rsplit("-", 2)[0] if group else record["experiment"],  # <experiment>-<command>-<n>
        group=group.name if group else None,
        unique=sha256_of_fields({"run": run.name, "started": record["started"]})[:16],
        begun=datetime.fromisoformat(record["started"]).timestamp(),
        parameters={
            dotted(path): node.value
            for path, node in walk(root)
            if node.value is not None and not isinstance(node.value, dict | list)
        },
        tags={key: value for key, value in told.items() if value is not None},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
