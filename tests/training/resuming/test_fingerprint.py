"""The data are compared with the run, and with those of other processes, once every file was read."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from kerasrun.errors import WorkersError
from kerasrun.reading.data import Data
from kerasrun.training.resuming.fingerprint import KEY, FingerprintCheck


class Team:
    """Two processes, of which the other one has read the data of this fingerprint."""

    def __init__(self, of_other):
        self.workers = 2
        self.of_other = of_other
        self.asked = 0

    def require_same_data(self, fingerprint):
        self.asked += 1
        if fingerprint != self.of_other:
            raise WorkersError("worker 1 has another content of the data than rank 0")


def check_of(team):
    """Return the check of a run whose files have just been read."""
    contents = Future()
    contents.set_result("abc")
    run = SimpleNamespace(read_run=lambda: {KEY: "abc"})
    job = SimpleNamespace(data=Data({}, (), None, contents), splits=[], team=team)
    return FingerprintCheck(run, job, writer=None)


def test_other_data_of_another_process_are_refused_before_anything_is_saved():
    with pytest.raises(WorkersError, match="worker 1 has another content"):
        check_of(Team("other")).require()


def test_processes_compare_their_data_once_and_not_while_another_one_may_still_read():
    team = Team("abc")
    check = check_of(team)
    check.look()
    assert team.asked == 0
    check.require()
    check.require()
    assert team.asked == 1
