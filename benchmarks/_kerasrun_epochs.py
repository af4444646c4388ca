"""`kerasrun train`, waiting for its turn before every epoch.

It is the real `train` with its run directory, lock, log, tables, models and checkpoints; only the beginning of an
epoch is made to wait. `seconds` is the epoch as the user waits for it: training, reading the metrics, `best.keras`,
`metrics.csv`, checkpoint. `without_saving` is what `timings.csv` records: the same without what is written. The logs of
the epoch go with them.
"""

import time
from pathlib import Path
from typing import Any

from benchmarks import _turn
from benchmarks._command_line import parser_for
from kerasrun.training import loop
from kerasrun.training.train import train


class PacedLoop(loop.TrainingLoop):
    """The training loop, one epoch a turn."""

    def _epoch(self, iterator: Any) -> dict[str, float]:
        _turn.wait()
        begin = time.perf_counter()
        logs = super()._epoch(iterator)
        seconds = time.perf_counter() - begin
        _turn.report(seconds=seconds, images=len(self.train), without_saving=self.epoch_seconds, **logs)
        return logs


def train_with(paced: type[loop.TrainingLoop], description: str | None) -> None:
    """The command: `train` on the experiment that is given, with this loop."""
    parser = parser_for(description)
    parser.add_argument("file", type=Path, help="the experiment")
    parser.add_argument("output", type=Path, help="the folder for its run")
    parser.add_argument("--set", "-s", action="append", default=[], dest="overrides", help="key.path=value")
    arguments = parser.parse_args()
    loop.TrainingLoop = paced  # type: ignore[misc]
    train(arguments.file, overrides=arguments.overrides, output=arguments.output)


if __name__ == "__main__":
    train_with(PacedLoop, __doc__)
