"""The self-contained `.keras` file: network, preprocessing, classes and how an image becomes its input.

A `.keras` file is a zip (https://keras.io/api/models/model_saving_apis/model_saving_and_loading/); ours has one entry
more, `kerasrun.json`, which `keras.models.load_model` passes over.
"""

import copy
import errno
import io
import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from kerasrun import plugins
from kerasrun.errors import ModelFileError
from kerasrun.keras_configs import Architecture, refusal
from kerasrun.models.base import sentence
from kerasrun.network_size import weights_within
from kerasrun.reading.archives import check_weights_in, damaged_entry, opened_archive, read_text
from kerasrun.reading.data import ArrayForm, ImageFormat, LabelKind, RowFormat
from kerasrun.report.predictions import Question
from kerasrun.report.values import OutputKind, Threshold
from kerasrun.tasks.arrays import Arrays, require_form
from kerasrun.tasks.base import OutputPart, Task, task_named, task_names
from kerasrun.tasks.several_outputs import SeveralOutputs
from kerasrun.text import json_text
from kerasrun.text.problems import shown
from kerasrun.version import VERSION

ENTRY = "kerasrun.json"
FORMAT_VERSION = 2
_MOST_PIXELS = 89_478_485
"""Images are made no larger than those that are read at all."""
_LARGEST_FLOAT32 = 2.0**128 - 2.0**104
Size = Annotated[int, Interval(ge=1, le=2**24)]


@dataclass(frozen=True)
class ModelInfo:
    """What a model file knows beside the network."""

    classes: tuple[str, ...]
    """Names of the classes, or of the columns of other labels, as in `Data`."""
    image_format: ImageFormat | None
    """How an image becomes an input; None where examples are not images."""
    batch_size: Size
    """Rows of every batch in evaluation and prediction; part of the file because bits depend on it."""
    outputs: OutputKind
    """What the network's outputs are, and so what makes probabilities of them."""
    experiment: str
    epoch: Annotated[int, Interval(ge=0, le=2**53)]
    """Epochs of training behind these weights."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The logs of that epoch."""
    label_kind: LabelKind = "classes"
    """What the outputs stand for."""
    row_format: RowFormat | None = None
    """How a row of a text file becomes an input; None where examples come from elsewhere."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """The plugins without which the network cannot be loaded: file name → sha256. Their code is not in the file."""
    parts: tuple[OutputPart, ...] = ()
    """The outputs in their order, where the network has several."""
    array_form: ArrayForm | None = None
    """How the arrays that the network makes are those of the data; None where it makes something else."""
    deterministic: bool = True
    """Whether training and evaluation computed with deterministic operations, as prediction then does."""
    threshold: Threshold | None = None
    """The threshold that was kept, by which evaluation and prediction decide; None for a half."""
    kerasrun: str = VERSION

    @property
    def task(self) -> Task:
        """The task of the outputs."""
        if self.parts:
            return SeveralOutputs(self.parts)
        return Arrays(self.array_form) if self.array_form else task_named(self.label_kind)

    def question(self, threshold: Threshold | None = None, **more: Any) -> Question:
        """Return what is asked of the outputs, by default with the threshold that the file keeps."""
        return Question(self.classes, self.outputs, self.threshold if threshold is None else threshold, **more)


@dataclass(frozen=True)
class TrainedModel:
    """A model file that was loaded."""

    path: Path
    model: Any
    info: ModelInfo
    trusted: bool = False
    """Whether code that it brings may be run."""


@dataclass(frozen=True)
class CheckedFile:
    """A model file that may be loaded."""

    path: Path
    info: ModelInfo
    numbers: int
    """How many its weights are."""
    plugins: Sequence[tuple[Path, bytes]]
    """Those that it needs, with their content."""
    trusted: bool


def save(model: Any, info: ModelInfo, path: Path) -> None:
    """Write model and info to `path`, which must end in `.keras`."""
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        _write_info(archive, info)


def save_weights(model: Any, path: Path) -> None:
    """Write the weights alone, as `Model.save_weights` does; HDF5 itself crashes where it cannot write to the disk."""
    from keras.src.saving.saving_lib import H5IOStore, _save_state

    buffer = io.BytesIO()
    store = H5IOStore(buffer, mode="w")
    _save_state(model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set())
    store.close()
    path.write_bytes(buffer.getbuffer())


def save_h5(model: Any, path: Path) -> None:
    """Write a model as Keras's older file; as `save_weights`."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        save_model_to_hdf5(model, file)
    path.write_bytes(buffer.getbuffer())


