"""MLflow, by its client."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kerasrun import sqlite_files
from kerasrun.trackers.base import SUCCESS, Point, Tracked, Tracker

_LONGEST, _MOST = 500, 100
"""How many characters of a value every server takes, and how many parameters at once."""
_DATABASE = "mlflow.db"


class MLflow(Tracker):
    """A run of MLflow at `MLFLOW_TRACKING_URI`, by default in the SQLite file `mlflow.db` beside the runs. Its
    experiment is `MLFLOW_EXPERIMENT_NAME`, by default called as kerasrun's."""

    packages = ("mlflow",)
    beside = (*(f"{_DATABASE}{suffix}" for suffix in sqlite_files.SUFFIXES), "mlartifacts")
    environment: ClassVar = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # it is tried again after the next epoch
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    }

    @classmethod
    def refusal(cls, runs: Path) -> str | None:
        return sqlite_files.refusal(runs / _DATABASE) or super().refusal(runs)

    def begin(self, run: Tracked, kept: Mapping[str, Any], keep: Callable[..., None]) -> int:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.runs / _DATABASE}"
        self.client = MlflowClient(uri)
        self.id = kept["run_id"] if kept.get("tracking_uri") == uri else self._run(run)
        keep(run_id=self.id, tracking_uri=uri)
        there = self.client.get_run(self.id).data
        # MLflow changes no parameter, so what a resume has changed stays as it was.
        new = [Param(key, str(value)[:_LONGEST]) for key, value in run.parameters.items() if key not in there.params]
        for first in range(0, len(new), _MOST):
            self.client.log_batch(self.id, params=new[first : first + _MOST])
        self._tag({**run.tags, "group": run.group})
        self.client.update_run(self.id, status="RUNNING")
        key = "loss" if "loss" in there.metrics else next(iter(there.metrics), "loss")
        return max((point.step for point in self.client.get_metric_history(self.id, key)), default=0)

    def send(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        for one in points:
            time = int(one.time * 1000)
            self.client.log_batch(self.id, [Metric(name, value, time, one.epoch) for name, value in one.values.items()])

    def end(self, status: str, reason: str, best: Point | None) -> None:
        self._tag({"status": status, "reason": reason, "best_epoch": best and best.epoch})
        if best:
            self.send([best._replace(values={f"best_{name}": value for name, value in best.values.items()})])
        unfinished = "FAILED" if status == "failed" else "KILLED"
        self.client.set_terminated(self.id, "FINISHED" if status in SUCCESS else unfinished)

    def _run(self, run: Tracked) -> str:
        """Return the run that was begun and not kept, or a new one."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.experiment
        known = self.client.get_experiment_by_name(name)
        # MLflow's own default is the working directory.
        files = None if os.environ.get("MLFLOW_TRACKING_URI") else (run.runs / "mlartifacts").as_uri()
        experiment = known.experiment_id if known else self.client.create_experiment(name, files)
        found = self.client.search_runs([experiment], f"tags.`kerasrun.id` = '{run.unique}'", max_results=1)
        mark = {"kerasrun.id": run.unique}
        new = found or [self.client.create_run(experiment, int(run.begun * 1000), mark, run.root.name)]
        return str(new[0].info.run_id)

    def _tag(self, tags: Mapping[str, Any]) -> None:
        from mlflow.entities import RunTag

        known = {f"kerasrun.{name}": str(value)[:_LONGEST] for name, value in tags.items() if value is not None}
        self.client.log_batch(self.id, tags=[RunTag(name, text) for name, text in known.items()])
