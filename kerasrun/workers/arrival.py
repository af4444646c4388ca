"""Wait until every process of a cluster has come, before TensorFlow joins them.

TensorFlow's own waiting has no end, says nothing, and keeps Python from running meanwhile: no signal would be heard.

Each listens where TensorFlow will listen later. The others connect to rank 0, and the two sides say lines of JSON in
turn, which is kerasrun's own format:

| message | by |
| --- | --- |
| `{"rank": 1, "addresses": ["host:port", …]}` | a process that has come |
| `{"reach": true}` | rank 0, when all have, and it has reached each |
| `{"unreached": "…"}` or `{"unreached": null}` | the process, when it has tried to reach the others |
| `{"begin": true}` | rank 0, when all have reached all |
| `{"lost": "…"}` or `{"wrong": "…"}` | rank 0, which then ends for this reason, as all do |
"""

import contextlib
import json
import logging
import os
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

from kerasrun.errors import KerasrunError, LostWorkerError, WorkersError
from kerasrun.text import json_text
from kerasrun.text.problems import shown
from kerasrun.workers.cluster import Place

logger = logging.getLogger("kerasrun")

SECONDS = 300.0
"""How long to wait: machines fetch images of containers, and read their data, some minutes faster or slower."""
_SECONDS_UNTIL_TOLD = 10.0
_SECONDS_TO_ANSWER = 5.0
_SECONDS_BETWEEN_TRIALS = 0.2
_LONGEST_LINE = 2**16


def wait_for_all(place: Place, seconds: float = SECONDS) -> None:
    """Return when every process has come, with the same list of addresses, and each reaches all at these.

    Args:
        seconds: how long rank 0 waits for the others, and they for rank 0.

    Raises:
        LostWorkerError: if one has not come by then; every one that has raises the same.
        WorkersError: if the address of this process is taken, two processes have one rank, their lists differ, or one
            does not reach another.
    """
    with _listening(place) as listener:
        if place.leads:
            _Arrivals(place, listener, seconds).wait()
        else:
            _come(place, seconds)


@contextlib.contextmanager
def _listening(place: Place) -> Iterator[socket.socket]:
    """Hold the port of this process, so that it can be reached there; TensorFlow takes it over."""
    port = _target(place, place.rank)[1]
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        listener = socket.create_server(("", port), family=family, backlog=place.count, dualstack_ipv6=both)
    except OSError as error:
        raise WorkersError(f"{place.named(place.rank)} cannot listen at its port: {_reason(error)}") from error
    with listener:
        yield listener


class _Arrivals:
    """The connections to rank 0 of those that have come."""

    def __init__(self, place: Place, listener: socket.socket, seconds: float) -> None:
        self._place = place
        self._listener = listener
        self._seconds = seconds
        self._came: dict[int, socket.socket] = {}
        self._new: list[_Line] = []
        """Those that have not said yet who they are."""

    def wait(self) -> None:
        """Wait for all, and tell those that have come how it went on."""
        try:
            self._wait()
            self._reach_all()
            self._tell_all({"begin": True})
        except KerasrunError as error:
            self._tell_all({"lost" if isinstance(error, LostWorkerError) else "wrong": str(error)})
            raise
        finally:
            for connection in (*self._came.values(), *(line.connection for line in self._new)):
                connection.close()

    def _wait(self) -> None:
        begun, told = time.monotonic(), False
        self._listener.settimeout(_SECONDS_BETWEEN_TRIALS)
        while missing := self._missing():
            waited = time.monotonic() - begun
            if waited >= self._seconds:
                raise _not_come(self._place, missing, self._seconds)
            if waited >= _SECONDS_UNTIL_TOLD and not told:
                logger.info("waiting for %s", _listed(self._place, missing))
                told = True
            with contextlib.suppress(TimeoutError):
                self._new.append(_Line(self._listener.accept()[0], _SECONDS_TO_ANSWER))
            for line in [line for line in self._new if line.is_over()]:
                self._new.remove(line)
                self._take(line.connection, line.message())

    def _missing(self) -> list[int]:
        """Return who has not come, or has gone again since."""
        for rank in [rank for rank, connection in self._came.items() if _is_closed(connection)]:
            self._came.pop(rank).close()
        return [rank for rank in range(1, self._place.count) if rank not in self._came]

    def _take(self, connection: socket.socket, said: dict[str, Any]) -> None:
        rank, addresses = said.get("rank"), said.get("addresses")
        if type(rank) is not int or not 0 <= rank < self._place.count or not isinstance(addresses, list):
            connection.close()  # no worker: whatever tries the ports of a network
            return
        self._missing()
        if rank in self._came or rank == 0:
            twice = f"two processes say that they are {self._place.named(rank)}: each task has an index of its own"
            with connection:
                _tell(connection, {"wrong": twice})
            raise WorkersError(twice)
        self._came[rank] = connection
        if addresses != list(self._place.addresses):
            other = shown(", ".join(map(str, addresses)))
            raise WorkersError(f"{self._place.named(rank)} has another list of addresses than rank 0: {other}")

    def _reach_all(self) -> None:
        """
        Raises:
            WorkersError: if one does not reach another, as TensorFlow must.
            LostWorkerError: if one does not say whether it does.
        """
        if unreached := _unreached(self._place):
            raise WorkersError(unreached)
        self._tell_all({"reach": True})
        for rank, connection in self._came.items():
            said = _heard(connection, _SECONDS_TO_ANSWER * self._place.count)
            if "unreached" not in said:
                raise LostWorkerError(f"{self._place.named(rank)} has come, but nothing was heard of it since")
            if said["unreached"]:
                raise WorkersError(str(said["unreached"]))

    def _tell_all(self, message: dict[str, Any]) -> None:
        for connection in self._came.values():
            _tell(connection, message)


