"""Cases by number, each tried in another process, so that a crash, a hang or a full memory costs one case."""

import gc
import importlib
import multiprocessing
import random
import resource
import shutil
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kerasrun.errors import KerasrunError

MEMORY = 2**32
"""How many bytes of addresses a process may take beyond what it has when everything is imported (RLIMIT_AS).

Threads and Arrow's allocator reserve some 2 GiB that they never touch.
"""
GROWTH = 2**30
"""By how many bytes the memory of a process may grow over all its cases."""
SECONDS = 20
"""How long one case may take, once it is made.

A part may have limits of its own, under the same names, PROCESSOR_SECONDS for a case, which other processes do not
count in. LIGHT says whether it must
load neither TensorFlow nor Keras.
"""
MADE = "made"
"""What a process says when it has made a case."""
MAKING = 300
"""How many seconds that, and all imports before it, may take."""


@dataclass(frozen=True)
class Fault:
    """A case that ended as none should."""

    number: int
    kind: str
    """What was raised and where, so that equal faults are counted together."""
    details: str
    folder: Path
    """Its input."""


@dataclass
class Result:
    """What became of the cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0
    slowest: tuple[float, int] = (0, -1)
    """The seconds and the number of the slowest case."""
    peak: int = 0
    """The largest resident memory of a process, in bytes."""


def run(part: str, seed: int, numbers: range, folder: Path) -> Result:
    """Try the cases of `tests.fuzz.<part>`; inputs of faults are kept in `folder`, each under its number."""
    result, begin, rest = Result(), time.monotonic(), list(numbers)
    limit = getattr(importlib.import_module(f"tests.fuzz.{part}"), "SECONDS", SECONDS)
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    while rest:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(part, seed, rest, folder, theirs), daemon=True)
        child.start()
        theirs.close()
        _listen(child, ours, rest, folder, result, limit)
        child.join()
    result.seconds = time.monotonic() - begin
    return result


def case_folder(folder: Path, number: int) -> Path:
    return folder / str(number)


def random_of(part: str, seed: int, number: int) -> random.Random:
    """Return what decides a case, whatever the cases before it were."""
    return random.Random(f"{part} {seed} {number}")


def _listen(child, ours, rest: list[int], folder: Path, result: Result, limit: int) -> None:
    """Take the outcomes of a process until it ends, or hangs, and `rest` of what was tried."""
    seconds = MAKING
    while True:
        try:
            heard = ours.recv() if ours.poll(seconds) else None
        except EOFError:
            heard = ()
        if heard == MADE:
            seconds = limit
            continue
        seconds = MAKING
        if heard is None or (heard == () and rest):
            child.join(1 if heard == () else 0)
            child.kill()
            child.join()
            kind = f"more than {seconds} s" if heard is None else f"the process ended with {child.exitcode}"
            _note(result, Fault(rest[0], kind, kind, case_folder(folder, rest[0])))
            del rest[0]
            return
        if heard == ():
            return
        number, outcome, details, took, peak = heard
        assert number == rest.pop(0)
        result.outcomes[outcome] += 1
        result.slowest = max(result.slowest, (took, number))
        result.peak = max(result.peak, peak)
        if details:
            _note(result, Fault(number, outcome, details, case_folder(folder, number)))


def _note(result: Result, fault: Fault) -> None:
    result.faults.append(fault)
    last = (fault.details.strip().splitlines() or [""])[-1][:300]
    print(f"fault: case {fault.number}: {fault.kind}: {last}", file=sys.stderr, flush=True)


def _work(part: str, seed: int, numbers: list[int], folder: Path, pipe) -> None:
    cases = importlib.import_module(f"tests.fuzz.{part}")
    cases.prepare()
    gc.collect()
    gc.freeze()  # or each collection would go through all of TensorFlow
    started, growth = _peak(), getattr(cases, "GROWTH", GROWTH)
    if memory := getattr(cases, "MEMORY", MEMORY):
        resource.setrlimit(resource.RLIMIT_AS, (_addresses() + memory,) * 2)
    for number in numbers:
        where = case_folder(folder, number)
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        with warnings.catch_warnings(action="ignore"):
            case = cases.make(random_of(part, seed, number), where)
        pipe.send(MADE)
        begin, processor = time.monotonic(), time.process_time()
        with warnings.catch_warnings(action="error", category=RuntimeWarning):
            outcome, details = _outcome(cases, case)
        used = time.process_time() - processor
        if not details and used > getattr(cases, "PROCESSOR_SECONDS", used):
            outcome = details = f"{used:.1f} s of processor time"
        peak = _peak()
        if not details and peak > started + growth:
            outcome = details = f"more than {growth / 2**20:.0f} MiB over the start"
            started = peak
        if not details:
            shutil.rmtree(where)
        pipe.send((number, outcome, details, time.monotonic() - begin, peak))


def _outcome(cases, case) -> tuple[str, str]:
    try:
        what = cases.check(case)
    except KerasrunError as error:
        wrong = cases.what_is_wrong_with(error, case)
        return (f"{wrong}", f"{type(error).__name__}: {error}") if wrong else ("refused", "")
    except Exception as error:  # noqa: BLE001  it is reported as the fault that it is
        at = next((f for f in reversed(traceback.extract_tb(error.__traceback__)) if "/kerasrun/" in f.filename), None)
        where = f" in {at.filename.rpartition('/kerasrun/')[2]}, {at.name}" if at else ""
        return f"{type(error).__name__}{where}", traceback.format_exc()
    loaded = {"tensorflow", "keras"} & set(sys.modules)
    if loaded and getattr(cases, "LIGHT", True):
        return f"{' and '.join(sorted(loaded))} loaded", f"{case}"
    return what, ""


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _addresses() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
