"""Starting, watching and restarting: small scripts are the workers, and the tests say what each of them does."""

import io
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasrun.workers.parent import run
from kerasrun.workers.timeouts import Timeouts

HOST = socket.gethostname()
# What every script may use; `forever` is a worker that waits in a collective, deaf to everything but SIGKILL.
BEGIN = """
import json, os, signal, sys, time
from pathlib import Path
from kerasrun.workers.channel import Channel
channel = Channel.from_environment()
attempt, run = int(sys.argv[1]), sys.argv[2]
place = json.loads(os.environ["TF_CONFIG"])
rank, count = place["task"]["index"], len(place["cluster"]["worker"])
tell = channel.tell
def forever():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    done(f"deaf {rank}")
    time.sleep(60)
def done(name):
    Path(name).touch()
def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.01)
def fail(code, text):
    print(text, file=sys.stderr)
    sys.exit(code)
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.chdir(tmp_path)


def started(script, count=3, before="", **options):
    attempts = itertools.count()
    return run(
        lambda run: [sys.executable, "-c", before + BEGIN + script, str(next(attempts)), run or ""],
        count,
        addresses=lambda count: [f"127.0.0.1:{9000 + rank}" for rank in range(count)],
        environment=lambda rank, count: {"THREADS": f"{rank} of {count}"},
        **options,
    )


def wait_for(name):
    deadline = time.monotonic() + 10
    while not Path(name).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said(caplog):
    return [re.sub(r"for \d+ s", "for N s", record.getMessage()) for record in caplog.records]


def test_every_worker_knows_its_place_and_rank_0_alone_is_seen(capfd, caplog):
    assert started("print(rank, os.environ['THREADS'], place['cluster']['worker'][rank], attempt, run)") == 0
    assert capfd.readouterr().out == "0 0 of 3 127.0.0.1:9000 0 \n"
    assert said(caplog) == []


@pytest.mark.parametrize("code", [0, 2, 143])
def test_the_exit_code_is_that_of_rank_0(code):
    begin = time.monotonic()
    assert started(f"rank or sys.exit({code})\nsys.exit()") == code
    assert time.monotonic() - begin < 10


def test_workers_have_time_to_end_after_rank_0_but_not_for_ever():
    begin = time.monotonic()
    script = """
rank or wait_for("here")
rank == 1 and (done("here"), time.sleep(0.3), done("ended"))
rank == 2 and forever()
"""
    assert started(script, timeouts=Timeouts(ending=1)) == 0
    assert Path("ended").exists()
    assert time.monotonic() - begin < 10


LOSS = """
if attempt == 0:
    if rank == 0:
        tell(run="runs/x-1", phase="training"); tell(saved=100); tell(step=120, epoch=3); done("saved")
    if rank == 2:
        tell(step=119, epoch=3); wait_for("saved"); {loss}
    forever()
rank or done(f"resumed {{Path(run).name}} {{count}}")
"""


@pytest.mark.parametrize(
    ("loss", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", "was silent for N s"),
    ],
)
def test_a_lost_worker_is_told_in_one_sentence_and_all_go_on_from_the_newest_checkpoint(loss, how, caplog):
    begin = time.monotonic()
    assert started(LOSS.format(loss=loss), timeouts=Timeouts(stall=2, joining=2)) == 0
    assert time.monotonic() - begin < 10
    assert said(caplog) == [
        f"worker 2 on {HOST} {how}, after step 119",
        "going on from the checkpoint of step 100 with 3 workers",
    ]
    assert Path("resumed x-1 3").exists()


def test_a_loss_before_there_was_a_run_begins_again(caplog):
    assert started("attempt or rank != 1 or os.kill(os.getpid(), signal.SIGKILL)\nattempt or forever()") == 0
    assert said(caplog) == [
        f"worker 1 on {HOST} was killed by SIGKILL, before its first step",
        "starting again with 3 workers",
    ]


def test_a_run_without_a_checkpoint_is_not_begun_twice(caplog):
    script = "rank or tell(run='runs/x-1') or done('named')\nrank and (wait_for('named'), os.abort())\nforever()"
    assert started(script) == 1
    assert said(caplog)[1:] == ["runs/x-1: no checkpoint was saved before that, so nothing can be resumed; train again"]


def test_restarts_are_counted_again_when_a_newer_checkpoint_is_there(caplog):
    # Checkpoints at 0, 10, 20 of the attempts 0, 1, 2; none is newer after that.
    script = """
