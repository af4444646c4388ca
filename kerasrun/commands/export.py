"""`kerasrun export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasrun import exports
from kerasrun.commands._options import RUNS, Json, Last, Overrides, Run, Trust
from kerasrun.errors import UsageError
from kerasrun.families import members

GROUP, ORDER = "Use what was trained", 90
FORMATS = tuple(members(exports.__path__))


def export(
    run: Run = None,
    file_format: Annotated[
        Literal[FORMATS] | None,  # type: ignore[valid-type]  # those in the folder
        typer.Option("--format", "-f", help="The format; by default by the ending of -o.", show_default=False),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where to write; by default in the run's folder exports.",
            show_default=False,
        ),
    ] = None,
    quantize: Annotated[
        Literal["int8", "float16", "dynamic"] | None,
        typer.Option(metavar="int8|float16|dynamic", help="Smaller numbers, of tflite alone.", show_default=False),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="POINTS", help="By how many hundredths the score may drop then.", show_default="0.5"
        ),
    ] = None,
    last: Last = False,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write a run's best model in another format.

    What was written is run on examples, and its outputs are compared with the model's own. What --quantize makes is
    measured with its own runtime on all examples of the test split, or of that which validates.

    Example: kerasrun export runs/lenet-1 --format onnx
    """
    from kerasrun.results.export import MAX_DROP
    from kerasrun.results.export import export as export_run
    from kerasrun.runs.listing import find_run

    file_format = file_format or _format_of(path)
    found = find_run(run, RUNS)
    if max_drop is not None and quantize is None:
        raise UsageError("--max-drop says what --quantize may cost; give both")
    report = export_run(
        *(found, file_format),
        output=path,
        last=last,
        quantize=quantize,
        max_drop=MAX_DROP if max_drop is None else max_drop,
        overrides=overrides or (),
        trust=trust,
    )
    typer.echo(report.to_json() if as_json else report.to_text())


def _format_of(path: Path | None) -> str:
    """
    Raises:
        UsageError: if the ending of a path, if there is one, says no format.
    """
    from kerasrun.exports.base import formats

    name = path.name if path else ""
    fitting = [one for one in formats().values() if one.suffix and name.endswith(one.suffix)]
    if not fitting:
        raise UsageError(f"no format; expected --format, -f: {', '.join(FORMATS)}; or a name with its ending after -o")
    return max(fitting, key=lambda one: len(one.suffix)).name
