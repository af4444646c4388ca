"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._completion import experiments_and_runs, key_paths, run_names
from kerasrun.errors import UsageError

ExperimentFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The experiment, a YAML file.", show_default=False)
]
Run = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run directory, or its name; by default the newest.",
        show_default=False,
        autocompletion=run_names,
    ),
]
Target = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE|RUN]",
        help="An experiment, or a run directory; by default the newest run.",
        show_default=False,
        autocompletion=experiments_and_runs,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY.PATH=VALUE",
        help="Change a value of the experiment.",
        show_default=False,
        autocompletion=key_paths,
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the runs are.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run code that a model file or a run brings: Lambda layers, plugins.")
]
Last = Annotated[bool, typer.Option("--last", help="Take last.keras, not best.keras.")]
Threshold = Annotated[
    float | None,
    typer.Option(metavar="PROBABILITY", help="Above it, the second class or a label is positive.", show_default=False),
]

RUNS = Path("runs")


def is_experiment(target: Path) -> bool:
    """Return whether an argument names an experiment file, and not a run."""
    return (target.suffix in (".yaml", ".yml") or target.is_file()) and not is_model(target)


def split_meant(name: str | None) -> str | None:
    """Return the name of a split, for which others say `val` and `valid`."""
    return "validation" if name in ("val", "valid") else name


def is_model(target: Path) -> bool:
    """Return whether an argument names a model file."""
    return target.suffix == ".keras"


def check_overrides(overrides: list[str] | None) -> None:
    """
    Raises:
        UsageError: if a run is looked at with changes.
    """
    if overrides:
        raise UsageError("--set changes an experiment, and a run is what it is: name the experiment's FILE, not a RUN")
