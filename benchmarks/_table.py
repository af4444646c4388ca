"""A Markdown table that is also readable as text, under a paragraph on the machine and the versions."""

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks._rounds import Spread
from kerasrun.runs.environment import environment


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print title, machine and table, ready to be pasted into a document."""
    print(f"### {title}", machine(), markdown_table(header, rows), sep="\n\n", flush=True)


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
