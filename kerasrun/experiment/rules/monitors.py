"""The names in the logs, and whether everything that watches one of them names it rightly."""

from kerasrun.callbacks import adapter_of, written_callbacks
from kerasrun.experiment.logs import Metrics, metrics_of, names_of
from kerasrun.experiment.outputs import by_name, written_outputs
from kerasrun.experiment.rules import outputs
from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import direction, identifiers
from kerasrun.tasks.base import task_named, task_names
from kerasrun.text.document import Document, Written, written_component, written_list
from kerasrun.text.problems import Problem, dotted, listed, nearest, shown
from kerasrun.text.yaml_text import Node, Path, plain

_NOT_METRICS = ("loss", "learning_rate", "epoch", "batch")


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report metrics of a name that the logs use otherwise, and what watches a value that they will not have."""
    problems = _name_problems(places)
    if problems or places.is_broken(("compile", "metrics")):
        return problems
    metrics = _metrics_of_outputs(experiment, facts, places) if written_outputs(places) else _metrics(facts, places)
    if metrics is None:
        return []
    check = _Check(metrics, facts.validates)
    for section in ("checkpoint", "sweep"):
        node = places.node((section, "monitor"))
        # A number is the text as which it was written.
        monitor = None if node is None or node.value is None else node.written or node.value
        if node is not None and isinstance(monitor, str):
            found = Problem(node.place, f"{section}.monitor", f"monitors {shown(monitor)}")
            check.monitor(monitor, places.node((section, "mode")), found)
    for callback in written_callbacks(places):
        check.callback(callback)
    return check.problems


def _name_problems(document: Document) -> list[Problem]:
    """Report metrics whose name the logs use for something else."""
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


class _Check:
    def __init__(self, metrics: Metrics, validates: bool | None) -> None:
        self.metrics = metrics
        self.names = names_of(metrics, validates)
        self.problems: list[Problem] = []

    def callback(self, callback: Written) -> None:
        adapter = adapter_of(callback.name)
        if monitored := adapter.monitored(callback):
            monitor, found = monitored
            self.monitor(monitor, callback.arguments.get("mode"), found)
        self.problems += adapter.log_problems(callback, self.names, ("loss", *self.metrics))

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
            self.problems.append(Problem(place, where, received, expected, nearest(monitor, self.names)))
        elif mode is None or mode.value == "auto":
            self.direction(monitor, found)

    def direction(self, monitor: str, problem: Problem) -> None:
        """Check that a metric's direction is known; Keras looks for it only at the end of the first epoch."""
        own = monitor.removeprefix("val_")
        if own == "loss" or (own in self.metrics and self.metrics[own] is None):
            return
        metric = self.metrics.get(own)
        if metric is None or direction(metric.name) is None:
            received = f"{problem.received}, of which Keras does not know whether more is better"
            expected = "expected 'mode: min' or 'mode: max'"
            self.problems.append(Problem(problem.place, problem.key_path, received, expected))


def _written_metrics(document: Document) -> list[tuple[Path, Written | None]]:
    path: Path = ("compile", "metrics")
    return [(at, written_component(node, at)) for at, node in written_list(document.node(path), path)]


def _metrics_of_outputs(experiment: Experiment | None, facts: Facts, places: Document) -> Metrics | None:
    """Return the metrics of several outputs; None where something is wrong with these, so that no name is sure."""
    is_broken = places.is_broken(("compile",)) or places.is_broken(("model",))
    if experiment is None or is_broken or outputs.check(experiment, facts, places):
        return None
    return metrics_of(experiment)


def _metrics(facts: Facts, document: Document) -> Metrics | None:
    """Return the metrics as written; None where one is not known, so that no name in the logs is sure."""
    node = document.node(("compile", "metrics"))
    if node is None or plain(node) is None:
        # Labels of an unknown kind may have any of the defaults.
        tasks = map(task_named, task_names() if facts.label_kind is None else (facts.label_kind,))
        return by_name(list({metric.name: metric for task in tasks for metric in task.default_metrics}.values()))
    metrics = [written for _, written in _written_metrics(document)]
    if not isinstance(node.value, list) or any(
        one is None or one.name not in identifiers("metrics") for one in metrics
    ):
        return None
    return by_name([one.component for one in metrics if one is not None])
