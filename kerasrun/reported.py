"""`train`, `resume` and `evaluate` with a report at their end, where the experiment asks for one: `report: true`."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

from kerasrun.errors import Interrupted, KerasrunError
from kerasrun.experiment.load import parse
from kerasrun.results import evaluation
from kerasrun.results.evaluation import EvaluationReport
from kerasrun.runs import recovery
from kerasrun.runs.directory import RunDirectory, open_run
from kerasrun.training import train as training
from kerasrun.workers.cluster import place_here

logger = logging.getLogger("kerasrun")

Arguments = ParamSpec("Arguments")


def _reported(call: Callable[Arguments, RunDirectory | None]) -> Callable[Arguments, RunDirectory | None]:
    @functools.wraps(call)
    def reported(*arguments: Arguments.args, **options: Arguments.kwargs) -> RunDirectory | None:
        run = call(*arguments, **options)
        if run is not None:
            _write_if_asked(run, is_due=_is_due, trust=options.get("trust", False))
        return run

    return reported


train, resume = _reported(training.train), _reported(training.resume)


@functools.wraps(evaluation.evaluate)
def evaluate(run: RunDirectory | str | Path, **options: Any) -> EvaluationReport | None:
    run = run if isinstance(run, RunDirectory) else open_run(run)
    found = evaluation.evaluate(run, **options)
    if found and options.get("data") is None and not options.get("last"):  # what a report is of
        alike = {name: options[name] for name in ("overrides", "trust") if name in options}
        _write_if_asked(run, split=found.split, **alike)
    return found


def _write_if_asked(
    run: RunDirectory, is_due: Callable[[RunDirectory], bool] = lambda run: True, **options: Any
) -> None:
    """Write the report of a run that asks for one; one that fails is a warning, since what it is about is done.

    Args:
        options: as for `write_report`.
    """
    try:
        if not parse(recovery.read(run).resolved, run.resolved_file, alone=True).experiment.report or not is_due(run):
            return
        if place_here().count > 1:  # TensorFlow ends this process soon after the others have ended
            logger.warning("one process alone writes a report: kerasrun report %s", run.quoted)
            return
        from kerasrun.results.run_report import write_report  # not above: training begins without it

        write_report(run, **options)
        logger.info("report: %s/%s", run, run.report_file.name)
    except Interrupted:
        raise
    except Exception as error:
        logger.warning("the report was not written: %s", error if isinstance(error, KerasrunError) else repr(error))
        logging.getLogger("kerasrun.bug").exception("the report of %s", run)


def _is_due(run: RunDirectory) -> bool:
    """Return whether a run is finished, and has no report that is newer than its last model."""
    if run.read_run()["status"] != "finished":
        return False
    return not run.report_file.exists() or run.report_file.stat().st_mtime < run.last_model.stat().st_mtime
