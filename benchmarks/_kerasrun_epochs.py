"""`kerasrun train`, waiting for its turn before every epoch.

It is the real `train` with its run directory, lock, log, tables, models and checkpoints; only the beginning of an
epoch is made to wait. `seconds` is the epoch as the user waits for it: training, reading the metrics, `best.keras`,
`metrics.csv`, checkpoint. `without_saving` is what `timings.csv` records: the same without what is written. The logs of
the epoch go with them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import _turn
from benchmarks._command_line import parser_for
from kerasrun.engine import devices
from kerasrun.training.train import train

Loop = type[Any]
"""`TrainingLoop`, or a class that derives from it."""


def one_epoch_a_turn(training_loop: Loop) -> Loop:
    """The training loop, made to wait."""

    class PacedLoop(training_loop):  # type: ignore[misc]
        def _epoch(self, iterator: Any) -> dict[str, float]:
            _turn.wait()
            begin = time.perf_counter()
            logs: dict[str, float] = super()._epoch(iterator)
            seconds = time.perf_counter() - begin
            _turn.report(seconds=seconds, images=len(self.train), without_saving=self.epoch_seconds, **logs)
            return logs

    return PacedLoop


def train_with(paced: Callable[[Loop], Loop], description: str | None) -> None:
    """The command: `train` on the experiment that is given, with the loop that `paced` makes of its own."""
    parser = parser_for(description)
    parser.add_argument("file", type=Path, help="the experiment")
    parser.add_argument("output", type=Path, help="the folder for its run")
    parser.add_argument("--set", "-s", action="append", default=[], dest="overrides", help="key.path=value")
    arguments = parser.parse_args()
    devices.start()  # before the loop is imported, and TensorFlow with it, as on the command line
    from kerasrun.training import loop

    loop.TrainingLoop = paced(loop.TrainingLoop)  # type: ignore[misc]
    train(arguments.file, overrides=arguments.overrides, output=arguments.output)


if __name__ == "__main__":
    train_with(one_epoch_a_turn, __doc__)
