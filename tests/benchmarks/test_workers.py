import sys

import pytest

from benchmarks._workers import Worker, images_per_second, measure

TWO_EPOCHS = """
from benchmarks import _turn
for epoch in (1, 2):
    _turn.wait()
    print("noise of a library")
    _turn.report(seconds=epoch / 2, images=epoch)
"""


def test_worker_answers_each_request_with_one_epoch(tmp_path):
    with Worker([sys.executable, "-c", TWO_EPOCHS], tmp_path / "log") as worker:
        assert worker.epoch() == {"seconds": 0.5, "images": 1}
        assert worker.epoch() == {"seconds": 1.0, "images": 2}


def test_worker_that_is_not_asked_any_more_ends(tmp_path):
    with Worker([sys.executable, "-c", TWO_EPOCHS], tmp_path / "log") as worker:
        worker.epoch()
    assert (tmp_path / "log").read_text() == ""


def test_worker_that_fails_says_why(tmp_path):
    failing = [sys.executable, "-c", "import sys; sys.exit('out of memory')"]
    with Worker(failing, tmp_path / "log") as worker, pytest.raises(SystemExit, match=r"exit code 1:\nout of memory"):
        worker.epoch()


def test_worker_that_ended_before_it_was_asked_says_why(tmp_path):
    with Worker([sys.executable, "-c", "raise SystemExit('no data')"], tmp_path / "log") as worker:
        worker._process.wait()
        with pytest.raises(SystemExit, match="no data"):
            worker.epoch()


def test_an_epoch_that_does_not_count_comes_before_the_rounds(tmp_path):
    command = [sys.executable, "-c", TWO_EPOCHS]
    reports = measure({"ours": command, "a peer": command}, 1, tmp_path, str)
    assert reports == {"ours": [{"seconds": 1.0, "images": 2}], "a peer": [{"seconds": 1.0, "images": 2}]}
    assert images_per_second(reports["ours"][0]) == 2