def _write_info(archive: zipfile.ZipFile, info: ModelInfo) -> None:
    text = json.dumps({"format": FORMAT_VERSION, **asdict(info)}, indent=2)
    archive.writestr(zipfile.ZipInfo(ENTRY), text)  # without the time, which before 1980 no archive can have


def copy_with(info: ModelInfo, source: Path, path: Path) -> None:
    """Write what is in a model file, which was just read, to `path`, with another info; an OSError is not explained."""
    with opened_archive(source) as before, zipfile.ZipFile(path, "w") as after:
        for entry in before.infolist():
            if entry.filename != ENTRY:
                # A copy, because what is written gets a place of its own.
                with before.open(entry) as old, after.open(copy.copy(entry), "w") as new:
                    shutil.copyfileobj(old, new)
        _write_info(after, info)


def load(path: Path, plugin_files: Sequence[Path] = (), *, trust: bool = False) -> tuple[Any, ModelInfo]:
    """Read the model, not compiled, and what the file knows of it; arguments and errors as of `check` and `build`."""
    trained = build(check(path, plugin_files, trust=trust))
    return trained.model, trained.info


def check(path: Path, plugin_files: Sequence[Path] = (), *, trust: bool = False) -> CheckedFile:
    """Look through a file, and find its plugins; Keras is not imported.

    Args:
        plugin_files: plugins that the network needs; those of a model in a run directory are found there.
        trust: whether code in the file, and of its run, may be run.

    Raises:
        ModelFileError: if the file is missing, damaged, of a newer format, was not written by kerasrun, or holds code,
            or if a plugin is not there.
        PluginError: if a plugin is not what it was, or is not known (see `known_plugins`).
    """
    with _opened(path) as archive:
        info = _info(_entry(archive, path), path)
        config = _config(archive, path)
        try:
            numbers = check_weights_in(archive)
        except MemoryError:
            raise
        except Exception as error:  # of a damaged file h5py raises anything
            raise ModelFileError(f"{path}: its weights cannot be read: {error}") from error
    found = plugins.find_for(path, info.plugins, plugin_files, trust=trust)
    if not trust and (why := refusal(config, path)):
        raise ModelFileError(why)
    _require_shapes(info, _input_shapes(config, path), path)
    return CheckedFile(path, info, numbers, found, trust)


def build(checked: CheckedFile) -> TrainedModel:
    """Build the network of a file that was just checked.

    Raises:
        ModelFileError: if Keras cannot build it, or it is not what the file says of it.
        PluginError: if a plugin fails.
    """
    path, info = checked.path, checked.info
    plugins.load_for(checked.plugins)
    import keras

    most = math.inf if info.plugins else checked.numbers  # a layer of a plugin may save what it likes
    with _temporary_files_removed():
        try:
            with weights_within(most):
                model = keras.models.load_model(path, compile=False, safe_mode=not checked.trusted)
        except MemoryError:
            raise
        except Exception as error:  # Keras believes a config, and fails in every way where it is wrong
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                folder = Path(tempfile.gettempdir()).parent
                raise ModelFileError(
                    f"{path}: no room in {folder}, where Keras unpacks it; free some space, or set TMPDIR"
                ) from error
            raise ModelFileError(f"{path}: Keras cannot load this model: {sentence(error)}") from error
    if not isinstance(model, keras.Model):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}; expected a network")
    shapes = [tuple(output.shape) for output in model.outputs]
    if not _fits(shapes, info):
        raise ModelFileError(
            f"{path}: {ENTRY} inside it is damaged: it names {info.task.about(len(info.classes))}, for which "
            f"the outputs of the network, {', '.join(map(str, shapes))}, are not made"
        )
    return TrainedModel(path, model, info, checked.trusted)


@contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Remove the files that Keras unpacks in the block, which stay in the temporary folder where that fails."""
    with tempfile.TemporaryDirectory(prefix="kerasrun-model-") as private:
        before, tempfile.tempdir = tempfile.tempdir, private
        try:
            yield
        finally:
            tempfile.tempdir = before


def needed_plugins(model: Any) -> dict[str, str]:
    """The plugins in use that a model has layers of: file name → sha256."""
    used = plugins.in_use()
    if not used:
        return {}
    config = json.dumps(model.get_config(), default=str)
    return {one.path.name: one.sha256 for one in used if f'"{one.module}"' in config}


def read_info(path: Path) -> ModelInfo:
    """What the file knows beside the network; Keras is not imported.

    Raises:
        ModelFileError: as `check`.
    """
    with _opened(path) as archive:
        return _info(_entry(archive, path), path)


def read_input_shape(path: Path) -> tuple[int, ...]:
    """Shape of one example as the network takes it, from the file's text; Keras is not imported.

    Raises:
        ModelFileError: if the file cannot be read, or does not say.
    """
    with _opened(path) as archive:
        return _input_shapes(_config(archive, path), path)[0]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if path.suffix != ".keras":  # Keras would read the file by its name: as HDF5, whatever else it is
        raise ModelFileError(f"{path}: expected a file whose name ends in .keras, as kerasrun writes it")
    try:
        with opened_archive(path) as archive:
            yield archive
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path}: a folder, not a model file; name the .keras file in it") from None
    except (zipfile.BadZipFile, OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: not a readable .keras file: {error}") from error


def _entry(archive: zipfile.ZipFile, path: Path) -> bytes:
    if damaged := damaged_entry(archive):
        raise ModelFileError(f"{path}: damaged: {damaged} inside it has not its checksum or size")
    if ENTRY not in archive.namelist():
        raise ModelFileError(
            f"{path}: a Keras model that kerasrun did not write: it does not say which classes and which image "
            "size it was trained with; take best.keras or last.keras of a run"
        )
    return read_text(archive, ENTRY)


def _config(archive: zipfile.ZipFile, path: Path) -> Any:
    try:
        return json_text.parse(read_text(archive, "config.json"))
    except (ValueError, KeyError) as error:
        raise ModelFileError(f"{path}: its network cannot be read: {error}") from error


def _input_shapes(config: Any, path: Path) -> list[tuple[int, ...]]:
    """Return the shapes of an example's inputs, images first."""
    try:
        layers = json_text.checked(Architecture, config)["config"]["layers"]
        inputs = [layer["config"]["batch_shape"][1:] for layer in layers if layer["class_name"] == "InputLayer"]
        if not inputs:
            raise KeyError("InputLayer")
        return sorted((tuple(json_text.checked(list[Size], shape)) for shape in inputs), key=len, reverse=True)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelFileError(f"{path}: does not say what shape its input has: {error!r}") from error


def _require_shapes(info: ModelInfo, shapes: Sequence[tuple[int, ...]], path: Path) -> None:
    """Refuse a file of which images or rows become examples of other shapes than its network takes."""
    made: list[tuple[int | None, ...]] = []
    if info.image_format:
        made.append((info.image_format.height, info.image_format.width, None))
    if info.row_format:
        made.append((sum(one.width for one in info.row_format.columns) or len(info.row_format.features),))
    alike = len(made) == len(shapes) and all(
        len(one) == len(shape) and all(side in (None, there) for side, there in zip(one, shape, strict=True))
        for one, shape in zip(made, shapes, strict=True)
    )
    if not (alike if made else len(shapes) == 1):
        expected, received = (
            " and ".join(" × ".join(str(side) for side in one if side is not None) for one in several)
            for several in (made, shapes)
        )
        raise ModelFileError(
            f"{path}: {ENTRY} inside it is damaged: it makes examples of {expected or 'one input'}, but its network "
            f"takes {received}"
        )


