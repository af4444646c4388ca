"""Run the test suite as other processors, other numbers of threads and other seeds would: `python -m tests.matrix`.

A setting's name chooses it (`python -m tests.matrix avx2 seeds-1`); without one all of them run, one after the other,
each as long as `make test` and `make test-long`. What is printed is a table in Markdown; the output of each run is in a
file beside it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = ("-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:cacheprovider")

# Everything that asks how many processors it may use asks the C library: Python, TensorFlow, oneDNN.
AFFINITY = """
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *mask) {
    memset(mask, 0, size);
    for (int cpu = 0; cpu < THREADS; cpu++) CPU_SET_S(cpu, size, mask);
    return 0;
}
"""


@dataclass(frozen=True)
class Setting:
    """What differs from a plain run of the tests."""

    environment: dict[str, str] = field(default_factory=dict)
    threads: int | None = None
    seeds: int = 0


SETTINGS = {
    "plain": Setting(),
    "without-onednn": Setting({"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "with-onednn": Setting({"TF_ENABLE_ONEDNN_OPTS": "1"}),
    "sse41": Setting({"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "avx2": Setting({"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}),
    **{f"threads-{count}": Setting(threads=count) for count in (1, 2, 4)},
    **{f"seeds-{times}": Setting(seeds=times) for times in range(1, 6)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", nargs="*", help=f"which: {', '.join(SETTINGS)} (all)")
    parser.add_argument("--pytest", default="", help="further arguments of pytest, such as tests/training")
    options = parser.parse_args()
    if unknown := set(options.setting) - set(SETTINGS):
        parser.error(f"unknown setting {sorted(unknown)[0]!r}; there are {', '.join(SETTINGS)}")
    folder = Path(tempfile.mkdtemp(prefix="kerasrun-matrix-"))
    print("| setting | passed | failed | skipped | minutes | output |\n|" + " --- |" * 6, flush=True)
    codes = [_run(name, folder, options.pytest.split()) for name in options.setting or SETTINGS]
    sys.exit(max(codes))


def _run(name: str, folder: Path, arguments: list[str]) -> int:
    """Run the tests in one setting, print its row of the table, and return pytest's exit code."""
    setting, output = SETTINGS[name], folder / f"{name}.txt"
    environment = os.environ | setting.environment
    if setting.threads:
        environment["LD_PRELOAD"] = str(_processors(setting.threads, folder))
    seeds = ["--other-seeds", str(setting.seeds)] if setting.seeds else []
    begin = time.monotonic()
    with output.open("w") as file:
        command = [sys.executable, *COMMAND, *seeds, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False)
    minutes = (time.monotonic() - begin) / 60
    last = output.read_text().splitlines()[-1]
    counted = {word: count for count, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", last)}
    failed = int(counted.get("failed", 0)) + int(counted.get("error", counted.get("errors", 0)))
    row = (name, counted.get("passed", "0"), failed, counted.get("skipped", "0"), f"{minutes:.1f}", output)
    print(f"| {' | '.join(map(str, row))} |", flush=True)
    return done.returncode


def _processors(count: int, folder: Path) -> Path:
    """Compile a library that, loaded before the C library, has a process believe in so many processors."""
    source, library = folder / f"{count}.c", folder / f"{count}.so"
    source.write_text(AFFINITY.replace("THREADS", str(count)))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


if __name__ == "__main__":
    main()
