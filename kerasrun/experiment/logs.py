"""The names that the logs of a run will have, and whether everything that watches one of them names it rightly."""

import string
from collections.abc import Mapping

from kerasrun.components import Component
from kerasrun.experiment.metric_names import by_name
from kerasrun.experiment.outputs import outputs_of, written_outputs
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import direction, identifiers, signature
from kerasrun.reading.data import LabelKind
from kerasrun.sources.keras_dataset import NUMBERS
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document, Written, written_component, written_list
from kerasrun.text.problems import Problem, closest, dotted, experiment_error, listed, shown
from kerasrun.text.yaml_text import Node, Path, plain

_MONITORING = ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint")
_NOT_METRICS = ("loss", "learning_rate", "epoch", "batch")

Metrics = Mapping[str, Component | None]
"""What the logs hold beside `loss`, by name; None for the loss of one of several outputs."""


def metric_names(experiment: Experiment) -> tuple[str, ...]:
    """What each metric is called, and first each loss of several outputs."""
    return tuple(_metrics_of(experiment))


def log_names(experiment: Experiment, validates: bool | None) -> tuple[str, ...]:
    """The columns of `metrics.csv`; with `validates` None, as long as that is not known, the `val_` ones are in it."""
    return _log_names(metric_names(experiment), validates)


def check_monitors(document: Document, experiment: Experiment, validates: bool) -> None:
    """Check again what is monitored, once the data are open and it is known whether anything validates.

    Raises:
        ExperimentError: if a callback or `checkpoint` watches a value that the logs will not have.
    """
    problems = monitor_problems(document, experiment, validates)
    if problems:
        raise experiment_error(problems)


def validates_by_text(document: Document) -> bool | None:
    """True where the experiment says what validates; None where the data decide."""
    given = (document.node(("fit", key)) for key in ("validation_split", "validation_data"))
    return True if any(node is not None and node.value is not None for node in given) else None


def metric_problems(document: Document) -> list[Problem]:
    """Metrics whose name the logs use for something else."""
    problems = []
    for _, metric in _written_metrics(document):
        name = metric.arguments.get("name") if metric else None
        if name is None or not isinstance(name.value, str) or metric is None:
            continue
        if name.value in _NOT_METRICS or name.value.startswith("val_"):
            received = f"a metric called {shown(name.value)}"
            expected = f"expected another name: {listed(_NOT_METRICS)} and val_… mean something else in the logs"
            problems.append(Problem(name.place, dotted((*metric.path, "name")), received, expected))
    return problems


def monitor_problems(document: Document, experiment: Experiment | None, validates: bool | None) -> list[Problem]:
    """Every `monitor` and every file name of a ModelCheckpoint that names no value of the logs.

    Args:
        experiment: None where something else is wrong with it; the logs of several outputs are not sure then.
    """
    metrics = _metrics(document)
    if written_outputs(document):
        metrics = _metrics_of(experiment) if experiment else None
    if metrics is None:
        return []
    check = _Check(metrics, validates)
    node = document.node(("checkpoint", "monitor"))
    if node is not None and isinstance(node.value, str):
        found = Problem(node.place, "checkpoint.monitor", f"monitors '{node.value}'")
        check.monitor(node.value, document.node(("checkpoint", "mode")), found)
    for path, item in written_list(document.node(("callbacks",)), ("callbacks",)):
        callback = written_component(item, path)
        if callback is not None and callback.name in _MONITORING:
            check.callback(callback)
    return check.problems


