"""`export`: a run's model in another form, tried at once on examples of the run's data."""

import contextlib
import errno
import importlib.util
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasrun.engine.errors import network_explained
from kerasrun.errors import ExportError, KerasrunError, MissingProgramError, ModelError, UsageError
from kerasrun.exports.base import Export, formats, model_outputs
from kerasrun.exports.tflite import Quantize, Tflite, chunks, times_faster, write_quantized
from kerasrun.model_file import TrainedModel
from kerasrun.models._architecture import read_architecture
from kerasrun.pipeline.selection import spread
from kerasrun.reading.data import Data, Split
from kerasrun.regular_files import read_bytes
from kerasrun.report.plain import to_json
from kerasrun.report.scores import shown
from kerasrun.results.evaluation import chosen as chosen_split
from kerasrun.results.recorded import read_recorded
from kerasrun.run_files import RunFile
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory, model_of, open_run
from kerasrun.stderr import plain
from kerasrun.text.problems import listed

EXAMPLES = 100
"""How many examples an export is compared with the model on."""
CALIBRATION = 200
"""How many training examples int8's ranges are measured on; LiteRT asks for 100 to 500."""
MAX_DROP = 0.5
_JUDGED = ("accuracy", "mean_iou", "macro_f1", "r2")
"""Scores of which the larger is the better, and 1 the best."""


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


@dataclass(frozen=True)
class QuantizedReport:
    """How good an export with smaller numbers is, measured with its own runtime."""

    path: str
    format: str
    quantize: Quantize
    split: str
    examples: int
    score: str
    """The score that is compared: the first of these that suits the labels: accuracy, mean IoU, F1 over labels, R²."""
    before: float
    """Of the model."""
    after: float
    """Of the export."""
    bytes: int
    times_smaller: float
    """Than the export as float32."""
    times_faster: float
    """The same, on this machine, one example at a time."""

    def to_json(self) -> str:
        return to_json(asdict(self))

    def to_text(self) -> str:
        scores = f"{self.score} on {self.examples} {self.split} examples: {shown(self.before)} → {shown(self.after)}"
        return (
            f"{self.path}\n{scores}, {self.times_smaller:.1f} × smaller than as float32, "
            f"{self.times_faster:.1f} × as fast on this machine"
        )


