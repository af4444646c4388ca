"""`diff`: what differs between runs, and what came of it, on one screen.

Compared is what a run records of itself: the resolved experiment, and of `run.json` the data, the code of plugins, the
versions and the machine. What is each run's own, such as its name and when it began, is left out.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kerasrun.errors import DamagedFileError, UsageError
from kerasrun.experiment.resolved import flow_yaml
from kerasrun.report import plain
from kerasrun.runs import recovery
from kerasrun.runs.directory import RunDirectory, open_run
from kerasrun.runs.listing import RunSummary, summary_of
from kerasrun.stderr import plain as printable
from kerasrun.text import yaml_text
from kerasrun.text.problems import Problem, Text

if TYPE_CHECKING:
    from kerasrun.results.changed_predictions import ChangedClasses, ChangedNumbers

_SECTIONS: Final = {
    **dict.fromkeys(("from",), "experiment"),
    **dict.fromkeys(("label_kind", "classes", "class_weight", "data_fingerprint", "skipped", "examples"), "data"),
    **dict.fromkeys(("plugins", "git"), "code"),
    "versions": "versions",
}
"""The sections of the keys of `run.json`; of all others it is the machine."""
_OWN: Final = frozenset(
    (
        *("format_version", "name", "status", "reason", "error", "started", "command", "working_directory", "file"),
        *("resolved_sha256", "asked_sha256", "overrides", "experiment", "seed", "epochs", "best", "data_files"),
        *("checkpoint_seconds", "workers", "resumes", "bases"),
    )
)
"""Keys of `run.json` that are each run's own, or that the resolved experiment has too."""
_LONGEST = 60
"""How many characters of a value a table shows."""


@dataclass(frozen=True)
class Difference:
    """Something that is not the same in all runs."""

    section: str
    """`experiment`, `data`, `code`, `versions` or `machine`."""
    name: str
    """The key path, in the experiment or in `run.json`."""
    values: tuple[Any, ...]
    """The value of each run, None where it has none; of lists of different lengths what not all of them have."""


