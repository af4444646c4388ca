import json
import subprocess
import sys

import pytest

from benchmarks._commands import ROOT, only_run, run, with_overrides

MB = 10**6
ALLOCATES = "import sys; data = b'x' * int(sys.stdin.read()); print(len(data))"
# In a small process of its own, as benchmarks are: what the parent has counts as the child's until it begins.
MEASURES = f"""
import json, sys
from benchmarks._commands import run
found = run([sys.executable, "-c", {ALLOCATES!r}], stdin=sys.argv[1])
print(json.dumps([found.output, found.peak, found.seconds]))
"""


def test_a_command_tells_what_it_printed_how_long_it_took_and_how_much_memory_it_had():
    little, much = (
        json.loads(subprocess.check_output([sys.executable, "-c", MEASURES, str(size)], cwd=ROOT, text=True))
        for size in (MB, 101 * MB)
    )
    assert (little[0], much[0]) == ("1000000\n", "101000000\n")
    assert 90 * MB < much[1] - little[1] < 110 * MB
    assert 0 < little[2] < 60


def test_a_command_that_fails_says_why():
    with pytest.raises(SystemExit, match="exit code 3:\nno data"):
        run([sys.executable, "-c", "import sys; print('no data', file=sys.stderr); sys.exit(3)"])


def test_overrides_become_options():
    assert with_overrides("seed=1", "fit.epochs=2") == ["-s", "seed=1", "-s", "fit.epochs=2"]


def test_the_run_is_found_beside_the_link_to_the_newest(tmp_path):
    (tmp_path / "lenet-1").mkdir()
    (tmp_path / "latest").symlink_to("lenet-1")
    assert only_run(tmp_path) == tmp_path / "lenet-1"