def _come(place: Place, seconds: float) -> None:
    """Connect to rank 0, and wait for what it says; as often as it is not there, or is that of an earlier attempt."""
    begun, told = time.monotonic(), False
    while (waited := time.monotonic() - begun) < seconds:
        if waited >= _SECONDS_UNTIL_TOLD and not told:
            logger.info("waiting for %s", place.named(0))
            told = True
        with contextlib.suppress(OSError), socket.create_connection(_target(place, 0), _SECONDS_TO_ANSWER) as leader:
            _tell(leader, {"rank": place.rank, "addresses": place.addresses})
            said = _heard(leader, seconds + _SECONDS_TO_ANSWER)
            if "reach" in said:
                _tell(leader, {"unreached": _unreached(place)})
                said = _heard(leader, _SECONDS_TO_ANSWER * (place.count + 1))
            if "begin" in said:
                return
            if "wrong" in said:
                raise WorkersError(str(said["wrong"]))
            if "lost" in said:
                raise LostWorkerError(str(said["lost"]))
        time.sleep(_SECONDS_BETWEEN_TRIALS)
    raise _not_come(place, [0], seconds)


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
        connection.sendall(json.dumps(message).encode() + b"\n")


def _heard(connection: socket.socket, seconds: float) -> dict[str, Any]:
    """Wait for what the other side says, and return it."""
    line = _Line(connection, seconds)
    while not line.is_over():
        select.select([connection], [], [], _SECONDS_BETWEEN_TRIALS)
    return line.message()


class _Line:
    """What the other side says, as it comes: nobody waits for it, and it has an end."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._until = time.monotonic() + seconds
        self._said = b""

    def is_over(self) -> bool:
        """Read on, and return whether nothing more is to come: the line is whole, or too long, or too late."""
        try:
            more = self.connection.recv(_LONGEST_LINE)
        except BlockingIOError:
            return time.monotonic() >= self._until
        except OSError:
            return True
        self._said += more
        return not more or b"\n" in more or len(self._said) > _LONGEST_LINE or time.monotonic() >= self._until

    def message(self) -> dict[str, Any]:
        """Return what was said, and nothing where the other side does not speak this language."""
        self.connection.setblocking(True)
        try:
            said = json_text.parse(self._said.partition(b"\n")[0])
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}


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


def _not_come(place: Place, ranks: list[int], seconds: float) -> LostWorkerError:
    return LostWorkerError(f"nothing was heard of {_listed(place, ranks)} within {seconds:.0f} s")


def _listed(place: Place, ranks: list[int]) -> str:
    return " and ".join(map(place.named, ranks))


def _reason(error: OSError) -> str:
    """Return what the system says; Python adds what the message says already, and names have errors of their own."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)
