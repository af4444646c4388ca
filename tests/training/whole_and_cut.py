"""A run that was left alone, and one that was stopped after its second epoch."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import kerasrun
from kerasrun.training.writer import RunWriter

_EACH_EPOCH = ["checkpoint.seconds_between=0"]


def train_whole_and_cut(folder: Path, experiment: str) -> None:
    """Train the text of an experiment as `whole/run-1`; `cut/run-1` is a copy of it at the checkpoint of epoch 2.

    Such a copy is what a kill leaves behind, and spares a training.
    """

    def copy(writer: RunWriter) -> None:
        cut = folder / "cut" / writer.run.root.name
        if cut.exists():
            return
        writer.finish()  # while it writes, no copy is the folder at one moment
        shutil.copytree(writer.run.root, cut, symlinks=True)
        (cut / writer.run.lock_file.name).write_bytes(b"")  # this process lives on

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "save_checkpoint", _then_in_epoch_2(copy))
        kerasrun.train(_written(folder, experiment), overrides=_EACH_EPOCH, output=folder / "whole")


def train_cut(folder: Path, experiment: str) -> None:
    """Train the text of an experiment as `cut/run-1` until the checkpoint of epoch 2."""

    def stop(writer: RunWriter) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "save_checkpoint", _then_in_epoch_2(stop))
        with pytest.raises(KeyboardInterrupt):
            kerasrun.train(_written(folder, experiment), overrides=_EACH_EPOCH, output=folder / "cut")


def _written(folder: Path, experiment: str) -> Path:
    file = folder / "run.yaml"
    file.write_text(experiment, encoding="utf-8")
    return file


def _then_in_epoch_2(act: Callable[[RunWriter], None]) -> Callable[..., None]:
    save = RunWriter.save_checkpoint

    def saved(self, step, arrays, progress):
        save(self, step, arrays, progress)
        if progress["epoch"] == 2:
            act(self)

    return saved
