"""How a benchmark is called alone: its arguments, the machine, its tables."""

import argparse
from collections.abc import Callable, Sequence

from benchmarks._table import print_machine

Arguments = Callable[[Sequence[str] | None], argparse.Namespace]


def parser_for(description: str | None) -> argparse.ArgumentParser:
    """For the text at the top of a benchmark, whose lines stay as they are."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def run_alone(argv: Sequence[str] | None, arguments: Arguments, measure: Callable[[argparse.Namespace], None]) -> None:
    """Read the arguments, print the machine, measure and print."""
    given = arguments(argv)
    print_machine()
    measure(given)
