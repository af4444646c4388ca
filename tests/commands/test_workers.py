"""`--workers` and what goes with it, as far as nothing is started."""

import sys

import pytest

from kerasrun.commands._workers import begin_workers
from kerasrun.errors import UsageError


@pytest.mark.parametrize(
    ("workers", "shards", "sentence"),
    [
        ("x", 0, "--workers x: expected a number of processes, or slurm"),
        ("0", 0, "--workers 0: expected a number of processes, or slurm"),
        ("3", 4, "--workers 3: cannot share 4 shards evenly; take a divisor of 4"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_in_one_sentence(workers, shards, sentence):
    with pytest.raises(UsageError) as error:
        begin_workers(workers, shards=shards)
    assert str(error.value) == sentence


def test_one_worker_is_this_process():
    assert not begin_workers("1", shards=4)


def test_windows_has_no_parent_of_workers(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UsageError, match="Windows cannot pass a pipe on"):
        begin_workers("2", shards=0)
