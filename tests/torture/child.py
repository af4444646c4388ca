"""`python -m tests.torture.child KILL STEPS train FILE`: kerasrun's command, in a process that may kill itself.

KILL is `-`, or `<name of POINTS>:<n>:<signal>:<rank>`: the n-th time the process comes to that point, the worker of
this rank gets this signal, such as 9; a process alone has rank 0. How many steps each call of the fused function took
is appended to the file STEPS. Everything else is `python -m kerasrun train FILE`.

With `--workers N`, KILL is several of these, joined by commas, one for each time that the parent starts its workers.
Each signal is noted in SENT before it is sent, which for a process that is killed is the only trace.
"""

import gc
import importlib
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kerasrun.workers.cluster import place_here

SENT = "sent.txt"


@dataclass(frozen=True)
class Shot:
    """The signal that is sent when a process has come to a point."""

    number: int = signal.SIGKILL
    rank: int = 0
    """Who gets it."""
    own_rank: int = 0
    """Who comes to the point."""

    @property
    def is_last(self) -> bool:
        """Whether the process that comes to the point does nothing after it."""
        return self.rank == self.own_rank and self.number != signal.SIGTERM

    def send(self) -> None:
        pid = os.getpid() if self.rank == self.own_rank else int(_pid_file(self.rank).read_text(encoding="ascii"))
        with Path(SENT).open("a", encoding="ascii") as sent:
            sent.write(f"{self.number} {self.rank}\n")
        os.kill(pid, self.number)


Arm = Callable[[int, Shot], None]
"""Has the n-th coming to a point send the signal."""


def main() -> None:
    """Run kerasrun with the point armed once TensorFlow has started, which is then as it always is."""
    gc.disable()  # while TensorFlow is imported there is nothing to collect, and looking takes a seventh of the time
    kill, steps, *arguments = sys.argv[1:]
    if "--workers" in arguments:
        _arm_the_workers(kill.split(","), steps)
    else:
        _arm(kill, Path(steps), place_here().rank)
    sys.argv = ["kerasrun", *arguments]
    runpy.run_module("kerasrun", run_name="__main__")


def _arm_the_workers(kills: list[str], steps: str) -> None:
    """Have this process, a parent, start workers that are armed, those of each attempt for the next kill."""
    parent: Any = importlib.import_module("kerasrun.workers.parent")
    run = parent.run

    def armed(command: Callable[[str | None], list[str]], *given: Any, **named: Any) -> int:
        left = iter(kills)

        def child(name: str | None) -> list[str]:
            whole = command(name)
            arguments = whole[whole.index("kerasrun") + 1 :]
            return [whole[0], "-m", "tests.torture.child", next(left, "-"), steps, *arguments]

        return int(run(child, *given, **named))

    parent.run = armed


def _arm(kill: str, steps: Path, own_rank: int) -> None:
    _pid_file(own_rank).write_text(str(os.getpid()), encoding="ascii")
    training: Any = importlib.import_module("kerasrun.training.train")
    build = training.build
    arm, nth, shot = _shot(kill, own_rank)
    if arm is not None and kill.startswith(BEFORE_TENSORFLOW):
        arm(nth, shot)

    def armed(*given: Any, **named: Any) -> Any:
        gc.enable()
        if own_rank == 0:
            _count_steps(steps)
        if arm is not None and not kill.startswith(BEFORE_TENSORFLOW):
            arm(nth, shot)
        return build(*given, **named)

    training.build = armed


def _shot(kill: str, own_rank: int) -> tuple[Arm | None, int, Shot]:
    """What this process does for a kill, where it is the one to do it."""
    if kill == "-":
        return None, 0, Shot()
    name, nth, number, rank = kill.split(":")
    does_it = own_rank == (int(rank) if name in (*OF_EACH, *OF_OTHERS) else 0)
    return POINTS_OF_WORKERS[name] if does_it else None, int(nth), Shot(int(number), int(rank), own_rank)


def _pid_file(rank: int) -> Path:
    return Path(f"worker-{rank}.pid")


def _at(
    place: str,
    when: Literal["before", "after"] = "before",
    matches: Callable[..., bool] = lambda *given, **named: True,
) -> Arm:
    """Send it before or after the n-th call of `place` (`module:name` or `module:Class.name`) that matches."""

    def dies(real: Callable[..., Any], *given: Any, **named: Any) -> None:
        if when == "after":
            real(*given, **named)

    return _instead_of(place, dies, matches, when)


