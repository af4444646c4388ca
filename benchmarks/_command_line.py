"""How a benchmark is called alone: its arguments, the machine, its tables."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks._table import print_machine

Arguments = Callable[[Sequence[str] | None], argparse.Namespace]


def parser_for(description: str | None) -> argparse.ArgumentParser:
    """For the text at the top of a benchmark, whose lines stay as they are."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def existing_folder(path: str) -> Path:
    """An argument that must be a folder.

    Raises:
        ArgumentTypeError: if it is none.
    """
    if not Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"{path}: no such folder")
    return Path(path)


def run_alone(argv: Sequence[str] | None, arguments: Arguments, measure: Callable[[argparse.Namespace], None]) -> None:
    """Read the arguments, print the machine, measure and print."""
    given = arguments(argv)
    print_machine()
    measure(given)
