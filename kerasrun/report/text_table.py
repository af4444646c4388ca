"""Tables as plain text: names to the left, numbers to the right, no frames."""

from collections.abc import Sequence

from kerasrun.report.plain import plain


def text_table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    cells = [[plain(str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = (
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
