"""The long version, `python -m tests.torture`: a Markdown table of every cell; exit code 1 if one differs."""

import argparse
import itertools
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.torture.cells import Cell, cells, write_data
from tests.torture.harness import (
    AtPoint,
    Kill,
    Tortured,
    Whole,
    leave_alone,
    planned_kills,
    planned_signals,
    random_kills,
    torture,
)

MOST_KILLS_IN_A_RUN = 8


def main() -> int:
    """Torture the chosen cells in turn until there were enough kills."""
    options = _options()
    chosen = [
        replace(cell, workers=options.workers) for cell in cells() if not options.cells or cell.number in options.cells
    ]
    folder = Path(options.folder or tempfile.mkdtemp(prefix="torture-")).absolute()
    data = write_data(folder / "data")
    with ThreadPoolExecutor(options.processes) as pool:
        wholes = dict(zip(chosen, pool.map(lambda cell: _leave_alone(cell, folder, data), chosen), strict=True))
        results = _until_enough(options.kills, options.seed, folder, data, wholes, pool, options.processes)
    failed = [result for result in results if result.differences]
    print(_table(chosen, results))
    if options.workers > 1:
        print(_signals(results))
    for result in failed:
        print(f"\n{result.cell.name} after {', '.join(map(str, result.killed))}:", *result.differences[:20], sep="\n  ")
    if failed:
        print(f"\nkept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many kills in all, at least (200)")
    parser.add_argument("--workers", type=int, default=1, help="how many processes train together (1)")
    parser.add_argument("--seed", type=int, default=1, help="decides every kill (1)")
    parser.add_argument("--cells", type=int, nargs="+", help="numbers of the cells; by default all")
    parser.add_argument("--folder", help="an empty or new folder to work in; by default a temporary one")
    parser.add_argument("--processes", type=int, default=2, help="how many children at a time (2)")
    return parser.parse_args()


def _leave_alone(cell: Cell, folder: Path, data: Path) -> Whole:
    whole = leave_alone(cell, folder / cell.name / "whole", data)
    _progress(f"{cell.name} left alone: {whole.steps} steps in {whole.training_seconds:.1f} s; {cell}")
    return whole


def _until_enough(
    kills: int, seed: int, folder: Path, data: Path, wholes: dict[Cell, Whole], pool: ThreadPoolExecutor, ahead: int
) -> list[Tortured]:
    """Round after round over the cells; the first one kills every cell and, given kills enough, has every point."""
    results: list[Tortured] = []
    lock = threading.Lock()
    work = ((cell, turn) for turn in itertools.count(1) for cell in wholes)
    in_a_run = max(1, min(MOST_KILLS_IN_A_RUN, kills // len(wholes)))

    def one_after_the_other() -> None:
        while True:
            with lock:
                if sum(len(result.killed) for result in results) >= kills:
                    return
                cell, turn = next(work)
            planned = _kills(cell, turn, in_a_run, f"{seed} {cell.number} {turn}")
            own = folder / cell.name / f"killed-{turn}"
            result = torture(cell, own, data, wholes[cell], planned)
            with lock:
                results.append(result)
            if not result.differences:
                shutil.rmtree(own)
            equal = "DIFFERENT" if result.differences else "equal"
            _progress(f"{cell.name} {equal} after {', '.join(map(str, result.killed)) or 'no kill'}")

    for worker in [pool.submit(one_after_the_other) for _ in range(ahead)]:
        worker.result()
    return results


def _kills(cell: Cell, turn: int, count: int, seed: str) -> list[Kill]:
    if cell.workers > 1:
        return planned_signals(cell, count, seed, turn)
    return planned_kills(cell, count, seed) if turn == 1 else list(itertools.islice(random_kills(seed), count))


def _table(chosen: Sequence[Cell], results: Sequence[Tortured]) -> str:
    lines = [
        "| cell | what it has | runs | kills | at points | resumes | from zero | steps run twice | equal |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    total: Counter[str] = Counter()
    for cell in chosen:
        own = [result for result in results if result.cell == cell]
        counts = {
            "runs": len(own),
            "kills": sum(len(result.killed) for result in own),
            "at points": sum(isinstance(kill, AtPoint) for result in own for kill in result.killed),
            "resumes": sum(result.resumes for result in own),
            "from zero": sum(result.restarts for result in own),
            "steps run twice": sum(result.steps_twice for result in own),
        }
        total.update(counts)
        equal = "no" if any(result.differences for result in own) else "yes" if counts["kills"] else "never killed"
        lines.append(f"| {cell.name} | {cell} | {' | '.join(map(str, counts.values()))} | {equal} |")
    all_equal = "no" if any(result.differences for result in results) else "yes"
    lines.append(f"| all | | {' | '.join(str(total[name]) for name in counts)} | {all_equal} |")
    return "\n".join(lines)


def _signals(results: Sequence[Tortured]) -> str:
    kills = [kill for result in results for kill in result.killed if isinstance(kill, AtPoint)]
    counts = Counter(f"{kill.number.name} to worker {kill.rank}" for kill in kills)
    return f"\n{len({kill.name for kill in kills})} points; " + ", ".join(
        f"{count} {name}" for name, count in sorted(counts.items())
    )


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
