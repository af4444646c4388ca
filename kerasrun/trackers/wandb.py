"""Weights & Biases."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kerasrun.trackers.base import SUCCESS, Point, Tracked, Tracker

_QUIET: dict[str, Any] = {
    **dict.fromkeys(("x_disable_machine_info", "x_disable_meta", "x_disable_stats"), True),
    **dict.fromkeys(("disable_code", "disable_git", "disable_job_creation"), True),
    **{"console": "off", "x_save_requirements": False, "init_timeout": 20, "x_transaction_log_flush_interval": 1},
}
"""Nothing is looked at or sent that nobody asked for: the machine, its user, its packages, this process."""


class WandB(Tracker):
    """A run of Weights & Biases, offline unless `WANDB_MODE` says otherwise, in the folder `wandb` beside the runs:
    `wandb sync` uploads it. Its project is `WANDB_PROJECT`, by default called as the experiment."""

    packages = ("wandb",)
    beside = ("wandb", ".wandb")
    environment: ClassVar = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}

    def begin(self, run: Tracked, kept: Mapping[str, Any], keep: Callable[..., None]) -> int:
        import wandb

        self.keep = keep
        self.run = _elsewhere(
            wandb.init,
            project=os.environ.get("WANDB_PROJECT") or run.experiment,
            id=kept.get("id", run.unique),
            name=run.root.name,
            group=run.group,
            config={**run.parameters, "kerasrun": dict(run.tags)},
            dir=str(Path(os.environ.get("WANDB_DIR") or run.runs).absolute()),
            resume=None if os.environ["WANDB_MODE"] == "offline" else "allow",
            reinit="finish_previous",
            settings=wandb.Settings(**_QUIET),
        )
        # An offline run does not know what earlier ones have; one that goes on at a server does.
        last: int = max(kept.get("epoch", 0), self.run.starting_step - 1)
        keep(id=self.run.id, epoch=last)
        return last

    def send(self, points: Sequence[Point]) -> None:
        for point in points:
            self.run.log(dict(point.values), step=point.epoch)
            self.keep(id=self.run.id, epoch=point.epoch)

    def end(self, status: str, reason: str, best: Point | None) -> None:
        found: dict[str, Any] = {"status": status, "reason": reason}
        if best:
            found |= {f"best_{name}": value for name, value in best.values.items()} | {"best_epoch": best.epoch}
        self.run.summary.update(found)
        self.run.finish(exit_code=0 if status in SUCCESS else 1)


def _elsewhere(call: Callable[..., Any], **options: Any) -> Any:
    """Have wandb read its settings and values without those of the working directory, which may be a stranger's."""
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        return call(**options)
