"""What a shell offers for arguments when Tab is pressed; `kerasrun --install-completion` has it ask.

Names of runs and files, and values of an experiment, may be a stranger's. zsh evaluates what it is offered, and others
put it on the command line as it is: so only that is offered which is the same word to every shell, and no option.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import typer

_SPLITS = ("train", "validation", "test")
_WORD = re.compile(r"[\w./][\w.,:=+@%/-]*")


def splits(incomplete: str) -> list[str]:
    """Return the splits of data."""
    return _beginning(incomplete, _SPLITS)


def run_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of runs, without those that are named already."""
    from kerasrun.runs.directory import run_names as names_in

    named = [str(one) for one in ctx.params.get("runs") or ()]
    output = ctx.params.get("output") or "runs"
    return [name for name in _beginning(incomplete, names_in(Path(output))) if name not in named]


def experiments_and_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the experiment files of the working directory, and the names of runs."""
    return _beginning(incomplete, sorted(map(str, Path().glob("*.yaml")))) + run_names(ctx, incomplete)


def example_names(incomplete: str) -> list[tuple[str, str]]:
    """Return the examples, with what they are about."""
    from kerasrun.experiment.examples import examples

    return [(name, one.about) for name, one in examples().items() if name.startswith(incomplete)]


def key_paths(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return how the path of a key may go on; where an experiment is named, for its components."""
    from kerasrun.experiment.key_paths import key_paths as paths

    # Behind an option that waits for its value, Click has not told arguments from each other yet.
    file = next((file for file in map(Path, ctx.args) if file.is_file()), None)
    return _beginning(incomplete, paths(incomplete, file))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and _WORD.fullmatch(name)]
