"""A run that was left alone, and one that was stopped after its second epoch."""

from pathlib import Path

import pytest

import kerasrun
from kerasrun.training.writer import RunWriter


def train_whole_and_cut(folder: Path, experiment: str) -> None:
    """Train the text of an experiment as `whole/run-1`, and as `cut/run-1` until the checkpoint of epoch 2."""
    train_cut(folder, experiment)
    kerasrun.train(folder / "run.yaml", output=folder / "whole")


def train_cut(folder: Path, experiment: str) -> None:
    """Train the text of an experiment as `cut/run-1` until the checkpoint of epoch 2."""
    file = folder / "run.yaml"
    file.write_text(experiment, encoding="utf-8")
    save = RunWriter.save_checkpoint

    def stopped(self, step, arrays, progress):
        save(self, step, arrays, progress)
        if progress["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "save_checkpoint", stopped)
        with pytest.raises(KeyboardInterrupt):
            kerasrun.train(file, output=folder / "cut")
