"""The long version, `python -m tests.fuzz experiments --count 20000`; exit code 1 if there was a fault.

`experiments` are mutated experiment files, which `kerasrun validate` must accept, or refuse with line and column;
`bases` are three such files that build on each other and ask the environment, of which the same is true;
`data` are mutated images, arrays and tables, which their source must read, or refuse with the name of the file;
`training` are mutated experiment files that `validate` accepts, which `train --dry-run` must try, or refuse in words;
`runs` are run directories that were tampered with, of which every command must make sense, or refuse them in words;
`models` are model files and architectures with mutated configs, which `summary` and `predict` must read, or refuse.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.fuzz.harness import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("part", choices=("experiments", "bases", "data", "training", "runs", "models"))
    parser.add_argument("--count", type=int, default=2000, help="how many cases (2000)")
    parser.add_argument("--seed", type=int, default=1, help="decides every case (1)")
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER", help="the number of the first case (0)")
    parser.add_argument("--folder", type=Path, help="where to keep what fails; by default a temporary one")
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))).absolute()
    result = run(options.part, options.seed, range(options.first, options.first + options.count), folder)
    faults = defaultdict(list)
    for fault in result.faults:
        faults[fault.kind].append(fault)
    for kind, found in sorted(faults.items(), key=lambda item: -len(item[1])):
        print(f"{len(found)} × {kind}: {options.part} --seed {options.seed} --first {found[0].number} --count 1")
        print(f"  {found[0].folder}", *found[0].details.strip().splitlines(), sep="\n  ")
    counts = ", ".join(f"{result.outcomes[outcome]} {outcome}" for outcome in ("accepted", "refused"))
    print(
        f"{options.count} {options.part}: {counts}, {len(result.faults)} faults of {len(faults)} kinds; "
        f"{result.seconds:.0f} s, the slowest {result.slowest[0]:.2f} s (number {result.slowest[1]}); "
        f"at most {result.peak / 2**20:.0f} MiB"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
