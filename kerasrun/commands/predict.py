"""`kerasrun predict`."""

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kerasrun.commands._completion import run_names
from kerasrun.commands._options import RUNS, Json, Last, Output, Threshold, Trust
from kerasrun.commands._workers import Workers, begin_workers, place_of_worker
from kerasrun.errors import DataError, UsageError

GROUP, ORDER = "Use what was trained", 80

logger = logging.getLogger("kerasrun")


def predict(
    examples: Annotated[
        list[str],
        typer.Argument(
            metavar="EXAMPLE...",
            help="Image files, folders, globs or lists (.csv); files of rows; .npy. A run may come first.",
            show_default=False,
        ),
    ],
    run: Annotated[
        Path | None,
        typer.Option(help="The run whose model predicts; by default the newest.", autocompletion=run_names),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A .keras file that kerasrun wrote, instead of a run.")] = None,
    plugin: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="With --model: a plugin that the model needs.", show_default=False),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", "-k", min=1, help="How many classes to name for each example; by default 1.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Name every class or label with its probability.")] = False,
    threshold: Threshold = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where masks and images are written; by default predictions.", show_default=False
        ),
    ] = None,
    mask_size: Annotated[
        Literal["original", "input"],
        typer.Option(help="Whether what is written is as large as its image, or as the network's input."),
    ] = "original",
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write there a picture of each example that shows why the model says so.",
            show_default=False,
        ),
    ] = None,
    last: Last = False,
    trust: Trust = False,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    output: Output = RUNS,
    workers: Workers = None,
) -> None:
    """Predict the class, labels, numbers, mask or image of each example.

    Example: kerasrun predict data/digits/png/test/7 --top 3
    """
    begin_workers(workers)
    from kerasrun.many.ensemble import predict_group
    from kerasrun.many.group import named_group
    from kerasrun.model_file import read_info
    from kerasrun.report.predictions import Unreadable, to_csv, to_json, to_text
    from kerasrun.results.prediction import predict as predict_examples
    from kerasrun.runs.directory import model_of
    from kerasrun.runs.listing import find_run, is_run

    if run and model:
        raise UsageError("--run and --model both name a model; give one of them")
    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms of the same output; give one of them")
    is_first = run is None and model is None and len(examples) > 1
    if is_first and (is_run(Path(examples[0]), output) or named_group(examples[0], output)):
        run, examples = Path(examples[0]), examples[1:]
    place = place_of_worker()
    asked: dict[str, Any] = {"top": top, "every": every, "threshold": threshold, "masks": masks, "trust": trust}
    if group := named_group(run, output):
        if explain:
            raise UsageError(f"--explain shows why one model says so; name a run of {group.root}")
        predictions = predict_group(examples, group, mask_size=mask_size, last=last, **asked)
    else:
        path = model or model_of(find_run(run, output), last=last)
        if run is None and model is None:
            logger.info("predicting with %s, epoch %d", path, read_info(path).epoch)
        predictions = predict_examples(
            examples, model=path, mask_size=mask_size, explain=explain, plugins=plugin or (), place=place, **asked
        )
    if not place.leads:
        return
    typer.echo((to_json if as_json else to_csv if as_csv else to_text)(predictions))
    if unreadable := sum(isinstance(prediction, Unreadable) for prediction in predictions):
        raise DataError(f"{unreadable} of {len(predictions)} image files cannot be used; see their errors above")
