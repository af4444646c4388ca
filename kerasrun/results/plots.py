"""Pictures of a run, its curves and the graph of its model; or of an experiment's network. Nothing opens a window."""

import html
import logging
import math
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kerasrun.engine.errors import network_explained
from kerasrun.errors import MissingProgramError, RunDirectoryError, UsageError
from kerasrun.model_file import TrainedModel
from kerasrun.report.figures import empty
from kerasrun.report.pages import rendered
from kerasrun.report.plain import curve_label, draw
from kerasrun.results.model import open_model, untrained
from kerasrun.results.network_drawing import network_drawing
from kerasrun.runs import atomic
from kerasrun.runs.directory import RunDirectory
from kerasrun.runs.metrics import Cell, Table
from kerasrun.stderr import plain
from kerasrun.text.problems import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger("kerasrun")

_LARGEST = 1e100
"""Values from here on are not drawn: no float32 is so large, and Matplotlib finds no ticks for them."""
_LONGEST = 200
"""How many characters of a name are drawn: Matplotlib takes seconds for tens of thousands."""
_MOST_CURVES = 24
"""How many metrics are drawn, each of which takes Matplotlib a quarter of a second or more."""
_PANELS_ACROSS = 3
_BINS = 500
"""How many stretches of a long curve are drawn by their least and greatest values: a panel is as many pixels wide."""

_SECONDS_OF_LAYOUT = 5
"""NASNetMobile takes one; a network of 60 layers, each connected to all before it, more than two minutes."""
_SECONDS_OF_DRAWING = 30
"""NASNetMobile takes 20 as PNG, whose pixels Graphviz bounds."""

_TAG = re.compile(r'(</?(?:table|tr|td|font|b)(?: [a-z-]+="\w+")*>)')
"""What Keras writes into the labels of a graph besides names and shapes, which it takes as they are."""


@dataclass(frozen=True)
class Drawing:
    """How pictures are drawn; the fields of the whole graph are arguments of `keras.utils.plot_model`."""

    file_format: Literal["png", "svg"] = "png"
    """Of the curves, and of the whole graph; the compact drawing is SVG."""
    full: bool = False
    """Whether Graphviz draws every layer of the network, with the arguments below."""
    show_shapes: bool = True
    show_layer_names: bool = True
    expand_nested: bool = False
    dpi: int = 200
    """Dots per inch of the model's graph."""


def plot_run(run: RunDirectory, drawing: Drawing = Drawing(), *, trust: bool = False) -> list[Path]:
    """Draw what can be drawn of a run; a network that cannot be drawn is left out, with a warning."""
    pictures = [plot_curves(run, drawing.file_format)]
    try:
        pictures.append(plot_model(run, drawing, trust=trust))
    except MissingProgramError as error:
        logger.warning("%s", error)
    return pictures


def plot_curves(run: RunDirectory, file_format: Literal["png", "svg"] = "png") -> Path:
    """Draw the columns of `metrics.csv` over the epochs, training and validation in one panel: `plots/curves.png`.

    Raises:
        RunDirectoryError: if no epoch is done.
    """
    rows = Table(run.metrics_file).rows()
    if not rows:
        raise RunDirectoryError(
            f"{run} has no curves: no epoch is done, or {run.metrics_file.name} was lost, which kerasrun resume "
            f"{run.quoted} puts back"
        )
    figure = curves(run.metrics_file, rows, _columns(run.metrics_file, rows))
    figure.suptitle(run.name)
    return save(figure, run.plots / f"curves.{file_format}")


def curves(
    table: Path,
    rows: Sequence[Mapping[str, Cell]],
    columns: Sequence[str],
    *,
    best: int | None = None,
    stage_ends: Sequence[int] = (),
) -> "Figure":
    """Draw columns of `metrics.csv` over the epochs, training and validation in one panel.

    Args:
        best: the best epoch, which is marked.
        stage_ends: the epochs with which stages end, which are marked too.
    """
    figure, panels = _panels(table, columns)
    for name, axes in panels.items():
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in rows[0]:
                axes.plot(*_points(rows, column), marker="o", markersize=3, label=label)
        if best is not None:
            axes.axvline(best, color="C2", linestyle=":", label=f"best epoch: {best}")
        if ends := [end + 0.5 for end in sorted(set(stage_ends))]:
            across = axes.get_xaxis_transform()
            axes.vlines(ends, 0, 1, transform=across, color="grey", linestyle="--", linewidth=1, label="next stage")
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend()
    return figure