def _info(entry: bytes, path: Path) -> ModelInfo:
    try:
        content = json_text.parse(entry)
    except ValueError as error:
        raise ModelFileError(f"{path}: {ENTRY} inside it is damaged: it {error}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: format {shown(version)} of {ENTRY}, but this kerasrun ({VERSION}) reads format {FORMAT_VERSION}; "
            "use the version that wrote it"
        )
    try:
        info = json_text.checked(ModelInfo, entry)
        if info.row_format:
            _require_rows(info.row_format)
            if (info.row_format.image is None) != (info.image_format is None):
                raise ValueError("row_format.image: expected the column of the images, where there are some")
        if unknown := {info.label_kind, *(part.label_kind for part in info.parts)} - set(task_names()):
            raise ModelFileError(
                f"{path}: {ENTRY} inside it names a task that this kerasrun does not have: {shown(min(unknown))}"
            )
        if info.array_form or info.task.blends:
            require_form(info.array_form, len(info.classes))
        if info.image_format and info.image_format.height * info.image_format.width > _MOST_PIXELS:
            raise ValueError(f"image_format: expected at most {_MOST_PIXELS:,} pixels")
    except ValueError as error:
        raise ModelFileError(f"{path}: {ENTRY} inside it is damaged: {error}") from error
    if info.threshold is not None and not _can_decide(info, info.threshold):
        raise ModelFileError(
            f"{path}: {ENTRY} inside it is damaged: threshold: expected what decides of {len(info.classes)} "
            f"{info.task.counted}, received {shown(info.threshold)}"
        )
    return info


def _can_decide(info: ModelInfo, threshold: Threshold) -> bool:
    """Return whether a threshold is one of this model's answers."""
    if info.task.without_threshold(len(info.classes), info.outputs):
        return False
    if isinstance(threshold, tuple):
        return info.task.together and len(threshold) == len(info.classes) and all(0 <= one <= 1 for one in threshold)
    return 0 <= threshold <= 1


def _fits(outputs: Sequence[tuple[int | None, ...]], info: ModelInfo) -> bool:
    """Return whether outputs of these shapes are those of the task on these classes."""
    task, names, units = info.task, len(info.classes), sum(shape[-1] or 0 for shape in outputs)
    if info.array_form:
        return [shape[1:] for shape in outputs] == [info.array_form.shape]
    ranks = (3, 4) if task.per_pixel else (2,)
    if any(len(shape) not in ranks for shape in outputs):
        return False
    for part in info.parts:
        if part.task.per_pixel or isinstance(part.task, SeveralOutputs) or part.columns < 1 + part.task.one_class:
            return False
    if info.parts and sum(part.columns for part in info.parts) != names:
        return False
    if task.one_class and names < 2:
        return False
    return units == names or ((task.one_class or task.per_pixel) and (units, names) == (1, 2))


def _require_rows(form: RowFormat) -> None:
    """Raise a ValueError unless an experiment can have rows of this form."""
    from kerasrun.sources.csv import WHITESPACE, Csv

    if len(form.columns) not in (0, len(form.features)):
        raise ValueError(f"row_format.columns: expected one for each of {len(form.features)} features")
    if not form.features or not (form.header or all(map(_is_number, (*form.features, *form.labels)))):
        raise ValueError("row_format.features: expected names of columns, or their numbers where there is no header")
    if form.delimiter is not None and len(form.delimiter) != 1:
        raise ValueError(f"row_format.delimiter: expected one character, received {shown(form.delimiter)}")
    if not all(abs(one.mean) <= _LARGEST_FLOAT32 for one in form.columns):
        raise ValueError("row_format.columns: expected finite means (as float32)")
    dates = [one for one in form.columns if one.kind == "date"]
    if any(datetime.fromisoformat(one.first).tzinfo for one in dates):
        raise ValueError("row_format.columns: expected the first date without a time zone")
    keys = {key: getattr(form, key) for key in ("header", "encoding", "decimal", "thousands")}
    keys["delimiter"] = WHITESPACE if form.delimiter is None else form.delimiter
    keys["columns"] = {str(place): one.form for place, one in enumerate(dates) if one.form}
    json_text.checked(Csv, {"train": Path(), "label": 0, **keys})


def _is_number(name: str) -> bool:
    return name.isdecimal() and len(name) < 10
