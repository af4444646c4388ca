"""Trains in child processes that are killed, resumes until the run ends, and compares it with the one left alone."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from kerasrun.runs.directory import RunDirectory, run_names
from tests.forked import Forked
from tests.torture.cells import NONE, STEPS_PER_EPOCH, Cell
from tests.torture.child import AT_THE_END, AT_THE_START, IN_A_RESUME, OF_OTHERS, POINTS, POINTS_OF_WORKERS, SENT
from tests.torture.evidence import differences, evidence

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 300
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
_TRAINS = " CPU, "
"""What a child says when TensorFlow has started and training is about to begin."""


@dataclass(frozen=True)
class AtPoint:
    """Death the n-th time that the process comes to a point of `child.POINTS`; or another signal to one of several."""

    name: str
    nth: int = 1
    number: signal.Signals = signal.SIGKILL
    rank: int | None = None
    """Which of several workers gets it."""

    def __str__(self) -> str:
        place = self.name if self.nth == 1 else f"{self.name} ({self.nth})"
        return place if self.rank is None else f"{place}: {self.number.name} to worker {self.rank}"

    @property
    def argument(self) -> str:
        """As `child` takes it."""
        return f"{self.name}:{self.nth}:{self.number.value}:{self.rank or 0}"


@dataclass(frozen=True)
class AtMoment:
    """Death at a share of the time that the run left alone took, counted from where training begins (or, with
    `starting`, at a share of the time that it took to begin)."""

    share: float
    starting: bool = False

    def __str__(self) -> str:
        return f"{self.share:.0%} of {'the start' if self.starting else 'training'}"


Kill = AtPoint | AtMoment
Process = subprocess.Popen[bytes] | Forked
Start = Callable[[Path, list[str]], Process]


@dataclass(frozen=True)
class Whole:
    """A run that was left alone."""

    evidence: dict[str, str]
    steps: int
    starting_seconds: float
    training_seconds: float


@dataclass
class Tortured:
    """What became of a run that was killed, and its difference from the whole one."""

    cell: Cell
    killed: list[Kill] = field(default_factory=list)
    resumes: int = 0
    restarts: int = 0
    """Kills before the first checkpoint: nothing was trained yet, and training begins anew."""
    steps_twice: int = 0
    differences: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """The names of the runs that are there at the end."""


def leave_alone(cell: Cell, folder: Path, data: Path) -> Whole:
    """Train the cell with `python -m kerasrun train`, as a user would; one process computes all shards."""
    folder.mkdir(parents=True)
    file = cell.write(folder, data)
    begin = time.monotonic()
    process = start_child(folder, ["-m", "kerasrun", "train", file.name, "--shards", str(cell.workers)])
    starting = wait_until_it_trains(folder, process) - begin
    code = process.wait(TIMEOUT_SECONDS)
    assert code == 0, _said(folder)
    whole = evidence(_run(cell, folder))
    return Whole(whole, int(whole["checkpoint step"]), starting, time.monotonic() - begin - starting)


def torture(
    cell: Cell, folder: Path, data: Path, whole: Whole, kills: Iterable[Kill], start: Start | None = None
) -> Tortured:
    """Train the cell, kill it again and again, resume it until it ends; kills that are left over are not used.

    Args:
        start: how a process is started; by default with `start_child`.
    """
    folder.mkdir(parents=True)
    cell.write(folder, data)
    result, left = Tortured(cell), list(kills)
    command = _one_process if cell.workers == 1 else _one_parent
    while True:
        code, came = command(cell, folder, whole, left, result, start or start_child)
        result.killed += left[:came]
        del left[:came]
        if code == 0:
            break
        if not came or code not in _allowed_codes(result.killed[-1], folder):
            result.differences.append(f"exit code {code}: {_said(folder)}")
            return result
    result.differences += differences(whole.evidence, evidence(_run(cell, folder)))
    result.runs = run_names(folder / "runs")
    result.steps_twice = _steps(folder) - whole.steps
    return result


def planned_kills(cell: Cell, kills: int, seed: int | str) -> list[Kill]:
    """Kills of which most are sure to come, and which have every point among them if each cell has at least four.

    First at a point of training, then between epochs, so that there is a checkpoint to resume from, then in a resume,
    last at the end of training; random ones before that.
    """
    training = [name for name in POINTS if name not in (*IN_A_RESUME, *AT_THE_END)]
    turn = cell.number - 1
    first, resuming, last = (AtPoint(names[turn % len(names)]) for names in (training, IN_A_RESUME, AT_THE_END))
    if first.name == "half of a ModelCheckpoint" and cell["ModelCheckpoint"] == NONE:
        first = AtPoint("after the callbacks")
    return [first, AtPoint("between epochs"), resuming, *islice(random_kills(seed), max(kills - 4, 0)), last][:kills]


def random_kills(seed: int | str) -> Iterator[Kill]:
    """Points and moments without end; three in ten at a point, one in ten while the process starts."""
    draw = random.Random(seed)
    while True:
        kind = draw.random()
        if kind < 0.3:
            yield AtPoint(draw.choice(list(POINTS)), draw.randint(1, 2))
        else:
            yield _moment(draw, starting=kind < 0.4)


def random_moments(seed: int | str) -> Iterator[AtMoment]:
    """Moments of training without end."""
    draw = random.Random(seed)
    while True:
        yield _moment(draw, starting=False)


def _moment(draw: random.Random, *, starting: bool) -> AtMoment:
    # A process that resumes takes a good part of that time to trace: later moments would rarely come.
    return AtMoment(draw.random() * (1 if starting else 0.4), starting)


def planned_signals(cell: Cell, kills: int, seed: int | str, turn: int = 1) -> list[Kill]:
    """The same for a cell of several workers, others in each turn: each is one of three signals, to one of them."""
    draw = random.Random(seed)
    end = (*AT_THE_END, *OF_OTHERS)
    before_the_end = [name for name in POINTS_OF_WORKERS if name not in end]
    training = [name for name in before_the_end if name not in IN_A_RESUME]
    place = cell.number - 1 + 7 * (turn - 1)
    first, resuming, last = (names[place % len(names)] for names in (training, IN_A_RESUME, end))
    if first == "half of a ModelCheckpoint" and cell["ModelCheckpoint"] == NONE:
        first = "after the callbacks"
    if first == "before a frozen part is computed" and not cell.has_features:
        first = "outputs of some batches"
    more = [AtPoint(draw.choice(before_the_end), draw.randint(1, 2)) for _ in range(kills - 4)]
    points = [AtPoint(first), AtPoint("between epochs"), AtPoint(resuming), *more, AtPoint(last)]
    return [_signal(point, cell, draw) for point in points[:kills]]


def _signal(point: AtPoint, cell: Cell, draw: random.Random) -> AtPoint:
    number, rank = draw.choice(SIGNALS), draw.randrange(point.name in OF_OTHERS, cell.workers)
    if point.name == "in a step while a checkpoint is written":
        # Rank 0 comes there, and does not go on.
        number, rank = draw.choice((signal.SIGKILL, signal.SIGSTOP)), 0
    return replace(point, number=number, rank=rank)


def _allowed_codes(kill: Kill, folder: Path) -> tuple[int, ...]:
    """With what a command may end after a kill, beside 0."""
    if not isinstance(kill, AtPoint) or kill.rank is None:
        return (-signal.SIGKILL,)
    if kill.number == signal.SIGTERM:
        return (128 + signal.SIGTERM,)
    return (1,) if "nothing can be resumed; train again" in _said(folder) else ()


def _command(cell: Cell, folder: Path, before: int | None, result: Tortured) -> list[str]:
    """What goes on with the run, of which `before` is the newest checkpoint; without one training begins anew."""
    if before is not None:
        result.resumes += 1
        if not cell.by_one_command:
            return ["resume", f"runs/{cell.name}-1"]
    elif (folder / "runs").exists():
        _check_the_refusal(cell, folder, result)
        if not cell.by_one_command or not _run(cell, folder).run_file.exists():
            shutil.rmtree(folder / "runs")
        result.restarts += 1
    return ["train", f"{cell.name}.yaml", *["--resume"] * cell.by_one_command]


def _one_parent(
    cell: Cell, folder: Path, whole: Whole, left: Sequence[Kill], result: Tortured, start: Start
) -> tuple[int, int]:
    """A parent of workers from its start to its end; its exit code, and how many kills came: it starts them again."""
    before, taken, sent = _newest_checkpoint(cell, folder), _steps(folder), _sent(folder)
    command = _command(cell, folder, before, result)
    kills = ",".join(kill.argument for kill in left if isinstance(kill, AtPoint)) or "-"
    more = ["--workers", str(cell.workers), "--restarts", str(len(left))]
    process = start(folder, ["-m", "tests.torture.child", kills, "steps.txt", *command, *more])
    code = process.wait(TIMEOUT_SECONDS * (len(left) + 1))
    came = _sent(folder) - sent
    _check_what_is_lost(cell, folder, (before or 0) + _steps(folder) - taken, result, max(came, 1))
    if before is not None:
        result.differences += _resumed_elsewhere(folder, before)
    if (begun := len(re.findall("^(?:going on|starting again) .*with [0-9]+ worker", _said(folder), re.M))) > came:
        result.differences.append(f"{came} signals, and the workers were started again {begun} times: {_said(folder)}")
    result.differences += [
        f"{kill} did not stop the run"
        for place, kill in enumerate(left[:came], start=1)
        if isinstance(kill, AtPoint) and kill.number == signal.SIGTERM
        if place < came or (code == 0 and kill.name in AT_THE_START)
    ]
    left_behind = [file.stem for file in folder.glob("worker-*.pid") if _is_there(file.read_text(encoding="ascii"))]
    result.differences += [f"the process of {name} was left" for name in left_behind]
    return code, came


def _is_there(pid: str) -> bool:
    """Whether it is still that process, started or forked, and not another one that has got its number."""
    try:
        return b"-m\0tests." in Path("/proc", pid, "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _sent(folder: Path) -> int:
    file = folder / SENT
    return len(file.read_text(encoding="ascii").splitlines()) if file.exists() else 0


def _one_process(
    cell: Cell, folder: Path, whole: Whole, left: Sequence[Kill], result: Tortured, start: Start
) -> tuple[int, int]:
    """One child from its start to its death or its end; its exit code, negative for a signal, and how many kills."""
    before, taken = _newest_checkpoint(cell, folder), _steps(folder)
    command = _command(cell, folder, before, result)
    kill = left[0] if left else None
    point = kill.argument if isinstance(kill, AtPoint) else "-"
    process = start(folder, ["-m", "tests.torture.child", point, "steps.txt", *command])
    if isinstance(kill, AtMoment):
        if kill.starting:
            _sleep(kill.share * whole.starting_seconds, process)
        else:
            wait_until_it_trains(folder, process)
            _sleep(kill.share * whole.training_seconds, process)
        process.kill()
    code = process.wait(TIMEOUT_SECONDS)
    _check_what_is_lost(cell, folder, (before or 0) + _steps(folder) - taken, result)
    if before is not None:
        result.differences += _resumed_elsewhere(folder, before)
    return code, int(code != 0 and kill is not None)


def _check_what_is_lost(cell: Cell, folder: Path, done: int, result: Tortured, kills: int = 1) -> None:
    lost = done - (_newest_checkpoint(cell, folder) or 0)
    if lost > cell.most_steps_lost * kills:
        result.differences.append(f"{kills} kills lost {lost} steps, more than {cell.most_steps_lost} each")


def _check_the_refusal(cell: Cell, folder: Path, result: Tortured) -> None:
    """A run without a checkpoint must say that it has none, and change nothing."""
    if not _run(cell, folder).run_file.exists():
        return
    process = start_child(folder, ["-m", "kerasrun", "resume", f"runs/{cell.name}-1"])
    code, said = process.wait(TIMEOUT_SECONDS), _said(folder)
    # The second one where it died before the experiment was in the run.
    if code != 1 or not ("start again with kerasrun train" in said or "train it again" in said):
        result.differences.append(f"a resume without a checkpoint ended with {code}: {said}")


def _resumed_elsewhere(folder: Path, before: int) -> Iterator[str]:
    """The steps run twice are those since the newest checkpoint, so a resume must begin there."""
    said = re.search(r"at step (\d+) of epoch (\d+)", _said(folder))
    if said and (begun := int(said[1]) + (int(said[2]) - 1) * STEPS_PER_EPOCH) != before:
        yield f"resumed at step {begun}, the newest checkpoint was that of step {before}"


def start_child(folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Python with these arguments in `folder`; what it says on stderr goes to `stderr.txt` there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "stderr.txt").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=stderr
        )


def fork_child(folder: Path, arguments: list[str]) -> Forked:
    """The same in a process that need not load TensorFlow, which takes most of the time of a short one."""
    with (folder / "stderr.txt").open("wb") as stderr, Path(os.devnull).open("wb") as nowhere:
        return Forked(arguments, folder, stdout=nowhere, stderr=stderr)


def wait_until_it_trains(folder: Path, process: Process) -> float:
    """When it said so, or ended."""
    while process.poll() is None and _TRAINS not in _said(folder):
        time.sleep(0.01)
    return time.monotonic()


def _sleep(seconds: float, process: Process) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _said(folder: Path) -> str:
    return (folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")


def _run(cell: Cell, folder: Path) -> RunDirectory:
    return RunDirectory((folder / "runs" / f"{cell.name}-1").absolute())


def _steps(folder: Path) -> int:
    """How many were taken so far, by all processes together."""
    file = folder / "steps.txt"
    return sum(map(int, file.read_text(encoding="ascii").split())) if file.exists() else 0


def _newest_checkpoint(cell: Cell, folder: Path) -> int | None:
    present = _run(cell, folder).checkpoints
    return max((int(path.name[:8]) for path in present.glob("[0-9]*")), default=None)
