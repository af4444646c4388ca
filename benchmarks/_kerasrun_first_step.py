"""`kerasrun train` until its first step is taken; the process ends there."""

from typing import Any

from benchmarks._kerasrun_epochs import Loop, train_with


def one_step(training_loop: Loop) -> Loop:
    """The training loop, made to end with its first step."""

    class EndedLoop(training_loop):  # type: ignore[misc]
        def _chunk(self, batches: Any) -> None:
            self.chunks.fixed = 1
            super()._chunk(batches)
            raise SystemExit

    return EndedLoop


if __name__ == "__main__":
    train_with(one_step, __doc__)
