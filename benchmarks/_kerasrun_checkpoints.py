"""`kerasrun train` with a checkpoint at the end of every sixth epoch, telling what it costs."""

from typing import Any

from benchmarks._kerasrun_epochs import Loop, train_with
from benchmarks._saving import Turn


def six_epochs_a_turn(training_loop: Loop) -> Loop:
    """The training loop, made to wait."""

    class PacedLoop(training_loop):  # type: ignore[misc]
        turn = Turn()

        def _epoch(self, iterator: Any) -> dict[str, float]:
            epoch = self.position.epoch
            self.turn.begin_epoch(epoch)
            logs: dict[str, float] = super()._epoch(iterator)
            if self.turn.writes_until_now(epoch):
                self.writer.finish()
            self.turn.end_epoch(epoch)
            return logs

        def _save(self) -> None:
            with self.turn.stopped():
                super()._save()

    return PacedLoop


if __name__ == "__main__":
    train_with(six_epochs_a_turn, __doc__)
