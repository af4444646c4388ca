"""The processes that train one run: rank 0 decides and says what is next, the others follow.

Whatever is said is the largest of what each process gives: the order, by rank 0 alone, and the signal that asks to
stop, by whoever got one.
"""

import contextlib
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum, auto
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kerasrun.errors import KerasrunError, LostWorkerError, WorkersError
from kerasrun.workers.cluster import ONE_PROCESS, Place
from kerasrun.workers.collectives import Alone, Collectives, Processes, is_loss
from kerasrun.workers.shares import Share

_NOTHING = -1.0
_BUG = 3


class Order(IntEnum):
    """What rank 0 has the others do, as it does itself."""

    END = auto()
    """End with an exit code."""
    SHARE_STATE = auto()
    CHECK_STATE = auto()
    CHECK_DATA = auto()
    ENTER_STAGE = auto()
    KEEP_FROZEN_PART = auto()
    COMPUTE_FROZEN_PART = auto()
    MAKE_BATCHES = auto()
    BEGIN_EPOCH = auto()
    TRAIN = auto()
    EVALUATE = auto()


class Stops(Protocol):
    """Whatever holds the number of the signal that asked to stop, or None."""

    signal: int | None


class Team:
    """One process among those that train together; the only one, where there are no others."""

    def __init__(self, place: Place, shards: int, device: str) -> None:
        """
        Args:
            shards: into how many parts each batch is cut.
            device: TensorFlow's name of the device that computes, such as `CPU:0`.

        Raises:
            WorkersError: if the shards cannot be shared out evenly.
        """
        if shards % place.count:
            raise WorkersError(
                f"{place.count} workers cannot share {shards} shards: the number of shards is a multiple of every "
                "number of workers that will ever train the run"
            )
        self.place = place
        self.shards = shards
        self.share = Share(shards, place.rank, place.count) if shards > 1 else None
        self.processes = Processes(place.rank, place.count, device) if place.count > 1 else None
        self.stop: Stops | None = None
        """What asks this process to stop: on rank 0 it hears of the signals of all."""
        self.step = 0
        """How many steps this process has done, those before a resume included."""
        self._others_hear = True

    @property
    def collectives(self) -> Collectives:
        """What is computed together in a graph."""
        return self.processes or Alone()

    @property
    def leads(self) -> bool:
        return self.place.leads

    @property
    def workers(self) -> int:
        return self.place.count

    def say(self, order: Order, first: float = 0, second: float = 0) -> None:
        """Have the other processes do something, with up to two numbers; rank 0 does it itself. Others say nothing."""
        if self.processes and self.leads:
            self._exchanged([order, first, second])

    @contextmanager
    def together(self, order: Order, first: float = 0, second: float = 0) -> Iterator[None]:
        """Say an order, for the block that does what every process takes part in: until it ends, no other is heard."""
        self.say(order, first, second)
        self._others_hear = False
        yield
        self._others_hear = True  # not after an error: they still wait for this process

    def next_order(self) -> tuple[Order, float, float]:
        """Wait for what rank 0 says next."""
        order, first, second = self._exchanged([_NOTHING] * 3)
        return Order(int(order)), first, second

    def agreed(self, number: float) -> float:
        """Return the number that rank 0 gives, in all processes, each of which asks."""
        return self._exchanged([number if self.leads else _NOTHING])[0]

    def _exchanged(self, numbers: list[float]) -> list[float]:
        if self.processes is None:
            return numbers
        own = _NOTHING if self.stop is None or self.stop.signal is None else self.stop.signal
        *agreed, signal = map(float, self.processes.largest([*numbers, own]))
        if self.leads and self.stop is not None and self.stop.signal is None and signal > 0:
            self.stop.signal = int(signal)
        return agreed

    def in_order(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the arrays of all processes in the order of ranks, (workers, …); each gives one of the same shape."""
        return self.processes.arrays_of_all(array) if self.processes else array[None]

    def of_leader(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the arrays that rank 0 has; the others give some of the same names, shapes and dtypes."""
        if self.processes is None:
            return dict(arrays)
        content = b"".join(array.tobytes() for array in arrays.values())
        content += bytes(-len(content) % 4)
        words = np.frombuffer(content, np.int32)
        received = self.processes.sums(words if self.leads else np.zeros_like(words)).tobytes()
        found, begin = {}, 0
        for name, array in arrays.items():
            found[name] = np.frombuffer(received, array.dtype, array.size, begin).reshape(array.shape)
            begin += array.nbytes
        return found

    def require_equal(self, facts: Mapping[str, Any]) -> None:
        """
        Raises:
            WorkersError: if a process has another fact than rank 0; it names both. Every process raises the same.
        """
        digests = [hashlib.sha256(json.dumps(fact, sort_keys=True).encode()).digest()[:6] for fact in facts.values()]
        numbers = self.in_order(np.array([int.from_bytes(one) for one in digests], np.float64))
        for rank in range(1, self.workers):
            if wrong := [name for name, same in zip(facts, numbers[rank] == numbers[0], strict=True) if not same]:
                raise WorkersError(f"{self.place.named(rank)} has another {' and '.join(wrong)} than rank 0")

    def require_same_data(self, fingerprint: str) -> None:
        """
        Raises:
            WorkersError: if a process has read other data than rank 0.
        """
        with self.together(Order.CHECK_DATA):
            self.require_equal({"content of the data": fingerprint})

    def require_equal_state(self, arrays: Mapping[str, NDArray[Any]], step: int) -> int:
        """Return a checksum of the state, which is that of every process.

        Raises:
            WorkersError: if a process has another one than rank 0.
        """
        own = checksum(arrays)
        of_all = self.in_order(np.array([own], np.float64))[:, 0]
        if (different := np.flatnonzero(of_all != of_all[0])).size:
            raise WorkersError(f"{self.place.named(int(different[0]))} has other weights than rank 0 after step {step}")
        return own

    @contextmanager
    def losses_explained(self) -> Iterator[None]:
        """
        Raises:
            LostWorkerError: if what is computed together cannot be, as another process is gone.
        """
        try:
            yield
        except Exception as error:
            if self.workers == 1 or not is_loss(error):
                raise
            own = self.place.named(self.place.rank)
            when = f"after step {self.step}" if self.step else "before the first step"
            raise LostWorkerError(f"{self._lost(str(error))}, {when} of {own}; start all again") from error

    def _lost(self, said: str) -> str:
        """Return who is lost, by what TensorFlow says, and else that."""
        ranks = {int(rank) for rank in re.findall(r"/job:worker/replica:0/task:(\d+)", said)} - {self.place.rank}
        if "RPC: /tensorflow.CoordinationService" in said:  # which is a service of rank 0
            ranks = {0}
        if not ranks:
            reason = said.partition("aborted by:")[2] or said
            return f"another worker is lost ({' '.join(reason.split())[:200]})"
        return f"{' and '.join(map(self.place.named, sorted(ranks)))} {'is' if len(ranks) == 1 else 'are'} lost"

    @contextmanager
    def led(self) -> Iterator[None]:
        """Tell the others how the block ended, on rank 0.

        Raises:
            LostWorkerError: if nobody is there to hear that it ended well.
        """
        try:
            yield
        except (LostWorkerError, WorkersError):
            raise  # the others raise the same, and wait for nothing
        except KerasrunError as error:
            self._end(error.exit_code)
            raise
        except Exception:
            self._end(_BUG)
            raise
        except BaseException:
            self._end(KerasrunError.exit_code)
            raise
        with self.losses_explained():
            self.say(Order.END)

    def _end(self, code: int) -> None:
        """Have the others end for an error of this process, which counts whoever hears of it.

        Where they wait for what it has not done, they end when it is gone.
        """
        if not self._others_hear:
            return
        with contextlib.suppress(LostWorkerError), self.losses_explained():
            self.say(Order.END, code)


def checksum(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Return a number of 32 bits that changes with any bit of the arrays, but by chance."""
    found = 0
    for array in arrays.values():
        found = zlib.crc32(np.ascontiguousarray(array).data, found)
    return found


ALONE = Team(ONE_PROCESS, 1, "CPU:0")
"""The team of a process that does everything itself."""
