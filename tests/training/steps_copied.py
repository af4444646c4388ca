"""Train once without interruption and once with a copy of the run directory after each step.

    python -m tests.training.steps_copied FOLDER

A copy is what a kill at that moment would leave behind. Checkpoints are taken at every second step and at the end of
every second epoch, so that some copies lie at a checkpoint, and others beyond one: what was written since then must be
taken back.
"""

import shutil
import sys
from pathlib import Path

import kerasrun
from tests.training.exactness import write_experiment


def main(folder: Path) -> None:
    file = write_experiment(folder)
    kerasrun.train(file, output=folder / "whole")
    from kerasrun.training import loop

    take_chunk, end_epoch = loop.TrainingLoop._chunk, loop.TrainingLoop._end_epoch

    def one_step_and_copy(self: loop.TrainingLoop, iterator: object) -> None:
        self.chunks.fixed = 1
        take_chunk(self, iterator)
        if self.position.step % 2 == 0:
            self._save()
        copy(self, f"step-{self._global_step()}")

    def end_and_copy(self: loop.TrainingLoop, epoch: int, logs: dict[str, float], is_best: bool) -> None:
        end_epoch(self, epoch, logs, is_best)
        copy(self, f"epoch-{epoch + 1}")

    def copy(self: loop.TrainingLoop, name: str) -> None:
        for callback in self.callbacks:
            callback.flush()
        self.writer.finish()  # while it writes, no copy is the folder at one moment
        shutil.copytree(self.run.root, folder / "cut" / name, symlinks=True)

    loop.TrainingLoop._chunk = one_step_and_copy
    loop.TrainingLoop._end_epoch = end_and_copy
    kerasrun.train(file, output=folder / "stepped")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