if rank == 0:
    tell(run="runs/x-1"); tell(saved=min(attempt, 2) * 10); done(f"saved {attempt}"); forever()
wait_for(f"saved {attempt}")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert started(script, count=2, restarts=2) == 1
    steps = [text.split(" with ")[0] for text in said(caplog)[1:-1:2]]
    assert steps == [f"going on from the checkpoint of step {step}" for step in (0, 10, 20, 20)]
    assert said(caplog)[-1] == ("2 restarts brought no newer checkpoint; kerasrun resume runs/x-1 goes on from step 20")


def test_fewer_workers_go_on_where_that_is_possible(caplog):
    script = """
rank or (tell(run="runs/x-1", saved=7), done(f"saved {count}"))
wait_for(f"saved {count}")
if count > 1:
    rank == count - 1 and os.kill(os.getpid(), signal.SIGKILL)
    forever()
"""
    assert started(script, count=4, smaller={4: 2, 2: 1, 1: None}.get) == 0
    assert said(caplog)[1::2] == [
        "going on from the checkpoint of step 7 with 2 workers",
        "going on from the checkpoint of step 7 with 1 worker",
    ]


@pytest.mark.parametrize("code", [1, 3])
def test_an_error_of_one_worker_is_said_once_and_ends_all(code, caplog):
    begin = time.monotonic()
    script = f"rank or forever()\ntime.sleep(rank / 2)\nfail({code}, f'error: a.png\\nof {{rank}}')"
    assert started(script, timeouts=Timeouts(cause=1)) == code
    assert time.monotonic() - begin < 10
    assert said(caplog) == ["worker 1: error: a.png\nof 1"]


def test_an_error_that_rank_0_has_too_is_not_repeated(capfd, caplog):
    assert started("rank or time.sleep(0.5)\nfail(1, 'error: a.png: broken')") == 1
    assert said(caplog) == []
    assert capfd.readouterr().err == "error: a.png: broken\n"


