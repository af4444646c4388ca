"""A search on the shipped digits: `kerasrun sweep` beside a script with Optuna and `model.fit`.

Whole commands, in turns; then what a trial costs outside its epochs, and how memory grows with the trials.

Example: python -m benchmarks.sweep --rounds 5
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._command_line import parser_for, run_alone
from benchmarks._commands import KERASRUN, ROOT, Finished, run
from benchmarks._optional import is_installed
from benchmarks._rounds import spread, take_turns
from benchmarks._table import DURATIONS, durations, print_table, with_spread

FILE = ROOT / "configs" / "sweep_digits.yaml"
TWO_JOBS = "kerasrun sweep --jobs 2"
ONE_JOB = "kerasrun sweep"
BY_HAND = "Optuna and fit, by hand"
FEW, MANY = 10, 100


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    run_alone(argv, arguments, measure)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="searches of each contender; default: 5")
    parser.add_argument("--trials", type=int, default=40, help="how many trials a search has; default: 40")
    parser.add_argument("--no-memory", action="store_true", help="leave the searches of a hundred trials out")
    return parser.parse_args(argv)


def measure(given: argparse.Namespace) -> None:
    """Print a table of seconds, one of what is outside the epochs, and one of memory."""
    if not is_installed("optuna"):
        return
    names = [TWO_JOBS, ONE_JOB, BY_HAND]
    found = take_turns(names, given.rounds, lambda name: search(name, given.trials))
    seconds = {name: [one.seconds for one, _, _ in found[name]] for name in names}
    epochs = {name: [float(count) for _, count, _ in found[name]] for name in names}
    rows = [[*row, *with_spread(spread(epochs[row[0]]), ".0f")] for row in durations(seconds, ".1f")]
    print_table(f"{given.trials} trials, {given.rounds} rounds", [*DURATIONS, "epochs", "least–most"], rows)
    outside = [outside for _, _, outside in found[ONE_JOB]]
    print_table("Outside its epochs", ["", "seconds", "least–most"], [["a trial", *with_spread(spread(outside))]])
    if not given.no_memory:
        peaks = {name: [search(name, trials)[0].peak / 1e6 for trials in (FEW, MANY)] for name in (ONE_JOB, BY_HAND)}
        rows = [[name, f"{few:,.0f}", f"{many:,.0f}"] for name, (few, many) in peaks.items()]
        print_table("Peak memory in MB", ["", f"{FEW} trials", f"{MANY} trials"], rows)


def search(name: str, trials: int) -> tuple[Finished, int, float]:
    """Search once; return also how many epochs were trained, and the seconds of a trial outside them."""
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as folder:
        if name == BY_HAND:
            digits = ROOT / "data" / "digits" / "digits.npz"
            done = run([sys.executable, "-m", "benchmarks.peers.optuna_fit", str(digits), folder, str(trials)])
            result = done, json.loads(done.output)["epochs"], 0.0
        else:
            jobs = ["--jobs", "2"] if name == TWO_JOBS else []
            done = run([*KERASRUN, "sweep", str(FILE), "--trials", str(trials), "-o", folder, *jobs])
            result = done, *_epochs(next(Path(folder).glob("*-sweep-1")))
        print(f"{name}: {done.seconds:.1f} s", file=sys.stderr, flush=True)
        return result


def _epochs(group: Path) -> tuple[int, float]:
    from kerasrun.many.study import journal_in

    storage = journal_in(group)
    trials = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    whole = (max(ends) - min(trial.datetime_start for trial in trials if trial.datetime_start)).total_seconds()
    rows = [row for file in group.glob("trial-*/timings.csv") for row in file.read_text().splitlines()[1:]]
    return len(rows), (whole - sum(float(row.split(",")[1]) for row in rows)) / len(trials)


if __name__ == "__main__":
    main()
