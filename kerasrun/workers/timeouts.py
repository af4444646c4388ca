"""How long several processes wait for each other; it imports nothing, since the help of commands has it."""

from dataclasses import dataclass

SECONDS_TO_COME = 300
"""How long to wait for a process: machines fetch images of containers, and read their data, some minutes faster or
slower."""
SECONDS_TO_MOVE = 600
"""How long all may train without a step of any of them."""


@dataclass(frozen=True)
class Timeouts:
    """How many seconds to wait."""

    start: float = SECONDS_TO_COME
    """For a worker's first message."""
    joining: float = 65.0
    """For a sign of life before training: TensorFlow keeps Python still while it is imported, and up to 60 s while it
    joins the others, on a busy machine."""
    stall: float = 19.0
    """For a sign of life of a worker that has spoken before, of which there is one each second: told within 20 s."""
    suspicion: float = 5.0
    """The same, once another worker has ended with a `LostWorkerError`."""
    collective: float = SECONDS_TO_MOVE
    """For any of them to do a step, while they train, or a batch, while they compute something else together."""
    cause: float = 10.0
    """For the reason why a worker ended with a `LostWorkerError`, or for rank 0 to fail as another one has."""
    ending: float = 20.0
    """For the others to end after rank 0 has, or for rank 0 after another one was stopped before training."""
