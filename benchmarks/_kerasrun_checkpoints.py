"""`kerasrun train` with a checkpoint at the end of every sixth epoch, telling what it costs."""

import argparse
from pathlib import Path
from typing import Any

from benchmarks._saving import Turn
from kerasrun.training import loop
from kerasrun.training.train import train


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the experiment")
    parser.add_argument("output", type=Path, help="the folder for its run")
    parser.add_argument("--set", "-s", action="append", default=[], dest="overrides", help="key.path=value")
    arguments = parser.parse_args()
    loop.TrainingLoop = PacedLoop  # type: ignore[misc]
    train(arguments.file, overrides=arguments.overrides, output=arguments.output)


if __name__ == "__main__":
    main()