def _instead_of(
    place: str,
    last: Callable[..., object],
    matches: Callable[..., bool] = lambda *given, **named: True,
    when: Literal["before", "after"] = "before",
) -> Arm:
    """In the n-th matching call of `place`, call `last` with the real function and its arguments, then die.

    A process that goes on after the signal makes the call itself, `when` says whether before or after it.
    """

    def arm(nth: int, shot: Shot) -> None:
        module, _, path = place.partition(":")
        *owners, name = path.split(".")
        owner = importlib.import_module(module)
        for each in owners:
            owner = getattr(owner, each)
        assert name in vars(owner), f"nothing comes to {place}"
        real = getattr(owner, name)
        seen = 0

        def counted(*given: Any, **named: Any) -> Any:
            nonlocal seen
            matching = matches(*given, **named)
            seen += matching
            is_it = matching and seen == nth
            if is_it and shot.is_last:
                last(real, *given, **named)
                shot.send()
            if is_it and when == "before":
                shot.send()
            done = real(*given, **named)
            if is_it and when == "after":
                shot.send()
            return done

        setattr(owner, name, counted)

    return arm


def _half_written(name: str) -> Arm:
    """Die when half of the file's bytes are on the disk."""

    def half(real: Callable[[Path, bytes], None], path: Path, data: bytes) -> None:
        real(path, data[: len(data) // 2])

    return _instead_of("kerasrun.runs.atomic:_write", half, lambda path, data: path.name.endswith(name))


def _half_appended(real: Callable[[Path, bytes, int], None], path: Path, data: bytes, size: int) -> None:
    real(path, data[: len(data) // 2], size)


def _half_model(name: str) -> Arm:
    """The same for a model, which Keras writes."""

    def half(real: Callable[..., None], model: Any, info: Any, path: Path) -> None:
        real(model, info, path)
        os.truncate(path, path.stat().st_size // 2)

    return _instead_of("kerasrun.model_file:save", half, lambda model, info, path: path.name.endswith(name))


def _step_while_saving(nth: int, shot: Shot) -> None:
    """Die in a step that began when half of the n-th state.h5, or of a later one, was on the disk.

    The thread that writes it waits so long for a step; where none follows, it writes the whole and goes on.
    """
    atomic: Any = importlib.import_module("kerasrun.runs.atomic")
    steps: Any = importlib.import_module("kerasrun.engine.steps")
    write, train = atomic._write, steps.FusedSteps.__call__
    half_written, step_begun = threading.Event(), threading.Event()
    seen = 0

    def waits(path: Path, data: bytes) -> None:
        nonlocal seen
        seen += path.name == "state.h5"
        if path.name == "state.h5" and seen >= nth:
            write(path, data[: len(data) // 2])
            half_written.set()
            if step_begun.wait(timeout=5):
                threading.Event().wait()  # for death
            half_written.clear()
            path.unlink()
        write(path, data)

    def trains(fused: Any, iterator: Any, chunk: int) -> Any:
        if half_written.is_set():
            step_begun.set()
            _half_of_the_chunk(train, fused, iterator, chunk)
            shot.send()
        return train(fused, iterator, chunk)

    atomic._write, steps.FusedSteps.__call__ = waits, trains


def _half_of_the_chunk(real: Callable[..., Any], fused: Any, iterator: Any, steps: int) -> None:
    real(fused, iterator, (steps + 1) // 2)


def _half_saved_by_keras(real: Callable[..., None], callback: Any, epoch: int, batch: Any, logs: Any) -> None:
    real(callback, epoch, batch, logs)
    path = Path(callback._get_file_path(epoch, batch, logs))
    os.truncate(path, path.stat().st_size // 2)


def _half_removed(real: Callable[[Path], None], folder: Path) -> None:
    next(folder.iterdir()).unlink()


def _is(name: str) -> Callable[..., bool]:
    return lambda private, path, **options: bool(path.name == name)


def _says_finished(run: Any, **fields: Any) -> bool:
    return fields.get("status") == "finished"


_STEPS = "kerasrun.engine.steps"
_FUSED = f"{_STEPS}:FusedSteps.__call__"
_WRITER = "kerasrun.training.writer:RunWriter"
_KERAS = "keras.callbacks"

POINTS: Mapping[str, Arm] = {
    # Steps. Checkpoints and best.keras reach their places in a thread, while training goes on.
    "before the first checkpoint": _at(f"{_WRITER}.save_checkpoint"),
    "in a step": _instead_of(_FUSED, _half_of_the_chunk),
    "in a step while a checkpoint is written": _step_while_saving,
    "after a step": _at(_FUSED, "after"),
    # A checkpoint.
    "half of state.h5": _half_written("state.h5"),
    "half of progress.json": _half_written("progress.json"),
    "before a checkpoint is in place": _at("kerasrun.runs.atomic:_exchange"),
    "after a checkpoint is in place": _at("kerasrun.runs.checkpoints:_prune"),
    "half of an old checkpoint removed": _instead_of(
        "kerasrun.runs.atomic:_remove", _half_removed, lambda entry: entry.is_dir() and any(entry.iterdir())
    ),
    "half of run.json": _half_written("run.json"),
    # The end of an epoch.
    "in validation": _at("kerasrun.engine.steps:Scoring.add", "after"),
    "after validation": _at("kerasrun.engine.evaluator:Evaluator.evaluate", "after"),
    "half of a ModelCheckpoint": _instead_of(f"{_KERAS}:ModelCheckpoint._save_model", _half_saved_by_keras),
    "after the callbacks": _at("kerasrun.training.loop:TrainingLoop._announce_end", "after"),
    "half of best.keras": _half_model("best.keras"),
    "before best.keras is in place": _at("kerasrun.runs.atomic:replace_from", "before", _is("best.keras")),
    "while best.keras is put in place": _at(
        "kerasrun.runs.atomic:flush", "after", lambda private: private.name.endswith("best.keras")
    ),
    "after best.keras is in place": _at("kerasrun.runs.atomic:replace_from", "after", _is("best.keras")),
    "half of metrics.csv": _half_written("metrics.csv"),
    "half of a row of metrics.csv": _instead_of(
        "kerasrun.runs.atomic:append", _half_appended, lambda path, data, size: path.name == "metrics.csv"
    ),
    "after the row of metrics.csv": _at("kerasrun.training.writer:_append", "after"),
    "between epochs": _at("kerasrun.training.loop:TrainingLoop._end_epoch", "after"),
    # A resume before its first step.
    "before the outputs are taken back": _at(f"{_WRITER}.take_back"),
    "while the outputs are taken back": _at("kerasrun.training.writer:cut_back", "after"),
    "before the state is restored": _at("kerasrun.engine.state:restore_model"),
    "after the state is restored": _at("kerasrun.training.best:Best.restore", "after"),
    # The end of training.
    "after on_train_end": _at(f"{_KERAS}:CallbackList.on_train_end", "after"),
    "half of last.keras": _half_model("last.keras"),
    "after last.keras": _at("kerasrun.runs.directory:RunDirectory.update_run", "before", _says_finished),
    "after the run is finished": _at("kerasrun.runs.directory:RunDirectory.update_run", "after", _says_finished),
}
"""Where a process can be told to die; the names are what reports say."""
IN_A_RESUME = (
    *("before the outputs are taken back", "while the outputs are taken back"),
    *("before the state is restored", "after the state is restored"),
)
"""Points that no other process comes to."""
AT_THE_END = ("after on_train_end", "half of last.keras", "after last.keras", "after the run is finished")
"""Points after which nothing is left to train."""
OF_EACH = {
    "before a frozen part is computed": _at("kerasrun.training.computation:features"),
    "before it has come": _at("kerasrun.engine.devices:wait_for_all"),
    "when all have come": _at("kerasrun.engine.devices:wait_for_all", "after"),
    "before the network is built": _at("kerasrun.engine.building:build_job"),
    "outputs of some batches": _at(f"{_STEPS}:Inference.__call__", "after"),
    **{name: POINTS[name] for name in ("in a step", "after a step")},
}
"""Points that each of several workers comes to; to the others of POINTS rank 0 alone does."""
BEFORE_TENSORFLOW = ("before it has come", "when all have come")
AT_THE_START = (*BEFORE_TENSORFLOW, "before the network is built")
OF_OTHERS = {"after the last order": _at("kerasrun.training.follower:follow", "after")}
"""Points that all workers but rank 0 come to."""
POINTS_OF_WORKERS: Mapping[str, Arm] = {**OF_EACH, **POINTS, **OF_OTHERS}


def _count_steps(file: Path) -> None:
    fused = importlib.import_module("kerasrun.engine.steps").FusedSteps
    real = fused.__call__

    def counted(self: Any, iterator: Any, steps: int) -> Any:
        done = real(self, iterator, steps)
        with file.open("a", encoding="ascii") as opened:
            opened.write(f"{steps}\n")
        return done

    fused.__call__ = counted


if __name__ == "__main__":
    main()