def of_metrics(rows: Sequence[Mapping[str, Cell]]) -> list[tuple[str, list[str]]]:
    """Return each metric with its columns, of training and validation; without a learning rate that does not move."""
    columns = dict.fromkeys(name for row in rows for name in row if name != "epoch")
    if len({row.get("learning_rate") for row in rows}) == 1:
        columns.pop("learning_rate", None)
    names = list(dict.fromkeys(name.removeprefix("val_") for name in columns))
    return [(name, [one for one in (name, f"val_{name}") if one in columns]) for name in names]


def first_metrics(rows: Sequence[Mapping[str, Cell]]) -> tuple[list[tuple[str, list[str]]], int]:
    """Return the metrics that are drawn, as `of_metrics` does, and how many others there are."""
    metrics = of_metrics(rows)
    return metrics[:_MOST_CURVES], len(metrics[_MOST_CURVES:])


def _columns(table: Path, rows: Sequence[Mapping[str, Cell]]) -> list[str]:
    """Return the columns of a table that are drawn; a warning says how many are not."""
    metrics, others = first_metrics(rows)
    if others:
        logger.warning("%s: the curves of %s more metrics are not drawn", table, f"{others:,}")
    return [column for _, columns in metrics for column in columns]


def plot_together(runs: Sequence[RunDirectory], path: Path) -> Path:
    """Draw the curves of runs over each other, training dashed and validation drawn through, into a file.

    Raises:
        UsageError: if the file has another ending than .png or .svg.
        RunDirectoryError: if no run has an epoch.
    """
    if path.suffix not in (".png", ".svg"):
        raise UsageError(f"{path}: expected a file that ends in .png or .svg")
    tables = {run: rows for run in runs if (rows := Table(run.metrics_file).rows())}
    if not tables:
        raise RunDirectoryError(f"{' and '.join(map(str, runs))} have no curves: no epoch is done")
    columns = _columns(next(iter(tables)).metrics_file, [row for rows in tables.values() for row in rows])
    return save(curves_together(tables, columns), path.absolute())


def curves_together(tables: Mapping[RunDirectory, Sequence[Mapping[str, Cell]]], columns: Sequence[str]) -> "Figure":
    """Draw columns of the rows of runs, which have some, over each other."""
    figure, panels = _panels(next(iter(tables)).metrics_file, columns)
    for name, axes in panels.items():
        for number, (run, rows) in enumerate(tables.items()):
            color, label = f"C{number % 10}", curve_label(str(run)[-_LONGEST:])
            if f"val_{name}" in rows[0]:
                axes.plot(*_points(rows, f"val_{name}"), color=color, label=label)
                label = "_nolegend_"
            if name in rows[0]:
                axes.plot(*_points(rows, name), color=color, linestyle="--", linewidth=1, label=label)
    next(iter(panels.values())).legend()
    return figure


