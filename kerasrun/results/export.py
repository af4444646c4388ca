"""`export`: a run's model in another form, tried at once on examples of the run's data."""

import contextlib
import errno
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kerasrun.engine.errors import network_explained
from kerasrun.errors import ExportError, KerasrunError, MissingProgramError, UsageError
from kerasrun.exports.base import Export, formats, model_outputs
from kerasrun.model_file import TrainedModel
from kerasrun.pipeline.selection import spread
from kerasrun.reading.data import Split
from kerasrun.report.plain import to_json
from kerasrun.results.recorded import read_recorded
from kerasrun.run_files import RunFile
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory, model_of, open_run
from kerasrun.text.problems import listed

EXAMPLES = 100
"""How many examples an export is compared with the model on."""


@dataclass(frozen=True)
class ExportReport:
    """Where an export is, and how far its outputs are from the model's own."""

    path: str
    format: str
    split: str
    examples: int
    difference: float
    """The greatest difference between outputs, absolute."""
    allowed: float
    """The difference above which the export would have failed."""

    def to_json(self) -> str:
        return to_json(asdict(self))

    def to_text(self) -> str:
        return f"{self.path}\n{_compared(self.difference, self.split, self.examples)} ({_allowed(self.allowed)})"


def export(
    run: RunDirectory | str | Path,
    format: str,
    *,
    output: str | Path | None = None,
    last: bool = False,
    overrides: Sequence[str] = (),
    trust: bool = False,
) -> ExportReport:
    """Write a run's model in another form, and run what was written beside the model.

    Args:
        format: one of `formats()`.
        output: the file, or the folder where the format writes one; by default in the run's folder `exports`.
        last: take `last.keras`, not `best.keras`.
        overrides: `data.….path=…` where the data have moved.
        trust: run code that the model brings.

    Raises:
        ExportError: if the model cannot be written so, or computes something else; nothing is kept then.
        KerasrunError: if something that is needed is missing.
    """
    run = run if isinstance(run, RunDirectory) else open_run(run)
    if format not in formats():
        raise UsageError(f"unknown format {format!r}; expected {', '.join(formats())}")
    chosen = formats()[format]
    output = None if output is None else Path(output)
    _check_name(chosen, output)
    _check_packages(chosen)
    path = model_of(run, last=last)
    recorded = read_recorded(run, overrides, trust=trust)
    _check_precision(chosen, recorded.experiment.precision)
    data = recorded.open_data()
    examples = spread(data.splits.get("validation", data.splits["train"]), EXAMPLES)
    split = "validation" if "validation" in data.splits else "training"
    trained = recorded.open_model(path, trust=trust)
    recorded.compare(data, trained.info.classes)
    target = output or run.below(RunFile.EXPORTS, f"{recorded.experiment.name}{chosen.suffix}")
    if chosen.suffix:
        written = atomic.replacing(target)
    else:
        written = atomic.replacing_folder(target, target.with_name(f"{target.name}.replaced"))
    with contextlib.redirect_stdout(sys.stderr), written as private:
        difference, allowed = _write_and_compare(chosen, trained, private, examples)
        if not difference <= allowed:
            raise ExportError(
                f"{target} is not kept: {_compared(difference, split, len(examples))}, and {_allowed(allowed)}"
            )
    shown = f"{run}/{target.relative_to(run.root)}" if output is None else str(output)
    return ExportReport(shown, format, split, len(examples), difference, allowed)


def _check_name(chosen: Export, output: Path | None) -> None:
    if output is None:
        return
    if not output.name.endswith(chosen.suffix):
        raise UsageError(f"--output {output}: expected a name that ends in {chosen.suffix}")
    if chosen.suffix and output.is_dir():
        raise UsageError(f"--output {output}: is a folder; expected the name of a file")
    if not chosen.suffix and output.exists() and not (output / chosen.mark).exists():
        raise UsageError(
            f"--output {output}: is there, and is not an older export as {chosen.name}; expected a new name, or "
            "such an export"
        )


def _check_packages(chosen: Export) -> None:
    if lacking := [name for name in chosen.packages if importlib.util.find_spec(name) is None]:
        raise MissingProgramError(
            f"export --format {chosen.name} needs {' and '.join(lacking)}, which are not part of a plain installation: "
            f"pip install 'kerasrun[{chosen.name}]'"
        )


def _check_precision(chosen: Export, precision: str) -> None:
    if chosen.only_float32 and precision != "float32":
        others = [name for name, one in formats().items() if one.is_whole and not one.only_float32]
        raise ExportError(
            f"export --format {chosen.name} takes models of float32, but this one was trained with precision: "
            f"{precision}; export it as {listed(others)}, or train with precision: float32"
        )


def _write_and_compare(chosen: Export, trained: TrainedModel, path: Path, examples: Split) -> tuple[float, float]:
    """Return the greatest difference, and the one that is allowed."""
    with network_explained(trained.path):
        expected = model_outputs(trained.model, trained.info.batch_size, examples)
    try:
        chosen.write(trained, path)
        found = chosen.outputs(path, trained, examples)
    except (KerasrunError, OSError):
        raise  # an error of the disk is explained by what puts the file in place
    except Exception as error:
        for full in (errno.ENOSPC, errno.EDQUOT):  # as TensorFlow's own errors have it
            if os.strerror(full) in str(error):
                raise OSError(full, os.strerror(full)) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(
            f"this model cannot be exported as {chosen.name}: {reason}; --format keras always can"
        ) from error
    if found.shape != expected.shape:
        raise ExportError(f"the {chosen.name} export gives outputs of shape {found.shape}, not {expected.shape}")
    difference = 0.0
    if not np.array_equal(found, expected, equal_nan=True):
        # NaN where only one of the two has it, so that no comparison passes.
        difference = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())
    return difference, chosen.tolerance * max(1.0, float(np.abs(expected).max()))


def _compared(difference: float, split: str, examples: int) -> str:
    return f"greatest difference from the model's own outputs on {examples} {split} examples: {difference:.2g}"


def _allowed(allowed: float) -> str:
    return f"allowed are {allowed:.2g}" if allowed else "none is allowed"
