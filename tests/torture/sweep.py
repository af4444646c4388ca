"""`python -m tests.torture.sweep`: a search on the shipped digits, killed at random moments with all of its processes.

The same command goes on each time. At the end no trial may be lost or have been run twice, and every run must be
the one that its experiment makes when it is trained alone, as far as it came. Exit code 1 if anything is not so.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kerasrun.experiment.load import load
from kerasrun.many.study import Study, journal_in

ROOT = Path(__file__).parents[2]
FILE = ROOT / "configs" / "sweep_digits.yaml"


def main() -> int:
    """Search under kills; then train every trial alone."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="torture-sweep-", dir=options.folder))
    command = [*(sys.executable, "-P", "-m", "kerasrun", "sweep", FILE, "-o", folder), "--jobs", options.jobs]
    command += ["--trials", options.trials]
    group = folder / "sweep_digits-sweep-1"
    kill_at_random_moments([str(part) for part in command], group, options.kills, random.Random(options.seed))
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    print(done.stderr.splitlines()[-2], flush=True)
    loaded = load(FILE)
    storage = journal_in(group)
    trials = Study(loaded, storage, storage.get_all_studies()[0].study_name).trials()
    states = Counter(trial.state.name for trial in trials)
    print(f"{len(trials)} trials: {dict(states)}")
    wrong = [] if states["COMPLETE"] + states["PRUNED"] == len(trials) == options.trials else ["trials are lost"]
    wrong += _run_twice(trials, group)
    resumed = 0
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: max(1, len(os.sched_getaffinity(0)) // options.jobs)])
    for trial in trials:
        if "same_as" not in trial.user_attrs:
            run = group / f"trial-{trial.number}"
            resumed += json.loads((run / "run.json").read_bytes()).get("resumes", 0) > 0
            wrong += _difference(run, folder / "alone")
    print(f"{resumed} trials were resumed; all that are not as trained alone: {wrong or 'none'}")
    return 1 if wrong or (options.kills and not resumed) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.sweep", description=__doc__)
    parser.add_argument("--trials", type=int, default=40, help="how many (40)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--kills", type=int, default=8, help="how often everything is killed (8)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments (1)")
    parser.add_argument("--folder", type=Path, help="where to work; by default the temporary folder")
    return parser.parse_args()


def kill_at_random_moments(command: list[str], group: Path, kills: int, moments: random.Random) -> None:
    """Run a command and kill it with its children, some moments after it has made one to four more runs."""
    for number in range(1, kills + 1):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        enough = _runs(group) + moments.randint(1, 4)
        while process.poll() is None and _runs(group) < enough:
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 3))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for one in (process.pid, *map(int, children)):
            os.kill(one, signal.SIGKILL)
        process.wait()
        print(f"kill {number}: {_runs(group)} runs", flush=True)


def _runs(group: Path) -> int:
    return sum(1 for _ in group.glob("trial-*"))


def _run_twice(trials: list, group: Path) -> list[str]:
    """Trials that have a run although one with their parameters was at its end when they began."""
    wrong = []
    for trial in trials:
        known = [one for one in trials if one.params == trial.params and one.number < trial.number]
        ended = [one for one in known if one.datetime_complete < trial.datetime_start]
        if ended and (group / f"trial-{trial.number}").exists():
            wrong.append(f"trial {trial.number} is trial {ended[0].number} again")
    return wrong


def _difference(run: Path, folder: Path) -> list[str]:
    """What is not equal to the same experiment trained alone; of a run that was pruned, up to where it came."""
    import kerasrun

    record = json.loads((run / "run.json").read_bytes())
    overrides = [one for one in record["overrides"] if not one.startswith("name=")]
    alone = kerasrun.train(FILE, overrides=overrides, output=folder)
    assert alone is not None
    whole, rows = ((one / "metrics.csv").read_bytes() for one in (alone.root, run))
    count = len(list(csv.reader(rows.decode().splitlines())))
    expected = b"".join(whole.splitlines(keepends=True)[:count])
    digests = [hashlib.sha256(text).hexdigest() for text in (expected, rows)]
    print(f"{run.name}: {record['status']}, {count - 1} epochs, sha256 {digests[1][:16]}", flush=True)
    return [] if digests[0] == digests[1] else [f"{run.name} has another metrics.csv"]


if __name__ == "__main__":
    sys.exit(main())
