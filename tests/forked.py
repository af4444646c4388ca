"""Processes that find TensorFlow and kerasrun loaded: forked from one that has imported both and has done nothing else.

The imports take some four seconds of processor time, a fork a few hundredths. TensorFlow starts its threads when it is
first used; a fork before that is as good as a process of its own, and tests/torture holds it to the same bits.

A parent of workers (`--workers`) forks those from a process that has done nothing else either.

What such a process has not: a hash seed of its own, so that it should be compared with one that has; environment
variables for TensorFlow to read while it is loaded; and the time that loading takes, for a signal to fall into.
"""

import atexit
import functools
import gc
import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from kerasrun.workers.channel import VARIABLE

ROOT = Path(__file__).parents[1]
_starting = threading.Lock()


class Forked:
    """`python *arguments`, where these are `-m MODULE …` or `-c CODE …`; it is used like `subprocess.Popen`.

    What it writes goes to the open files `stdout` and `stderr`, or else to one that `communicate` reads.
    """

    def __init__(
        self, arguments: Sequence[object], cwd: Path, stdout: IO[bytes] | None = None, stderr: IO[bytes] | None = None
    ) -> None:
        self.stdout, self.stderr = stdout or tempfile.TemporaryFile(), stderr or tempfile.TemporaryFile()  # noqa: SIM115
        self._start(arguments, cwd, os.environ, [self.stdout.fileno(), self.stderr.fileno()])

    def _start(
        self, arguments: Sequence[object], cwd: Path, environment: Mapping[str, str], descriptors: Sequence[int]
    ) -> None:
        self.args = [str(argument) for argument in arguments]
        self.returncode: int | None = None
        request = json.dumps({"arguments": self.args, "cwd": str(cwd), "environment": dict(environment)}).encode()
        reading, writing = os.pipe()
        with _starting:
            server = _server()
        socket.send_fds(server, [request], [writing, *descriptors])
        os.close(writing)
        self._told = os.fdopen(reading, "rb", buffering=0)
        self.pid = int(self._told.readline())
        os.set_blocking(reading, False)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None and (told := self._told.read()) is not None:
            self._told.close()
            self.returncode = int(told)
        return self.returncode

    def wait(self, timeout: float = 300) -> int:
        """The exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: if that takes longer than so many seconds.
        """
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.005)
        return code

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """What it has written to stdout and to stderr, once it has ended."""
        self.wait(timeout)
        return _content(self.stdout), _content(self.stderr)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedWorker(Forked):
    """What `kerasrun.workers.worker` starts with `subprocess.Popen`: it has a channel and a session of its own."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], stdout: int | None = None, **others: Any
    ) -> None:
        expected = {"pass_fds": [int(env[VARIABLE])], "start_new_session": True, "bufsize": 0}
        assert {name: others.get(name) for name in expected} == expected
        arguments = command[command.index("-m") :]
        if stdout is None:
            self.stdout = None
            self._start(arguments, Path.cwd(), env, [1, 2, int(env[VARIABLE])])
            return
        reading, writing = os.pipe()
        self.stdout = os.fdopen(reading, "rb", buffering=0)
        self._start(arguments, Path.cwd(), env, [writing, writing, int(env[VARIABLE])])
        os.close(writing)


def run(arguments: Sequence[object], cwd: Path) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` does with `capture_output` and `text`."""
    process = Forked(arguments, cwd)
    try:
        stdout, stderr = process.communicate()
    finally:
        process.kill()  # if it runs for too long
    return subprocess.CompletedProcess(process.args, process.wait(), stdout, stderr)


def _content(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode()


@functools.cache
def _server() -> socket.socket:
    """To the process that forks, which ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
        env=environment,
        stderr=subprocess.DEVNULL,  # what TensorFlow says when it is imported
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    atexit.register(lambda: (ours.close(), server.wait()))
    return ours


def _next_process(requests: socket.socket) -> list[str]:
    """Fork at each request; in the process that was forked, return its arguments."""
    parents = []
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, 2**20, 4)
        if not request:
            for waiting in parents:
                os.waitpid(waiting, 0)
            os._exit(0)
        # The new process is waited for by its parent, another fork, so that forking is all that is done here.
        if parent := os.fork():
            parents.append(parent)
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        requests.close()
        told, stdout, stderr, *channel = descriptors
        if child := os.fork():
            os.write(told, b"%d\n" % child)
            _, status = os.waitpid(child, 0)
            os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
        os.close(told)
        for standard, descriptor in enumerate((stdout, stderr), start=1):
            os.dup2(descriptor, standard)
            os.close(descriptor)
        # As Python opens them, which looks at what they are: a file, a pipe, a terminal.
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        asked = json.loads(request)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        if channel:
            os.setsid()
            os.environ[VARIABLE] = str(*channel)
        return list(asked["arguments"])


def _fork_workers(arguments: list[str]) -> list[str]:
    """Have this process, a parent, fork its workers; return its arguments, and in each worker those of the worker."""
    global _server
    from kerasrun.workers import worker

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        ours.close()
        return _next_process(theirs)
    theirs.close()
    _server = lambda: ours  # noqa: E731
    worker.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": ForkedWorker})  # type: ignore[assignment]
    return arguments


def main() -> None:
    import numpy as np

    from kerasrun.engine.devices import NEEDLESS, _unimported
    from tests import seeds

    with _unimported(*NEEDLESS):  # as where kerasrun loads it
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    import kerasrun.cli
    import kerasrun.training.loop
    import kerasrun.training.train  # noqa: F401

    seeds.exchange()
    gc.freeze()  # or else each process would look through all of TensorFlow, and so copy it
    command = _next_process(socket.socket(fileno=int(sys.argv[1])))
    if "--workers" in command:
        command = _fork_workers(command)
    option, what, *arguments = command
    random.seed()
    np.random.seed()
    sys.argv = [what if option == "-m" else option, *arguments]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})


if __name__ == "__main__":
    main()