def export(
    run: RunDirectory | str | Path,
    format: str,
    *,
    output: str | Path | None = None,
    last: bool = False,
    quantize: Quantize | None = None,
    max_drop: float = MAX_DROP,
    overrides: Sequence[str] = (),
    trust: bool = False,
) -> ExportReport | QuantizedReport:
    """Write a run's model in another form, and run what was written beside the model.

    Args:
        format: one of `formats()`.
        output: the file, or the folder where the format writes one; by default in the run's folder `exports`.
        last: take `last.keras`, not `best.keras`.
        quantize: `int8`, `float16` or `dynamic`, of `tflite` alone: smaller numbers, calibrated on training examples.
            What was written is measured on the test split where there is one, else on that which validates.
        max_drop: by how many hundredths its score may be worse than the model's.
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
    if quantize and not isinstance(chosen, Tflite):
        raise UsageError(f"--quantize makes smaller numbers of tflite; --format {format} keeps them as they are")
    output = None if output is None else Path(output)
    _check_name(chosen, output)
    _check_packages(chosen)
    path = model_of(run, last=last)
    recorded = read_recorded(run, overrides, trust=trust)
    _check_precision(chosen, recorded.experiment.precision)
    data = recorded.open_data()
    trained = recorded.open_model(path, trust=trust)
    recorded.compare(data, trained.info)
    stem = f"{recorded.experiment.name}.{quantize}" if quantize else recorded.experiment.name
    target = output or run.below(RunFile.EXPORTS, f"{stem}{chosen.suffix}")
    shown_path = f"{run}/{target.relative_to(run.root)}" if output is None else str(output)
    if chosen.suffix:
        written = atomic.replacing(target)
    else:
        written = atomic.replacing_folder(target, atomic.private_name(target))
    labels = _labels(chosen, trained, target, is_asked_for=output is not None)
    report: ExportReport | QuantizedReport
    with contextlib.redirect_stdout(sys.stderr), written as private:
        if quantize:
            report = _quantized(quantize, trained, data, private, shown_path)
            if not 100 * (report.before - report.after) <= max_drop:
                raise ExportError(
                    f"{target} is not kept: {report.score} drops from {shown(report.before)} to {shown(report.after)}, "
                    f"and --max-drop {max_drop:g} allows {max_drop:g} hundredths"
                )
        else:
            report = _exact(chosen, trained, data, private, shown_path)
        if labels:  # before the export is in place, which would be there without them
            atomic.write_bytes(labels, _lines(trained.info.classes))
    return report


def _lines(classes: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in map(plain, classes)).encode()


def _exact(chosen: Export, trained: TrainedModel, data: Data, private: Path, shown_path: str) -> ExportReport:
    """Write the model, and compare what it computes then.

    Raises:
        ExportError: if it cannot be written, or the outputs differ.
    """
    examples = spread(data.splits.get("validation", data.splits["train"]), EXAMPLES)
    split = "validation" if "validation" in data.splits else "training"
    difference, allowed = _write_and_compare(chosen, trained, private, examples)
    if not difference <= allowed:
        raise ExportError(
            f"{shown_path} is not kept: {_compared(difference, split, len(examples))}, and {_allowed(allowed)}"
        )
    return ExportReport(shown_path, chosen.name, split, len(examples), difference, allowed)


def _quantized(
    quantize: Quantize, trained: TrainedModel, data: Data, private: Path, shown_path: str
) -> QuantizedReport:
    """Write the model with smaller numbers, and measure it with its own runtime.

    Raises:
        UsageError: if its labels have no score that could be compared.
    """
    from kerasrun.engine.evaluator import Predictor

    split, info = chosen_split(data.splits, None), trained.info

    def score(outputs: Iterable[NDArray[np.float32]]) -> dict[str, float]:
        scorer = info.task.scorer(split, info.question())
        for chunk in outputs:
            scorer.add(chunk)
        known = scorer.scores().headline
        return {name: value for name in _JUDGED if (value := known.get(name)) is not None}

    with network_explained(trained.path), tempfile.TemporaryDirectory() as folder:
        predictor = Predictor(trained.model, info.batch_size)
        batches = predictor.batches(split.inputs, tuple(split.others.values()))
        before = score(outputs for outputs, *_ in predictor.chunks_of(batches, len(split)))
        if not before:
            raise UsageError(f"--quantize compares {', '.join(_JUDGED)}; this model has none of them")
        whole = Path(folder, f"whole{Tflite.suffix}")
        with _explained("tflite"):
            Tflite().write(trained, whole)
            write_quantized(trained, private, quantize, spread(data.splits["train"], CALIBRATION))
            after = score(chunks(private, trained, split))
        name, size = next(iter(before)), private.stat().st_size
        return QuantizedReport(
            *(shown_path, "tflite", quantize, split.name, len(split), name, before[name], after.get(name, math.nan)),
            bytes=size,
            times_smaller=whole.stat().st_size / size,
            times_faster=times_faster(private, whole, trained, split),
        )


def _labels(chosen: Export, trained: TrainedModel, target: Path, *, is_asked_for: bool) -> Path | None:
    """Return where the names of the classes are written, as programs for phones read them; None where they are not.

    Raises:
        UsageError: if something of another content is there, in a folder that is not the run's own.
    """
    if not isinstance(chosen, Tflite) or not (trained.info.task.one_class or trained.info.task.together):
        return None
    file = target.with_name("labels.txt")
    if is_asked_for and file.exists() and not _holds(file, _lines(trained.info.classes)):
        raise UsageError(f"{file} is there, and is written beside a tflite; expected another folder")
    return file


def _holds(path: Path, content: bytes) -> bool:
    """Return whether this is a file of this content, and not a pipe, a folder, or what cannot be read."""
    try:
        return read_bytes(path) == content
    except OSError:
        return False


def _check_name(chosen: Export, output: Path | None) -> None:
    if output is None:
        return
    if output.name in ("", ".."):
        raise UsageError(f"--output {output}: expected the name of a file or folder, which may be new")
    if not output.name.endswith(chosen.suffix):
        raise UsageError(f"--output {output}: expected a name that ends in {chosen.suffix}")
    if chosen.suffix and output.is_dir():
        raise UsageError(f"--output {output}: is a folder; expected the name of a file")
    if _is_of_run(output):
        raise UsageError(f"--output {output}: is the run's own file; expected another name, such as one in its exports")
    if output.exists() and not _may_be_older(chosen, output):
        raise UsageError(
            f"--output {output}: is there, and is not an older export as {chosen.name}; expected a new name, or "
            "such an export"
        )


def _is_of_run(output: Path) -> bool:
    """Return whether kerasrun writes this file into a run for itself."""
    path = output.parent.resolve() / output.name
    runs = (folder for folder in path.parents if (folder / RunFile.RUN).is_file())
    return any(path.relative_to(run).parts[0] in set(RunFile) - {RunFile.EXPORTS} for run in runs)


def _may_be_older(chosen: Export, output: Path) -> bool:
    """Return whether what is there may be an export of this format: text may be an experiment, or anything else."""
    if not chosen.suffix:
        return (output / chosen.mark).exists()
    if chosen.suffix not in (".json", ".yaml"):
        return True
    try:
        read_architecture(output)
    except ModelError:
        return False
    return True


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
    with _explained(chosen.name):
        chosen.write(trained, path)
        found = chosen.outputs(path, trained, examples)
    if found.shape != expected.shape:
        raise ExportError(f"the {chosen.name} export gives outputs of shape {found.shape}, not {expected.shape}")
    difference = 0.0
    if not np.array_equal(found, expected, equal_nan=True):
        # NaN where only one of the two has it, so that no comparison passes.
        difference = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())
    return difference, chosen.tolerance * max(1.0, float(np.abs(expected).max()))


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Raise as an `ExportError` what a format's own libraries raise."""
    try:
        yield
    except (KerasrunError, OSError):
        raise  # an error of the disk is explained by what puts the file in place
    except Exception as error:
        for full in (errno.ENOSPC, errno.EDQUOT):  # as TensorFlow's own errors have it
            if os.strerror(full) in str(error):
                raise OSError(full, os.strerror(full)) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(f"this model cannot be exported as {name}: {reason}; --format keras always can") from error


def _compared(difference: float, split: str, examples: int) -> str:
    return f"greatest difference from the model's own outputs on {examples} {split} examples: {difference:.2g}"


def _allowed(allowed: float) -> str:
    return f"allowed are {allowed:.2g}" if allowed else "none is allowed"
