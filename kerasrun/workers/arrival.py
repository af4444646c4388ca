"""Wait until every process of a cluster has come, before TensorFlow joins them.

TensorFlow's own waiting has no end, says nothing, and keeps Python from running meanwhile: no signal would be heard.

Each listens where TensorFlow will listen later. The others connect to rank 0, and the two sides say lines of JSON in
turn, which is kerasrun's own format:

| message | by |
| --- | --- |
| `{"rank": 1, "addresses": ["host:port", …]}` | a process that has come |
| the same with `"failed": "…"` | one that comes to say why it cannot train |
| the same with `"resumes": true` | one that comes for the run that rank 0 has, and will come again to train |
| `{"reach": true}` | rank 0, when all have, and it has reached each |
| `{"unreached": "…"}` or `{"unreached": null}` | the process, when it has tried to reach the others |
| `{"begin": true}`, or with the run in place of `true` | rank 0, when all have reached all |
| `{"lost": "…"}` or `{"wrong": "…"}` | rank 0, which then ends for this reason, as all do |
| `{"wrong": "…"}` | rank 0, to one that has another list of addresses, which ends alone: it may be a stranger |

Each has `"job": "…"` too, the environment variable `KERASRUN_JOB`, where it is set; who has another one is no worker.
"""

import contextlib
import hmac
import json
import logging
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasrun.errors import KerasrunError, LostWorkerError, WorkersError
from kerasrun.stderr import plain
from kerasrun.text import json_text
from kerasrun.text.problems import shown
from kerasrun.workers import channel
from kerasrun.workers.cluster import Place

logger = logging.getLogger("kerasrun")

JOB = "KERASRUN_JOB"
"""The environment variable with a secret of all processes of a job; `--workers N` makes one."""
_SECONDS_UNTIL_TOLD = 10.0
_SECONDS_TO_ANSWER = 5.0
_SECONDS_BETWEEN_TRIALS = 0.2
_LONGEST_LINE, _LONGEST_RUN = 2**16, 2**24
_LONGEST_FAILURE = 500
_MOST_UNKNOWN = 100
"""How many connections may be open at once whose other side has not said yet who it is."""
_SECONDS_UNTIL_A_FAILURE_IS_SAID = 1.0

_came_at: set[str] = set()
"""The addresses at which this process has come, so that the others notice when it ends."""


def wait_for_all(place: Place) -> None:
    """Return when every process has come, with the same list of addresses, and each reaches all at these.

    Raises:
        LostWorkerError: if one has not come in time; every one that has raises the same.
        WorkersError: if the address of this process is taken, two processes have one rank, the list of this one is not
            that of rank 0, or one does not reach another.
    """
    _came_at.add(place.addresses[place.rank])
    with _listening(place) as listener:
        if place.leads:
            _Arrivals(place, listener).wait()
        else:
            _come(place)