def _panels(table: Path, columns: Sequence[str]) -> "tuple[Figure, dict[str, Any]]":
    """Return a picture with a panel for each column of training."""
    names = list(dict.fromkeys(name.removeprefix("val_") for name in columns))
    if not names:
        raise RunDirectoryError(f"{table} has no columns that can be drawn")
    across = min(len(names), _PANELS_ACROSS)
    down = math.ceil(len(names) / across)
    figure = empty(5 * across, 3.7 * down)
    cells = figure.subplots(down, across, squeeze=False).ravel()
    for axes in cells[len(names) :]:
        axes.set_axis_off()
    panels = dict(zip(names, cells, strict=False))
    for name, axes in panels.items():
        axes.set(title=name[:_LONGEST], xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    return figure, panels


def _points(rows: Sequence[Mapping[str, Cell]], column: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the epochs at which a column has a value that can be drawn, and these values; of very many, those that
    can be seen."""
    known = [(row["epoch"], value) for row in rows if (value := row[column]) is not None and not abs(value) >= _LARGEST]
    epochs, values = np.array([epoch for epoch, _ in known], np.int64), np.array([value for _, value in known], float)
    places = _seen(values) if len(values) > 2 * _BINS else slice(None)
    return epochs[places], values[places]


def _seen(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the first and the last value, and of the least and the greatest of each stretch: spikes
    stay."""
    width = math.ceil(len(values) / _BINS)
    stretches = np.pad(values, (0, -len(values) % width), mode="edge").reshape(-1, width)
    is_gap = np.isnan(stretches)
    least, greatest = np.where(is_gap, np.inf, stretches).argmin(1), np.where(is_gap, -np.inf, stretches).argmax(1)
    begins = np.arange(len(stretches)) * width
    return np.unique(np.concatenate([[0, len(values) - 1], begins + least, begins + greatest]))


def plot_model(run: RunDirectory, drawing: Drawing = Drawing(), *, trust: bool = False) -> Path:
    """Draw the layers of `best.keras`: `plots/model.svg`, or all of them as a graph, `plots/model.png`.

    Raises:
        MissingProgramError: if Graphviz's `dot`, which the graph needs, is not installed, or not configured, or takes
            too long; if the network is too large for a compact drawing.
    """
    _require_dot(drawing)
    return _draw(open_model(run.best_model, "cpu", trust=trust), drawing, run.plots / "model")


def plot_experiment(
    file: str | Path, drawing: Drawing = Drawing(), *, overrides: Sequence[str] = (), trust: bool = False
) -> Path:
    """Draw the layers of an experiment's network before it is trained: `<experiment>-model.svg` here, or `.png`.

    Raises:
        KerasrunError: as `plot_model`, and as `train` up to the first batch.
    """
    _require_dot(drawing)
    model = untrained(file, overrides, trust=trust)
    return _draw(model, drawing, Path(f"{model.info.experiment}-model"))


def _require_dot(drawing: Drawing) -> None:
    if drawing.full and shutil.which("dot") is None:
        raise MissingProgramError(
            "the whole graph of the model needs Graphviz's dot, which is not installed: apt install graphviz, or "
            "brew install graphviz. Everything else works without it; kerasrun summary lists the layers as text"
        )


def _draw(trained: TrainedModel, drawing: Drawing, stem: Path) -> Path:
    path = stem.with_name(f"{stem.name}.{drawing.file_format if drawing.full else 'svg'}")
    if not drawing.full:
        with network_explained(trained.path):
            network = network_drawing(trained.model)
        if network is None:
            raise MissingProgramError("the network has too many layers for a compact drawing; kerasrun plot --full")
        atomic.write_text(path, rendered("kerasrun.results", "_network.html", network=network, alone=True))
        return path
    import keras

    options = {key: value for key, value in vars(drawing).items() if key not in ("file_format", "full")}
    with network_explained(trained.path), atomic.replacing(path) as private:
        graph = keras.utils.model_to_dot(trained.model, show_layer_activations=True, **options)
        _leave_no_markup(graph)
        _run_dot(graph.to_string(), private, drawing.file_format)
    return path


def _run_dot(graph: str, file: Path, file_format: str) -> None:
    """Have Graphviz draw a graph; where its parts go is found first, whose time grows without bound."""
    laid_out = _output_of_dot(["-Tdot"], graph.encode(), _SECONDS_OF_LAYOUT, file_format)
    _output_of_dot(["-Knop2", f"-T{file_format}", "-o", str(file)], laid_out, _SECONDS_OF_DRAWING, file_format)


def _output_of_dot(arguments: list[str], graph: bytes, seconds: float, file_format: str) -> bytes:
    """Run Graphviz's dot; not by pydot, which would wait for it without an end."""
    try:
        done = subprocess.run(["dot", *arguments], input=graph, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise MissingProgramError(
            f"Graphviz's dot did not draw the model within {seconds} s: it has very many layers or connections. "
            "kerasrun summary lists the layers as text"
        ) from error
    if done.returncode != 0:
        raise MissingProgramError(
            f"Graphviz's dot cannot write {file_format.upper()}: {_first_line(done.stderr)}; if it is newly installed, "
            "configure it with: dot -c. kerasrun summary lists the layers as text"
        )
    return done.stdout


def _first_line(told: bytes) -> str:
    return shown(told.decode(errors="replace").partition("\n")[0])


def _leave_no_markup(graph: Any) -> None:
    """Show names in a model as text: as markup of Graphviz, they would draw any picture file."""
    for node in graph.get_nodes():
        if label := node.get("label"):
            parts = _TAG.split(label[1:-1])
            parts[::2] = map(_escaped, parts[::2])
            node.set("label", f"<{''.join(parts)}>")
    for nested in graph.get_subgraphs():
        nested.set("label", _escaped(nested.get("label")))
        nested.set_name(f"cluster_{id(nested.obj_dict)}")
        _leave_no_markup(nested)


def _escaped(text: str) -> str:
    # Beside what is markup in HTML, what ends or begins a field of a record.
    return re.sub(r"[\\|{}]", lambda found: f"&#{ord(found[0])};", html.escape(plain(text)))


def save(figure: "Figure", path: Path) -> Path:
    """Write a picture in the form that the name's suffix says."""
    with atomic.replacing(path) as private:
        draw(figure, private, dpi=120)
    return path
