"""Stopping, also in the middle of a long call into C."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from kerasrun.training.stopping.signals import StopRequest
from kerasrun.workers.child_processes import SIGNALS, deaf_children

# Some minutes in C, during which no line of Python runs in the main thread.
BUSY = """
import hashlib
from kerasrun.training.stopping.signals import StopRequest
with StopRequest() as stop:
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


# Code in C that imports, or calls back, may drop the exception of a signal, as Python itself does in `__del__`.
LOST = """
import signal
from kerasrun import cli
from kerasrun.training.stopping.signals import StopRequest

class Deaf:
    def __del__(self):
        signal.raise_signal(signal.{number})

def app():
    Deaf()
    {then}
    print("it went on")

cli.app = app
cli.main()
"""


@pytest.mark.parametrize("then", ["StopRequest().__enter__()", "raise ImportError('initialization failed')"])
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_is_lost_in_c_ends_the_process_before_it_trains(number, code, then):
    script = LOST.format(number=number, then=then)
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (process.returncode, process.stdout) == (code, "")
    assert "before training began" in process.stderr.splitlines()[-1]


@pytest.fixture
def busy():
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143), (signal.SIGHUP, 143)]
)
def test_the_second_signal_ends_the_process_at_once(busy, number, code):
    busy.send_signal(number)
    time.sleep(0.3)
    assert busy.poll() is None
    busy.send_signal(number)
    assert busy.wait(timeout=10) == code


def test_the_first_signal_is_noted():
    with StopRequest() as stop:
        assert not stop
        signal.raise_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not stop and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stop.signal == signal.SIGTERM


def test_a_helper_hears_no_signal_that_is_meant_for_the_whole_job():
    with deaf_children():
        helper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)
    for number in SIGNALS:
        helper.send_signal(number)
    helper.communicate("go on\n")
    assert helper.returncode == 0


def test_a_signal_that_came_while_a_helper_was_begun_is_not_lost():
    with pytest.raises(KeyboardInterrupt), deaf_children():
        os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopRequest():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.1)
            assert not stop
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_it_never_asks():
    seen = []

    def enter():
        with StopRequest() as stop:
            seen.append(bool(stop))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [False]
