"""How fast the processes of a run add up numbers, and what it would take more of them. Light to import."""

import statistics
import time
from dataclasses import dataclass

from kerasrun.workers.cluster import Place

SMALL, LARGE = 1_000, 100_000_000
"""The bytes of float32 that are added up: what a message costs, and what its length costs."""
_ROUNDS = {SMALL: 50, LARGE: 3}
_ROUNDS_BEFORE = 1


@dataclass(frozen=True)
class Network:
    """What lies between workers that add up gradients in a ring: each passes on a part of them to the next."""

    name: str
    message: float
    """Seconds to pass anything on."""
    speed: float
    """Bytes a second, from one worker to the next."""

    @classmethod
    def on_paper(cls, gigabits: int) -> "Network":
        """Return one of so many Gbit/s, at 80 % of it, with the message's time that was measured on loopback."""
        return cls(f"{gigabits} Gbit/s", 0.28e-3, 0.8 * gigabits * 1e9 / 8)

    @classmethod
    def measured(cls, small: float, large: float, workers: int) -> "Network":
        """
        Args:
            small, large: the seconds in which so many workers add up `SMALL` and `LARGE` bytes.
        """
        passes = 2 * (workers - 1)
        return cls("measured", small / passes, passes * LARGE / workers / (large - small))

    def seconds(self, size: float, workers: int) -> float:
        """Return how long so many workers take to add up `size` bytes."""
        return 2 * (workers - 1) * (self.message + size / workers / self.speed)


def sum_seconds(place: Place, device: str, size: int) -> float:
    """Return the median time in which the workers add up `SMALL` or `LARGE` bytes of each; all of them ask.

    Args:
        device: TensorFlow's name of the device that computes, such as `CPU:0`.
    """
    import tensorflow as tf

    from kerasrun.workers.collectives import Processes

    processes = Processes(place.rank, place.count, device)
    add = tf.function(processes.sum_in_order, autograph=False)
    numbers = tf.ones([1, size // 4])  # one shard, as each worker has by default
    found = []
    for _ in range(_ROUNDS_BEFORE + _ROUNDS[size]):
        processes.largest([0.0])  # begin together
        begin = time.perf_counter()
        float(add(numbers)[0])  # a GPU has it when it is read
        found.append(time.perf_counter() - begin)
    return statistics.median(found[_ROUNDS_BEFORE:])
