"""Train once without interruption and once with a copy of the run directory after each step.

    python -m tests.training.steps_copied FOLDER

A copy is what a kill right after that step's checkpoint would leave behind.
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

    take_chunk = loop.TrainingLoop._chunk

    def one_step_and_copy(self: loop.TrainingLoop, iterator: object) -> None:
        self.chunks.fixed = 1
        take_chunk(self, iterator)
        self._save()
        shutil.copytree(self.run.root, folder / "cut" / f"exact-{self._global_step()}", symlinks=True)

    loop.TrainingLoop._chunk = one_step_and_copy
    kerasrun.train(file, output=folder / "stepped")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
