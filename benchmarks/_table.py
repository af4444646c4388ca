"""Markdown tables that are also readable as text, after a paragraph on the machine and the versions."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._rounds import Spread, ratio, spread
from kerasrun.runs.environment import environment

SPEEDS = ("", "images/s", "least–most", "kerasrun / this", "in single rounds")
DURATIONS = ("", "seconds", "least–most", "this / kerasrun", "in single rounds")


def print_machine() -> None:
    """Once, before the tables."""
    print(f"Machine: {machine()}.\n", flush=True)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print title and table, ready to be pasted into a document."""
    print(f"### {title}", markdown_table(header, rows), sep="\n\n", end="\n\n", flush=True)


def speeds(measured: Mapping[str, Sequence[float]], form: str = ",.0f") -> list[list[str]]:
    """Rows under `SPEEDS`, of what is done in a second, in every round; the first contender is kerasrun."""
    first, *_ = measured.values()
    return [
        [
            name,
            *with_spread(spread(values), form),
            *(("", "") if values is first else with_spread(ratio(first, values))),
        ]
        for name, values in measured.items()
    ]


def durations(measured: Mapping[str, Sequence[float]], form: str = ".2f") -> list[list[str]]:
    """Rows under `DURATIONS`, of seconds in every round; the others are compared with the first, kerasrun."""
    first, *_ = measured.values()
    return [
        [
            name,
            *with_spread(spread(values), form),
            *(("", "") if values is first else with_spread(ratio(values, first))),
        ]
        for name, values in measured.items()
    ]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in (header, rule, *rows):
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"| {' | '.join([first.strip().ljust(widths[0]), *others])} |")
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores that this process may use, system, versions, commit."""
    facts = environment(Path(__file__).parent)
    processor, versions, git = facts["processor"], facts["versions"], facts["git"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    commit = f", commit {git['commit'][:9]}{' with changes' if git['dirty'] else ''}" if git else ""
    return (
        f"{processor['model'] or processor['architecture']}, {cores} cores, {facts['platform']}; "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + commit
    )


def with_spread(value: Spread, form: str = ".2f") -> tuple[str, str]:
    """Two cells: the median, and `least–most`."""
    return f"{value.median:{form}}", f"{value.least:{form}}–{value.most:{form}}"