@dataclass(frozen=True)
class RunsDiff:
    """What differs between runs."""

    runs: tuple[RunSummary, ...]
    differences: tuple[Difference, ...]
    metrics: Mapping[str, tuple[float | None, ...]]
    """The value of each run: of the best epoch, on the test split, and how long it took."""
    predictions: "ChangedClasses | ChangedNumbers | None" = None
    """How their predictions differ, where that was asked for."""

    @property
    def names(self) -> list[str]:
        """Return how to call the runs: by their names, or by their paths where those are not different."""
        names = [run.name for run in self.runs]
        return names if len(set(names)) == len(names) else [str(run.run) for run in self.runs]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; lists of values are in the order of `runs`."""
        return {
            "runs": [str(run.run) for run in self.runs],
            "differences": [{**vars(one), "values": list(one.values)} for one in self.differences],
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            **({"predictions": self.predictions.as_dict()} if self.predictions else {}),
        }

    def to_json(self) -> str:
        return plain.to_json(self.as_dict())

    def to_text(self) -> str:
        """Return a table of what differs, and one of the metrics."""
        rows: list[list[str]] = []
        for section, of_section in self.by_section.items():
            rows += [[f"{section}:", *[""] * len(self.runs)], *([f"  {one[0]}", *one[1:]] for one in of_section)]
        differences = plain.text_table(["", *self.names], rows) if rows else self._nothing()
        return "\n\n".join([differences, plain.text_table(*self.metrics_table), *self._changed()])

    def to_markdown(self) -> str:
        """Return the same tables in Markdown."""
        rows = [[section, *one] for section, of_section in self.by_section.items() for one in of_section]
        differences = _markdown(["", "", *self.names], rows) if rows else self._nothing()
        changed = ("\n".join(f"- {_escaped(line)}" for line in text.splitlines()) for text in self._changed())
        return "\n\n".join([differences, _markdown(*self.metrics_table), *changed])

    def _changed(self) -> list[str]:
        return [self.predictions.to_text()] if self.predictions else []

    @property
    def by_section(self) -> dict[str, list[list[str]]]:
        """The rows of what differs: a name, and the value of each run."""
        found: dict[str, list[list[str]]] = {}
        for one in self.differences:
            found.setdefault(one.section, []).append([one.name, *map(_shown, one.values)])
        return found

    def _nothing(self) -> str:
        return "nothing differs in experiment, data, code, versions and machine"

    @property
    def metrics_table(self) -> tuple[list[str], list[list[str]]]:
        """The names of the columns, and the rows of metrics, with how far each run is from the first."""
        first, *others = self.names
        header = ["", first, *others, *(f"{name} - {first}" for name in others)]
        rows = []
        for name, (one, *more) in self.metrics.items():
            changes = [None if one is None or other is None else other - one for other in more]
            signed = ["-" if change is None else f"{change:+.4g}" for change in changes]
            rows.append([name, *("-" if value is None else f"{value:.4g}" for value in (one, *more)), *signed])
        return header, rows


def diff(
    *runs: RunDirectory | str | Path, predictions: bool = False, split: str | None = None, trust: bool = False
) -> RunsDiff:
    """Compare two runs or more.

    Args:
        predictions: have the best models of two runs predict the same examples, and compare that.
        split: of which split they are; by default `test` where there is one, else `validation`.
        trust: with `predictions`: run code that the models or the runs bring.

    Raises:
        UsageError: if there are not two different ones, or more than two whose predictions are asked for.
        RunDirectoryError: if what a run records cannot be read.
        KerasrunError: if the predictions cannot be compared.
    """
    found = [run if isinstance(run, RunDirectory) else open_run(run) for run in runs]
    if len(found) < 2 or len(set(found)) < len(found):
        raise UsageError("expected two runs or more, each once")
    records = [recovery.read(run) for run in found]
    experiments = [_plain(record.resolved, run) for record, run in zip(records, found, strict=True)]
    for experiment in experiments:
        experiment.pop("name", None)  # as in `run.json`
    of_run = [{key: value for key, value in record.content.items() if key not in _OWN} for record in records]
    differences = [Difference("experiment", name, values) for name, values in _differences("", experiments)]
    for key in dict.fromkeys(key for one in of_run for key in one):
        for name, values in _differences(key, [one.get(key) for one in of_run]):
            differences.append(Difference(_SECTIONS.get(key, "machine"), name, values))
    order = ("experiment", "data", "code", "versions", "machine")
    differences.sort(key=lambda one: order.index(one.section))
    summaries = [summary_of(run) for run in found]
    if problem := next((one.problem for one in summaries if one.problem), None):
        raise DamagedFileError(problem)
    changed = None
    if predictions:
        if len(found) > 2:
            raise UsageError("the predictions of two runs are compared; name two")
        from kerasrun.results.changed_predictions import changed_predictions

        changed = changed_predictions(found[0], found[1], split, trust=trust)
    return RunsDiff(tuple(summaries), tuple(differences), _metrics_of(summaries), changed)


def _plain(resolved: str, run: RunDirectory) -> Any:
    problems: list[Problem] = []
    text = Text(str(run.resolved_file), yaml_text.split_lines(resolved))
    root = yaml_text.parse(resolved, text, problems)
    if root is None:
        raise DamagedFileError(f"{run.resolved_file} is not what kerasrun writes: {problems[0]}")
    return yaml_text.plain(root)


def _differences(name: str, values: Sequence[Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the key path and the values of everything that is not the same in all, as deep as the values are alike."""
    if all(value == values[0] for value in values[1:]):
        return
    mappings = [value for value in values if isinstance(value, Mapping)]
    lists = [value for value in values if isinstance(value, list)]
    if len(mappings) == len(values) and (not name or set.intersection(*map(set, mappings))):
        for key in dict.fromkeys(key for one in mappings for key in one):
            yield from _differences(f"{name}.{key}" if name else str(key), [one.get(key) for one in mappings])
    elif len(lists) == len(values) and any(isinstance(item, Mapping | list) for one in lists for item in one):
        if len({len(one) for one in lists}) == 1:
            for place, items in enumerate(zip(*lists, strict=True)):
                yield from _differences(f"{name}.{place}", items)
        else:
            texts = [{json.dumps(item, sort_keys=True): item for item in one} for one in lists]
            yield (
                name,
                tuple([item for key, item in one.items() if not all(key in other for other in texts)] for one in texts),
            )
    else:
        yield name, tuple(values)


def _metrics_of(runs: Sequence[RunSummary]) -> dict[str, tuple[float | None, ...]]:
    all_metrics = [
        {
            **{name: value for name, value in run.metrics.items() if name != "learning_rate"},
            **{f"test_{name}": value for name, value in run.test.items()},
            **{"best_epoch": run.best_epoch, "epochs": run.epochs_done, "seconds": run.seconds},
        }
        for run in runs
    ]
    names = dict.fromkeys(name for one in all_metrics for name in one)
    return {name: tuple(one.get(name) for one in all_metrics) for name in names}


def _shown(value: Any) -> str:
    """Return a value on one line, of a checksum the beginning."""
    if value is None or value == []:
        return "-"
    if isinstance(value, list) and not any(isinstance(item, Mapping | list) for item in value):
        text = ", ".join(map(str, value))
    elif isinstance(value, Mapping | list):
        text = flow_yaml(value)
    else:
        text = str(value)
    if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", text):
        return text[:12]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    return re.sub(r"[\\|&<\[`*_~!]", r"\\\g<0>", printable(text))
