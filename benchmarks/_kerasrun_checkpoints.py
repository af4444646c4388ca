"""`kerasrun train` with a checkpoint at the end of every sixth epoch, telling what it costs."""

from typing import Any

from benchmarks._kerasrun_epochs import train_with
from benchmarks._saving import Turn
from kerasrun.training import loop


class PacedLoop(loop.TrainingLoop):
    """The training loop, six epochs a turn."""

    turn = Turn()

    def _epoch(self, iterator: Any) -> dict[str, float]:
        epoch = self.position.epoch
        self.turn.begin_epoch(epoch)
        logs = super()._epoch(iterator)
        if self.turn.writes_until_now(epoch):
            self.writer.finish()
        self.turn.end_epoch(epoch)
        return logs

    def _save(self) -> None:
        with self.turn.stopped():
            super()._save()


if __name__ == "__main__":
    train_with(PacedLoop, __doc__)