def run_of_leader(place: Place, run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the run that is resumed, in all processes: plain values, which rank 0 gives, and no other one.

    Raises:
        LostWorkerError: as `wait_for_all`, or if one process resumes and another one does not.
        WorkersError: as `wait_for_all`.
    """
    with _listening(place) as listener:
        if not place.leads:
            found: dict[str, Any] = _come(place, resumes=True)
            return found
        assert run is not None
        _Arrivals(place, listener, run=run).wait()
        return dict(run)


@contextlib.contextmanager
def failure_told(place: Place) -> Iterator[None]:
    """Have all processes end, where this one fails in the block before it has come; those of a parent it ends itself.

    Who has failed waits for the others, as one that has come does.
    """
    try:
        yield
    except Exception as error:
        if place.count > 1 and place.addresses[place.rank] not in _came_at and not channel.is_open():
            # How the telling ends adds nothing: the error at hand says what is to be mended.
            with contextlib.suppress(LostWorkerError, WorkersError):
                _tell_failure(place, plain(" ".join(str(error).split())[:_LONGEST_FAILURE]))
        raise


def _tell_failure(place: Place, why: str) -> None:
    if place.leads:
        with _listening(place) as listener:
            _Arrivals(place, listener, why).wait()
    else:
        _come(place, why)


@contextlib.contextmanager
def _listening(place: Place) -> Iterator[socket.socket]:
    """Hold the port of this process, so that it can be reached there; TensorFlow takes it over."""
    own, port = _target(place, place.rank)
    host, both = (own, False) if place.is_on_one_machine else ("", socket.has_dualstack_ipv6())
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=place.count, dualstack_ipv6=both)
    except OSError as error:
        raise WorkersError(f"{place.named(place.rank)} cannot listen at its port: {_reason(error)}") from error
    with listener:
        yield listener


def hear_this_machine_alone(port: int) -> None:
    """Have what listens at a port in this process hear nobody but processes of this machine, where that can be had.

    TensorFlow's server listens to every network, and does whatever it is asked, reading and writing files included.
    """
    for opened in Path("/proc/self/fd").iterdir() if sys.platform == "linux" else ():
        descriptor = int(opened.name)
        try:
            is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError:  # that of the list itself
            continue
        if not is_socket:
            continue
        with socket.socket(fileno=os.dup(descriptor)) as listener:
            is_inet = listener.family in (socket.AF_INET, socket.AF_INET6)
            listens = is_inet and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listens and listener.getsockname()[1] == port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")


class _Arrivals:
    """The connections to rank 0 of those that have come."""

    def __init__(
        self, place: Place, listener: socket.socket, failed: str = "", run: Mapping[str, Any] | None = None
    ) -> None:
        """
        Args:
            failed: why rank 0 itself cannot train.
            run: what rank 0 gives to the others, where it resumes.
        """
        self._run = run
        self._place = place
        self._listener = listener
        self._came: dict[int, socket.socket] = {}
        self._new: list[_Line] = []
        """Those that have not said yet who they are."""
        self._refused: dict[int, str] = {}
        """Why one that says that it is of a rank was sent away."""
        self._own_failure = failed
        self._failure = f"{place.named(0)} has failed: {failed}" if failed else ""
        """The first failure, of whichever process."""
        self._told: set[int] = set()
        """Who was told of it, and has ended."""

    def wait(self) -> None:
        """Wait for all, and tell those that have come how it went on."""
        try:
            self._wait()
            self._reach_all()
            self._tell_all({"begin": self._run or True})
        except KerasrunError as error:
            self._tell_all({"lost" if isinstance(error, LostWorkerError) else "wrong": str(error)})
            raise
        finally:
            for connection in (*self._came.values(), *(line.connection for line in self._new)):
                connection.close()

    def _wait(self) -> None:
        begun, waiting = time.monotonic(), _Waiting()
        self._listener.settimeout(_SECONDS_BETWEEN_TRIALS)
        while missing := self._missing():
            waited = time.monotonic() - begun
            if waited >= self._place.seconds_to_come and not self._failure:
                raise _not_come(self._place, missing, *self._refused.values())
            if waited >= self._place.seconds_to_come:
                break
            waiting.say(waited, self._place, missing, self._own_failure or self._failure)
            with contextlib.suppress(TimeoutError):
                self._new.append(_Line(self._listener.accept()[0], _SECONDS_TO_ANSWER))
            while len(self._new) > _MOST_UNKNOWN:
                self._new.pop(0).connection.close()
            for line in [line for line in self._new if line.is_over()]:
                self._new.remove(line)
                self._take(line.connection, line.message())
            self._end_those_that_came()
        if self._failure:
            raise WorkersError(self._failure)

    def _end_those_that_came(self) -> None:
        """Tell them of a failure at once; rank 0 stays for those that are still to come."""
        if self._failure:
            self._tell_all({"wrong": self._failure})
            self._told |= self._came.keys()
            while self._came:
                self._came.popitem()[1].close()

    def _missing(self) -> list[int]:
        """Return who has not come, or has gone again since."""
        for rank in [rank for rank, connection in self._came.items() if _is_closed(connection)]:
            self._came.pop(rank).close()
        return [rank for rank in range(1, self._place.count) if rank not in self._came and rank not in self._told]

    def _take(self, connection: socket.socket, said: dict[str, Any]) -> None:
        rank, addresses = said.get("rank"), said.get("addresses")
        if type(rank) is not int or not 0 <= rank < self._place.count or not isinstance(addresses, list):
            connection.close()  # no worker: whatever tries the ports of a network
            return
        if addresses != list(self._place.addresses):
            self._refuse(connection, rank, shown(", ".join(map(str, addresses))))
            return
        self._missing()
        if rank in self._came or rank == 0:
            twice = f"two processes say that they are {self._place.named(rank)}: each task has an index of its own"
            with connection:
                _tell(connection, {"wrong": twice})
            raise WorkersError(twice)
        self._came[rank] = connection
        resumes = "resumes" in said
        if resumes != (self._run is not None) and not (self._failure or "failed" in said):
            raise LostWorkerError(
                f"{self._place.named(rank)} {'resumes' if resumes else 'trains'} a run, and rank 0 "
                f"{'trains' if resumes else 'resumes'} one: start all with the same command"
            )
        if "failed" in said and not self._failure:
            why = plain(str(said["failed"])[:_LONGEST_FAILURE])
            self._failure = f"{self._place.named(rank)} has failed: {why}"

    def _refuse(self, connection: socket.socket, rank: int, addresses: str) -> None:
        """Send one away that has another list: if it is a stranger, the others go on; if it is none, they say why."""
        why = f"{self._place.named(rank)} has another list of addresses than rank 0: {addresses}"
        with connection:
            _tell(connection, {"wrong": why})
        if rank not in self._refused:
            logger.warning("%s", why)
        self._refused[rank] = why

    def _reach_all(self) -> None:
        """
        Raises:
            WorkersError: if one does not reach another, as TensorFlow must.
            LostWorkerError: if one does not say whether it does.
        """
        if unreached := _unreached(self._place):
            raise WorkersError(unreached)
        self._tell_all({"reach": True})
        # All answers are taken before the first one is judged: the sides speak in turn, and one line is read at a time.
        limit = _SECONDS_TO_ANSWER * self._place.count
        answers = {rank: _heard(connection, limit) for rank, connection in sorted(self._came.items())}
        for rank, said in answers.items():
            if "unreached" not in said:
                raise LostWorkerError(f"{self._place.named(rank)} has come, but nothing was heard of it since")
            if said["unreached"]:
                raise WorkersError(str(said["unreached"]))

    def _tell_all(self, message: dict[str, Any]) -> None:
        for connection in self._came.values():
            _tell(connection, message)


def _come(place: Place, failed: str = "", *, resumes: bool = False) -> Any:
    """Connect to rank 0, and wait for what it says; as often as it is not there, or is that of an earlier attempt.

    Returns:
        what rank 0 gives, True where that is nothing.

    Args:
        failed: why this process cannot train, to be told to all.
        resumes: whether it comes for a run.
    """
    message: dict[str, Any] = {"rank": place.rank, "addresses": place.addresses}
    message |= {"failed": failed} if failed else {"resumes": True} if resumes else {}
    begun, waiting = time.monotonic(), _Waiting()
    while (waited := time.monotonic() - begun) < place.seconds_to_come:
        waiting.say(waited, place, [0], failed)
        with contextlib.suppress(OSError), socket.create_connection(_target(place, 0), _SECONDS_TO_ANSWER) as leader:
            _tell(leader, message)
            said = _heard(leader, place.seconds_to_come + _SECONDS_TO_ANSWER, _LONGEST_RUN)
            if "reach" in said:
                _tell(leader, {"unreached": _unreached(place)})
                said = _heard(leader, _SECONDS_TO_ANSWER * (place.count + 1), _LONGEST_RUN)
            if "begin" in said:
                return said["begin"]
            if "wrong" in said:
                raise WorkersError(str(said["wrong"]))
            if "lost" in said:
                raise LostWorkerError(str(said["lost"]))
        time.sleep(_SECONDS_BETWEEN_TRIALS)
    raise _not_come(place, [0])


class _Waiting:
    """Says once whom this process waits for, if that takes long; and what it has to tell them."""

    def __init__(self) -> None:
        self._is_said = False

    def say(self, waited: float, place: Place, ranks: list[int], failure: str) -> None:
        """Say it, if `waited` seconds are long."""
        if self._is_said or waited < (_SECONDS_UNTIL_A_FAILURE_IS_SAID if failure else _SECONDS_UNTIL_TOLD):
            return
        logger.info("waiting for %s%s", _listed(place, ranks), f" to say so: {failure}" if failure else "")
        self._is_said = True


def _unreached(place: Place) -> str | None:
    """Return why this process does not reach another one that has come, None if it reaches all."""
    for rank in range(1, place.count):  # those that have come have reached rank 0
        if rank == place.rank:
            continue
        try:
            socket.create_connection(_target(place, rank), _SECONDS_TO_ANSWER).close()
        except OSError as error:
            return (
                f"{place.named(rank)} has come, but {place.named(place.rank)} does not reach it at this address: "
                f"{_reason(error)}"
            )
    return None


def _tell(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the other side is gone: whoever waits for it learns that otherwise
        job = {"job": _job()} if _job() else {}
        connection.sendall(json.dumps({**message, **job}).encode() + b"\n")


def _heard(connection: socket.socket, seconds: float, longest: int = _LONGEST_LINE) -> dict[str, Any]:
    """Wait for what the other side says, and return it."""
    line = _Line(connection, seconds, longest)
    while not line.is_over():
        select.select([connection], [], [], _SECONDS_BETWEEN_TRIALS)
    return line.message()


class _Line:
    """What the other side says, as it comes: nobody waits for it, and it has an end."""

    def __init__(self, connection: socket.socket, seconds: float, longest: int = _LONGEST_LINE) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._longest = longest
        self._until = time.monotonic() + seconds
        self._said = bytearray()

    def is_over(self) -> bool:
        """Read on, and return whether nothing more is to come: the line is whole, or too long, or too late."""
        try:
            more = self.connection.recv(_LONGEST_LINE)
        except BlockingIOError:
            return time.monotonic() >= self._until
        except OSError:
            return True
        self._said += more
        return not more or b"\n" in more or len(self._said) > self._longest or time.monotonic() >= self._until

    def message(self) -> dict[str, Any]:
        """Return what was said, and nothing where the other side does not speak this language."""
        self.connection.setblocking(True)
        try:
            said = json_text.parse(bytes(self._said.partition(b"\n")[0]))
        except ValueError:
            return {}
        is_of_job = isinstance(said, dict) and _is_job(said.get("job", ""))
        return said if is_of_job else {}


def _is_job(said: Any) -> bool:
    own = _job().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(str(said).encode("utf-8", "surrogatepass"), own)


def _job() -> str:
    return os.environ.get(JOB, "")


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1)  # it says nothing more before it ends
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def _target(place: Place, rank: int) -> tuple[str, int]:
    host, _, port = place.addresses[rank].rpartition(":")
    return host.strip("[]"), int(port)


def _not_come(place: Place, ranks: list[int], *refused: str) -> LostWorkerError:
    missing = f"nothing was heard of {_listed(place, ranks)} within {place.seconds_to_come:.0f} s"
    return LostWorkerError("; ".join((missing, *refused)))


def _listed(place: Place, ranks: list[int]) -> str:
    return " and ".join(map(place.named, ranks))


def _reason(error: OSError) -> str:
    """Return what the system says; Python adds what the message says already, and names have errors of their own."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)
