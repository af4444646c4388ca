"""`inspect`: what there is of each split and class, and what is wrong with it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrun.components import kinds
from kerasrun.experiment.draft import recognize
from kerasrun.experiment.load import load
from kerasrun.experiment.schema import Experiment
from kerasrun.inspection.examples import SIDE, Examples, examples_of
from kerasrun.inspection.findings import Finding, findings
from kerasrun.pipeline.selection import training_and_validation, with_test_split
from kerasrun.reading.data import Data, Split
from kerasrun.reading.files import files_below, is_image, listed, passed_over
from kerasrun.reading.memory import DEFAULT_SHARE, kept_within
from kerasrun.sources._array_source import ArraySource
from kerasrun.sources.base import Source
from kerasrun.stderr import plain
from kerasrun.tasks.base import task_named

_SHOWN = 10
# What a picture is brought to here: files that cannot be used are findings, and sizes may differ.
_LOOK: Mapping[str, Any] = {
    **{"image_size": (SIDE, SIDE), "interpolation": "bilinear", "fit_mode": "resize", "color_mode": "rgb"},
    "on_bad_file": "skip",
}


@dataclass(frozen=True)
class Inspection:
    """Data that were looked at."""

    about: str
    """The data, as they were named."""
    classes: Mapping[str, Mapping[str, int]]
    """The number of examples of each class, by split; empty where there are no classes."""
    notes: Sequence[str]
    """How the data are read, where the experiment does not say it."""
    examples: Examples
    findings: Sequence[Finding]

    @property
    def crosses_splits(self) -> bool:
        """Whether the same example trains and is measured on."""
        return any(finding.crosses_splits for finding in self.findings)

    def to_text(self) -> str:
        lines = [plain(f"{self.about}: {_line(self.counts, self.classes)}")]
        lines += [*self.notes, *([self.pictures] if self.pictures else [])]
        lines += [] if self.findings else ["nothing found that is wrong"]
        for finding in self.findings:
            lines += ["", plain(finding.title), _groups(finding)]
        return "\n".join(lines)

    def to_json(self) -> str:
        found = [
            {"kind": one.kind, "title": one.title, "groups": one.groups}
            | ({"splits": one.splits} if one.splits else {})
            for one in self.findings
        ]
        splits = {
            name: {"examples": count, "classes": self.classes.get(name, {})} for name, count in self.counts.items()
        }
        return json.dumps({"data": self.about, "splits": splits, "sizes": self._sizes(), "findings": found}, indent=2)

    @property
    def counts(self) -> dict[str, int]:
        """The number of examples of each split."""
        counts = np.bincount(self.examples.split_of, minlength=len(self.examples.splits))
        return dict(zip(self.examples.splits, counts.tolist(), strict=True))

    def _sizes(self) -> dict[str, int]:
        """Return how many pictures have each height and width, the commonest first."""
        sizes = [] if self.examples.sizes is None else self.examples.sizes.tolist()
        return {f"{height}×{width}": number for (width, height), number in Counter(map(tuple, sizes)).most_common()}

    @property
    def pictures(self) -> str:
        """Sizes and colours of image files, in a line; empty where examples are not files of images."""
        sizes, looks = self._sizes(), self.examples.looks
        if not sizes or looks is None:
            return ""
        grey = int((looks == looks[..., :1]).all(axis=(1, 2, 3)).sum())
        colours = "all grey" if grey == len(looks) else f"{grey:,} of them grey" if grey else "all in colour"
        kinds = f"{len(sizes):,} sizes, most often " if len(sizes) > 1 else ""
        return f"{len(looks):,} pictures of {kinds}{next(iter(sizes))} (height × width), {colours}"


def _groups(finding: Finding) -> str:
    groups = finding.groups
    if finding.splits:
        both = zip(groups, finding.splits, strict=True)
        groups = tuple(tuple(f"{one} ({split})" for one, split in zip(*each, strict=True)) for each in both)
    return listed(["  " + listed([*map(plain, group)], _SHOWN, " = ") for group in groups], _SHOWN, "\n")


def inspect(target: str | Path, *, overrides: Sequence[str] = ()) -> Inspection:
    """Read all data of an experiment, or those in a file or folder, and look for what is wrong with them.

    Raises:
        KerasrunError: if the experiment is wrong, or the data cannot be opened.
    """
    target = Path(target)
    experiment = load(target, overrides).experiment if target.suffix in (".yaml", ".yml") else None
    source = experiment.data if experiment else _recognized(target)
    # Arrays are as they are: of one size, or no pictures at all.
    fields = {} if isinstance(source, ArraySource) else type(source).model_fields
    seen = source.model_copy(update={key: value for key, value in _LOOK.items() if key in fields})
    with kept_within(experiment.cache.memory if experiment else DEFAULT_SHARE):
        data = seen.open()
        data.require_read()
        splits = _used(data, experiment)
        examples = examples_of(splits)
    found = [*findings(data, splits, examples), *(_passed_over(source) if examples.paths else [])]
    return Inspection(str(target), _counts(data, splits), data.notes, examples, found)


def _recognized(path: Path) -> Source:
    found = recognize(path)
    source = kinds("kerasrun.sources")[found.kind].model_validate({**found.paths, **found.keys})
    assert isinstance(source, Source)
    return source


def _used(data: Data, experiment: Experiment | None) -> list[Split]:
    """Return the splits as the experiment uses them, the one that trains first."""
    if experiment is None:
        return list(data.splits.values())
    data = with_test_split(data, experiment.fit, experiment.seed)
    train, validation = training_and_validation(data.splits, experiment.fit, experiment.seed)
    used = {split.name: split for split in (train, validation) if split}
    return list((used | {name: split for name, split in data.splits.items() if name not in used}).values())


def _counts(data: Data, splits: Sequence[Split]) -> dict[str, dict[str, int]]:
    task = task_named(data.label_kind)
    if not (task.one_class or task.together):
        return {}
    counts = {split.name: split.class_counts(len(data.classes)).tolist() for split in splits}
    return {name: dict(zip(data.classes, numbers, strict=True)) for name, numbers in counts.items()}


def _line(examples: Mapping[str, int], classes: Mapping[str, Mapping[str, int]]) -> str:
    said = []
    for split, count in examples.items():
        ordered = sorted(classes.get(split, {}).items(), key=lambda one: -one[1])
        each = listed([f"{name} {number:,}" for name, number in ordered], _SHOWN)
        said.append(f"{split} {count:,}" + (f" ({each})" if each else ""))
    return "; ".join(said)


def _passed_over(source: Source) -> list[Finding]:
    """Find the files in the source's folders that are not images."""
    own = {value for value in vars(source).values() if isinstance(value, Path)}
    files = [file for path in own if path.is_dir() for file in files_below(path)]
    others = [file for file in files if file not in own and not is_image(file)]
    title = f"files that are not images are passed over: {passed_over(others)}"
    return [Finding("passed_over", title, tuple((str(file),) for file in others))] if others else []
