"""Experiments of three files that build on each other, with variables of the environment, each file mutated.

The sections of one experiment, whole or in part, are in one of the files or in several; who builds on whom is drawn as
well, circles and files that are not there among it.
"""

import os
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from kerasrun.errors import ExperimentError, KerasrunError
from kerasrun.experiment.load import load, parse
from kerasrun.experiment.origins import with_origins
from kerasrun.experiment.resolved import as_plain, resolved_yaml
from tests.fuzz import experiments
from tests.fuzz.experiments import Node

NAMES = ("case.yaml", "common/a.yaml", "common/b c.yaml")
VARIABLES = {
    **{"KR_N": "2", "KR_RATE": "1e-3", "KR_TEXT": "a: [b]", "KR_EMPTY": "", "KR_BYTES": "a\udcff"},
    **{"KR_LIKE_ONE": "${KR_N}", "KR_BELL": "\a", "KR_LONG": "x" * 2**17},
}
TEXTS = (
    *("${KR_N}", "'${KR_N}'", '"${KR_RATE}"', "${KR_TEXT}", "${KR_EMPTY}", "${KR_EMPTY:-3}", "${KR_NONE:-x}"),
    *("$${KR_N}", "'$$${KR_N}'", "1e-${KR_N}", "'x ${KR_N}'", "${KR_NONE}", "${KR_BYTES}", "'${'", "'${KR_N'", "'${}'"),
    *("'${KR_N:-${KR_N}}'", "'${HOME}'", "'~/${KR_N}'", "'$KR_N'", "'${KR_NONE:-}'", "(${KR_N}, 3)", "Dense(${KR_N})"),
    *("${KR_LIKE_ONE}", "'${KR_LIKE_ONE}'", "'${KR_BELL}'", "'${KR_LONG}'", "'x${KR_LONG}'"),
)
BASES = (
    *("case.yaml", "common/a.yaml", "'common/b c.yaml'", "a.yaml", "'b c.yaml'", "../case.yaml", "../common/a.yaml"),
    *("none.yaml", ".", "/dev/zero", "/dev/null", "/etc/passwd", "~nosuchuser/a", "'${KR_NONE:-a.yaml}'", "''"),
    *("pipe.yaml", "'" + "x" * 300 + "'", "a.yaml/a.yaml"),
)


@dataclass(frozen=True)
class Case:
    """The file that is named, beside those on which it builds, and what the command line changes in it."""

    file: Path
    overrides: tuple[str, ...]


def prepare() -> None:
    """Import and look up what every case needs, and set the variables."""
    experiments.prepare()
    os.environ.update(VARIABLES)


def make(rng: random.Random, folder: Path) -> Case:
    (folder / "common").mkdir()
    shutil.copy(experiments.PLUGIN, folder)
    shutil.copy(experiments.PLUGIN, folder / "common")
    os.mkfifo(folder / "pipe.yaml")
    whole = experiments.corpus()
    roots = [["map"] for _ in NAMES]
    for pair in rng.choice(whole)[1:]:
        for root in rng.sample(roots, rng.choice((1, 1, 2))):
            root.append(experiments.copied(pair))
    for pair in rng.choice(whole)[1:]:
        if rng.random() < 0.2:
            _put(rng.choice(roots), experiments.copied(pair))
    overrides: tuple[str, ...] = ()
    for name, root in zip(NAMES, roots, strict=True):
        for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
            experiments.mutate(rng, root)
        _vary(rng, root)
        if named := _bases(rng, name):
            root.insert(rng.randrange(1, len(root) + 1), ["base", named])
        text = experiments.written(rng, root)
        if rng.random() < 0.05:
            text = experiments.mutated_text(rng, text)
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        if rng.random() < 0.1:
            overrides = (*overrides, experiments.override(rng, root))
    if overrides:
        (folder / "overrides.txt").write_text("\n".join(map(repr, overrides)))
    return Case(folder / NAMES[0], overrides)


def check(case: Case) -> str:
    """Do what `kerasrun validate --resolved` does, and `--origins`."""
    loaded = load(case.file, case.overrides)
    text = resolved_yaml(loaded.experiment)
    for one in (text, with_origins(loaded)):
        for alone in (False, True):
            again = parse(one, case.file.with_name("resolved.yaml"), alone=alone).experiment
            assert as_plain(again) == as_plain(loaded.experiment) or ".nan" in text, f"is read as another:\n{one}"
    return "accepted"


def what_is_wrong_with(error: KerasrunError, case: Case) -> str | None:
    """Say why the refusal of an experiment is not one that helps: it names no place in one of its files."""
    if not isinstance(error, ExperimentError):
        return f"{type(error).__name__}, not ExperimentError"
    text = str(error)
    if re.match(r"--set .*: column \d+", text, re.DOTALL):
        return None
    for file in (*(case.file.parent / name for name in NAMES), Path("/etc/passwd")):
        if place := re.match(re.escape(str(file)) + r":(\d+):(\d+): ", text):
            return experiments.what_is_wrong_with_place(file, *map(int, place.groups()))
    return "a refusal without a place"


def _put(root: Node, pair: list) -> None:
    root[1:] = [*(one for one in root[1:] if one[0] != pair[0]), pair]


def _vary(rng: random.Random, root: Node) -> None:
    """Take values away, and ask the environment for some."""
    for holder, place, _ in list(experiments.slots_of(root)):
        drawn = rng.random()
        if drawn < 0.01:
            holder[place] = rng.choice(("null", *TEXTS))
        elif drawn < 0.05 and isinstance(holder[place], str):
            holder[place] = f"'${{KR_NONE:-{holder[place].strip(chr(39))}}}'"


def _bases(rng: random.Random, name: str) -> Node:
    """Return what a file names as its bases: mostly files that are there and do not build on it."""
    if rng.random() < 0.1:
        return rng.choice((rng.choice(experiments.ODD), ["seq", *rng.choices(BASES, k=rng.choice((0, 1, 2, 60)))]))
    if name == NAMES[0]:
        return rng.choice(
            ("common/a.yaml", ["seq", "common/a.yaml", "'common/b c.yaml'"], ["seq", "'common/b c.yaml'"])
        )
    return rng.choice(("'b c.yaml'", ["seq", "'b c.yaml'"], "")) if name == NAMES[1] else ""
