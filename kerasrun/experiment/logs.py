"""The names that the logs of a run will have."""

from collections.abc import Iterable, Mapping

from kerasrun.components import Component
from kerasrun.experiment.outputs import by_name, outputs_of
from kerasrun.experiment.schema import Experiment
from kerasrun.tasks.base import task_named

Metrics = Mapping[str, Component | None]
"""The metrics in the logs by name; None for the loss of one of several outputs."""


def log_names(experiment: Experiment, validates: bool | None) -> tuple[str, ...]:
    """Return the columns of `metrics.csv`; while `validates` is not known (None), the `val_` ones are among them."""
    return names_of(metrics_of(experiment), validates)


def names_of(metrics: Iterable[str], validates: bool | None) -> tuple[str, ...]:
    """Return the same for metrics of these names."""
    trained = ("loss", *metrics)
    validated = () if validates is False else tuple(f"val_{name}" for name in trained)
    return (*trained, *validated, "learning_rate")


def metrics_of(experiment: Experiment) -> Metrics:
    """Return what the logs hold beside `loss`."""
    if outputs := outputs_of(experiment):
        losses: Metrics = dict.fromkeys(output.loss_name for output in outputs)
        return {**losses, **{name: metric for output in outputs for name, metric in output.metrics.items()}}
    written = experiment.compile.metrics
    return by_name(written if isinstance(written, tuple) else task_named(experiment.data.label_kind).default_metrics)
