"""`kerasrun predict`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasrun.commands._options import RUNS, Json, Last, Output, Trust
from kerasrun.errors import UsageError


def predict(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Image files, folders or globs.", show_default=False)
    ],
    run: Annotated[Path | None, typer.Option(help="The run whose model predicts; by default the newest.")] = None,
    model: Annotated[Path | None, typer.Option(help="A .keras file that kerasrun wrote, instead of a run.")] = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many classes to name for each image.")] = 1,
    last: Last = False,
    trust: Trust = False,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    output: Output = RUNS,
) -> None:
    """Name the class of each image, and how probable it is.

    Example: kerasrun predict data/digits/png/test/7 --top 3
    """
    from kerasrun.results.prediction import predict as predict_images
    from kerasrun.results.prediction import to_csv, to_json, to_text
    from kerasrun.runs.listing import find_run
    from kerasrun.training.kept_models import model_of

    if run and model:
        raise UsageError("--run and --model both name a model; give one of them")
    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms of the same output; give one of them")
    model = model or model_of(find_run(run, output), last=last)
    predictions = predict_images(images, model=model, top=top, trust=trust)
    typer.echo((to_json if as_json else to_csv if as_csv else to_text)(predictions))