def test_an_error_is_said_although_the_others_call_it_a_loss(caplog):
    assert started("time.sleep(rank == 1 and 0.3)\nfail(1 if rank == 1 else 75, f'error: of {rank}')") == 1
    assert said(caplog) == ["worker 1: error: of 1"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_misses_another_one_is_not_blamed_for_it(rank, caplog):
    script = f"""
if attempt == 0:
    if rank == {rank}: sys.exit(75)
    if rank == 2: time.sleep(0.5); os.abort()
    forever()
"""
    assert started(script) == 0
    assert said(caplog)[0] == f"worker 2 on {HOST} was killed by SIGABRT, before its first step"


def test_a_silent_worker_is_blamed_as_soon_as_another_one_misses_it(caplog):
    script = """
if attempt == 0:
    if rank == 2: tell(step=9); os.kill(os.getpid(), signal.SIGSTOP)
    if rank == 1: time.sleep(0.5); sys.exit(75)
    forever()
"""
    assert started(script, timeouts=Timeouts(suspicion=2)) == 0
    assert said(caplog)[0] == f"worker 2 on {HOST} was silent for N s, after step 9"


def test_a_stop_of_one_that_another_one_calls_a_loss_is_a_stop(caplog):
    script = """
tell(phase="training")
rank == 1 and (done("stopped"), sys.exit(143))
rank == 2 and (wait_for("stopped"), sys.exit(75))
forever()
"""
    assert started(script, timeouts=Timeouts(cause=0.5, ending=1)) == 143
    assert said(caplog) == []


def test_a_worker_that_misses_another_one_is_the_loss_if_none_shows(caplog):
    script = "attempt == 0 and (rank == 1 and (tell(missed='no worker 2'), sys.exit(75)), forever())"
    assert started(script, timeouts=Timeouts(cause=0.5)) == 0
    assert said(caplog)[0] == f"worker 1 on {HOST} ended with exit code 75, before its first step: no worker 2"


def test_a_crash_at_the_very_end_is_no_loss(caplog):
    assert started("rank and (tell(phase='ending'), os.abort())\ntime.sleep(0.5)") == 0
    assert said(caplog) == []


def test_what_a_worker_printed_before_it_crashed_is_shown(caplog):
    script = "attempt or (rank == 1 and (print('Check failed: x', flush=True), os.abort()), forever())"
    assert started(script) == 0
    assert said(caplog)[0].splitlines() == [
        f"worker 1 on {HOST} was killed by SIGABRT, before its first step",
        "Check failed: x",
    ]


def test_what_a_worker_prints_never_holds_it_up_and_its_last_200_lines_are_kept(caplog):
    script = "rank and [print(f'line {number:090}') for number in range(10_000)]\nrank == 1 and sys.exit(1)"
    assert started(f"{script}\nrank or forever()", timeouts=Timeouts(cause=0.2)) == 1
    assert said(caplog) == ["worker 1: " + "\n".join(f"line {number:090}" for number in range(9_800, 10_000))]


def test_a_terminal_shows_its_cursor_again_after_a_kill(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert started("attempt == 0 and os.kill(os.getpid(), signal.SIGKILL)", count=1) == 0
    assert sys.stderr.getvalue().startswith("\r\x1b[2K\x1b[?25h")


def test_a_worker_that_never_comes_is_named(caplog):
    # It never imports the channel, which would say that it is alive. The next one has nothing to say in time either, or
    # ends at once.
    commands = [[sys.executable, "-c", "import time; time.sleep(60)"], [sys.executable, "-c", ""]]
    options = {"addresses": lambda count: ["127.0.0.1:9000"], "environment": lambda rank, count: {}}
    assert (
        run(
            lambda run: commands.pop(0) if commands[1:] else commands[0],
            1,
            timeouts=Timeouts(start=0.5),
            restarts=100,
            **options,
        )
        == 0
    )
    assert said(caplog)[0] == f"worker 0 on {HOST} has not come: nothing was heard of it for N s"


def test_when_nothing_moves_the_last_step_of_each_is_told(caplog):
    script = """
if attempt == 0:
    tell(step=120 - rank, phase="training"); rank == 2 and tell(phase="validating"); forever()
"""
    assert started(script, timeouts=Timeouts(collective=1)) == 0
    assert said(caplog)[0] == (
        "nothing has moved for N s: worker 0 is training after step 120, worker 1 is training after step 119, "
        "worker 2 is validating after step 118"
    )


@pytest.mark.parametrize("phase", ["validating", "freezing"])
def test_what_is_computed_together_is_watched_as_training_is(phase, caplog):
    script = f"rank or tell(phase='{phase}')\nattempt or forever()"
    assert started(script, count=2, timeouts=Timeouts(collective=1)) == 0
    assert said(caplog)[0] == (
        f"nothing has moved for N s: worker 0 is {phase} before its first step, worker 1 is starting before its first "
        "step"
    )


@pytest.mark.parametrize("phase", ["starting", "saving"])
def test_what_rank_0_does_alone_may_take_any_time(phase, caplog):
    script = f"tell(phase='training')\nrank or tell(phase='{phase}')\ntime.sleep(1)"
    assert started(script, timeouts=Timeouts(collective=0.2)) == 0
    assert said(caplog) == []


LISTENS = """
def hear(number, frame):
    done(f"{rank} heard {signal.Signals(number).name}")
    sys.exit(130 if number == signal.SIGINT else 143)
rank or [signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)]
rank or done("listening")
rank == 1 and (wait_for("listening"), os.kill(os.getppid(), signal.%s))
rank and forever()
time.sleep(60)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143), ("SIGUSR1", 143)])
def test_a_signal_is_passed_on_to_rank_0_alone(name, code, caplog):
    before = signal.getsignal(getattr(signal, name))
    assert started(LISTENS % name) == code
    assert [one.name for one in Path().glob("*heard*")] == [f"0 heard {name}"]
    assert said(caplog) == []
    assert signal.getsignal(getattr(signal, name)) == before


def test_a_signal_waits_until_rank_0_has_spoken():
    before = """
import os, signal, sys, time
from pathlib import Path
if '"index": 0' in os.environ["TF_CONFIG"]:
    time.sleep(1)
    signal.signal(signal.SIGINT, lambda number, frame: (Path("heard").touch(), sys.exit(130)))
"""
    assert started("rank == 1 and os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)", before=before) == 130
    assert Path("heard").exists()


def test_a_signal_that_rank_0_does_not_handle_ends_all(caplog):
    assert started("rank == 1 and os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)") == 143
    assert said(caplog) == []


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_second_signal_ends_all_at_once(name, code):
    begin = time.monotonic()
    script = f"""
rank == 1 and [(wait_for("deaf 0"), os.kill(os.getppid(), signal.{name}), time.sleep(0.5)) for _ in "ab"]
forever()
"""
    assert started(script) == code
    assert time.monotonic() - begin < 10


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert started("rank == 1 and os.kill(os.getppid(), signal.SIGHUP)\ntime.sleep(0.5)") == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_restarted_after_a_signal(caplog):
    script = """
rank or tell(run="runs/x-1", saved=7)
rank == 1 and (wait_for("deaf 0"), os.kill(os.getppid(), signal.SIGTERM), time.sleep(0.5), os.abort())
forever()
"""
    assert started(script) == 143
    assert said(caplog) == [f"worker 1 on {HOST} was killed by SIGABRT, before its first step"]


def test_a_worker_that_alone_was_stopped_before_training_ends_all(caplog):
    script = "rank == 1 and (print('reading'), print('stopped'), sys.exit(143))\nforever()"
    assert started(script, timeouts=Timeouts(ending=0.5)) == 143
    assert said(caplog) == ["worker 1: stopped"]


def test_rank_0_may_save_for_long_after_another_one_was_stopped():
    script = """
tell(phase="training")
rank or done("training")
rank == 1 and (wait_for("training"), sys.exit(143))
rank and forever()
time.sleep(1)
done("saved")
sys.exit(143)
"""
    assert started(script, timeouts=Timeouts(ending=0.2)) == 143
    assert Path("saved").exists()


def wait_until_gone(pid):
    deadline = time.monotonic() + 10
    status = Path(f"/proc/{pid}/status")
    while status.exists() and "State:\tZ" not in status.read_text():  # Z: gone, and nobody has asked for its exit code
        assert time.monotonic() < deadline
        time.sleep(0.01)


linux = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="asks Linux whether a process lives")

PARENT = """
import sys
from kerasrun.workers.parent import run
run(lambda run: [sys.executable, "-c", sys.argv[1], "0", ""], 2,
    addresses=lambda count: ["127.0.0.1:9000", "127.0.0.1:9001"], environment=lambda rank, count: {})
"""


@linux
def test_a_parent_that_is_killed_leaves_nobody_behind():
    script = BEGIN + "Path(f'pid{rank}').write_text(str(os.getpid())); done(f'here{rank}'); forever()"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, script])
    wait_for("here0")
    wait_for("here1")
    pids = [int(Path(f"pid{rank}").read_text()) for rank in (0, 1)]
    parent.kill()
    parent.wait()
    for pid in pids:
        wait_until_gone(pid)


@linux
@pytest.mark.parametrize("rank", [0, 1])
def test_what_a_worker_started_ends_with_it(rank):
    script = f"""
import subprocess
if rank == {rank}:
    Path("started").write_text(str(subprocess.Popen(["sleep", "60"]).pid))
    done("written")
wait_for("written")
rank and forever()
sys.exit(3)
"""
    assert started(script) == 3
    wait_until_gone(int(Path("started").read_text()))


@pytest.mark.long
def test_a_stopped_parent_calls_nobody_silent():
    script = "rank or done('here')\ntime.sleep(3.5)"
    code = f"sys.exit(started({script!r}, restarts=0, timeouts=Timeouts(stall=2, joining=2)))"
    parent = subprocess.Popen([sys.executable, "-c", f"from tests.workers.test_parent import *\n{code}"])
    wait_for("here")
    parent.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    parent.send_signal(signal.SIGCONT)
    assert parent.wait() == 0