class _Check:
    def __init__(self, metrics: Metrics, validates: bool | None) -> None:
        self.metrics = metrics
        self.names = _log_names(tuple(self.metrics), validates)
        self.validates = validates
        self.problems: list[Problem] = []

    def callback(self, callback: Written) -> None:
        given = callback.arguments.get("monitor")
        mode = callback.arguments.get("mode")
        best_only = callback.arguments.get("save_best_only")
        where = (*callback.path, "monitor")
        if given is not None and isinstance(given.value, str):
            self.monitor(given.value, mode, Problem(given.place, dotted(where), f"monitors '{given.value}'"))
        elif given is None and (callback.name != "ModelCheckpoint" or (best_only is not None and best_only.value)):
            default = str(signature("callbacks", callback.name).default("monitor"))
            received = f"monitors '{default}', the default of {callback.name}"
            self.monitor(default, mode, Problem(callback.place, dotted(where), received))
        if callback.name == "ModelCheckpoint":
            self.file_name(callback)
        if best_only is not None and best_only.value is True and _saves_by_batch(callback):
            where = (*callback.path, "save_best_only")
            received = "save_best_only beside a number of batches as save_freq"
            expected = "expected one of them: Keras compares values when an epoch ends"
            self.problems.append(Problem(best_only.place, dotted(where), received, expected))

    def monitor(self, monitor: str, mode: Node | None, found: Problem) -> None:
        """Check a monitor; `found` says where it is, and what."""
        place, where, received = found.place, found.key_path, found.received
        if monitor not in self.names:
            own = monitor.removeprefix("val_")
            if monitor.startswith("val_") and own in (*self.metrics, "loss"):
                received += ", but nothing validates: the data have no split 'validation'"
                expected = f"expected fit.validation_split, say 0.1, or fit.validation_data, or 'monitor: {own}'"
                self.problems.append(Problem(place, where, received, expected))
                return
            expected = f"expected {listed(self.names)}"
            self.problems.append(Problem(place, where, received, expected, closest(monitor, self.names)))
        elif mode is None or mode.value == "auto":
            self.direction(monitor, found)

    def direction(self, monitor: str, problem: Problem) -> None:
        """Keras looks for the direction of a metric at the end of the first epoch; we look now."""
        own = monitor.removeprefix("val_")
        if own == "loss" or (own in self.metrics and self.metrics[own] is None):
            return
        metric = self.metrics.get(own)
        if metric is None or direction(metric.name) is None:
            received = f"{problem.received}, of which Keras does not know whether more is better"
            self.problems.append(
                Problem(problem.place, problem.key_path, received, "expected 'mode: min' or 'mode: max'")
            )

    def file_name(self, callback: Written) -> None:
        node = callback.arguments.get("filepath")
        if node is None or not isinstance(node.value, str):
            return
        weights_only = callback.arguments.get("save_weights_only")
        endings = (".weights.h5",) if weights_only is not None and weights_only.value is True else (".keras", ".h5")
        where = dotted((*callback.path, "filepath"))
        if not node.value.endswith(endings):
            what = "weights alone" if len(endings) == 1 else "a whole model"
            expected = f"expected a name that ends in {listed(endings)} for {what}"
            self.problems.append(Problem(node.place, where, f"received {shown(node.value)}", expected))
        allowed = ("epoch", *self.names)
        if _saves_by_batch(callback):
            # What is known in the middle of an epoch.
            allowed = ("epoch", "batch", "loss", *self.metrics)
        try:
            fields = [field for _, field, _, _ in string.Formatter().parse(node.value) if field is not None]
        except ValueError as error:
            expected = "expected each { with its }: {epoch:02d}"
            self.problems.append(Problem(node.place, where, f"received {shown(node.value)}: {error}", expected))
            return
        for field in fields:
            if field not in allowed:
                expected = f"expected {listed(allowed)} in braces"
                self.problems.append(
                    Problem(node.place, where, f"'{{{field}}}' in the file name", expected, closest(field, allowed))
                )
                return
        try:
            node.value.format(**{name: 1 if name in ("epoch", "batch") else 0.5 for name in allowed})
        except ValueError as error:
            expected = "expected formats such as {epoch:02d} and {val_loss:.2f}"
            self.problems.append(Problem(node.place, where, f"received {shown(node.value)}: {error}", expected))


def _saves_by_batch(callback: Written) -> bool:
    frequency = callback.arguments.get("save_freq")
    return frequency is not None and isinstance(frequency.value, int)


def _log_names(metrics: tuple[str, ...], validates: bool | None) -> tuple[str, ...]:
    trained = ("loss", *metrics)
    validated = () if validates is False else tuple(f"val_{name}" for name in trained)
    return (*trained, *validated, "learning_rate")


def _written_metrics(document: Document) -> list[tuple[Path, Written | None]]:
    path: Path = ("compile", "metrics")
    return [(at, written_component(node, at)) for at, node in written_list(document.node(path), path)]


def _label_kind(document: Document) -> LabelKind:
    """As far as the default metrics ask: whether the labels are numbers, as a source may say in several ways."""
    source = written_component(document.node(("data",)), ("data",))
    if source is None:
        return "classes"
    said = {key: node.value for key, node in source.arguments.items()}
    by_its_name = source.name == "keras_dataset" and said.get("name") in NUMBERS
    return "numbers" if said.get("labels") == "numbers" or said.get("target") is not None or by_its_name else "classes"


def _metrics_of(experiment: Experiment) -> Metrics:
    if outputs := outputs_of(experiment):
        losses: Metrics = dict.fromkeys(output.loss_name for output in outputs)
        return {**losses, **{name: metric for output in outputs for name, metric in output.metrics.items()}}
    written = experiment.compile.metrics
    return by_name(written if isinstance(written, tuple) else task_named(experiment.data.label_kind).default_metrics)


def _metrics(document: Document) -> Metrics | None:
    """The metrics as written; None where one is not known, so that no name in the logs is sure."""
    node = document.node(("compile", "metrics"))
    if node is None or plain(node) is None:
        return by_name(task_named(_label_kind(document)).default_metrics)
    metrics = [written for _, written in _written_metrics(document)]
    if not isinstance(node.value, list) or any(
        one is None or one.name not in identifiers("metrics") for one in metrics
    ):
        return None
    return by_name([one.component for one in metrics if one is not None])
