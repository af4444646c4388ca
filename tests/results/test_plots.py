"""Pictures and summaries of runs and experiments."""

import math
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from kerasrun import cli
from kerasrun.errors import MissingProgramError, RunDirectoryError, UsageError
from kerasrun.results import plots
from kerasrun.results.model import open_model, summarize, untrained
from kerasrun.runs.directory import create

pytestmark = pytest.mark.tensorflow
CONFIGS = Path(__file__).parents[2] / "configs"
PNG_SIGNATURE = b"\x89PNG"
FULL = plots.Drawing(full=True)
RATES = ((0.1, 0), (0.1, 1))


def test_curves_are_drawn(run):
    assert plots.plot_curves(run).read_bytes().startswith(PNG_SIGNATURE)


def test_a_run_without_an_epoch_has_no_curves(tmp_path):
    with pytest.raises(RunDirectoryError, match="no epoch is done"):
        plots.plot_curves(create(tmp_path, "new"))


@pytest.mark.long
def test_without_graphviz_the_message_names_the_package_and_curves_are_drawn(run, monkeypatch, caplog):
    monkeypatch.setattr(plots.shutil, "which", lambda program: None)
    with pytest.raises(MissingProgramError, match="apt install graphviz"):
        plots.plot_model(run, FULL)
    with caplog.at_level("WARNING", "kerasrun"):
        assert [path.name for path in plots.plot_run(run, FULL)] == ["curves.png"]
    assert "graphviz" in caplog.text
    assert [path.name for path in plots.plot_run(run)] == ["curves.png", "model.svg"]


def test_the_compact_drawing_is_a_picture_by_itself(run):
    svg = ElementTree.fromstring(plots.plot_model(run).read_text(encoding="utf-8"))
    assert (svg.tag, svg.get("width")) == ("{http://www.w3.org/2000/svg}svg", "612")
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "Conv2D 6 5×5 relu" in texts
    assert len(svg.findall("{http://www.w3.org/2000/svg}rect")) == len(texts) / 2


def test_a_network_too_large_for_a_compact_drawing_is_left_out(run, monkeypatch, caplog):
    monkeypatch.setattr(plots, "network_drawing", lambda model: None)
    with caplog.at_level("WARNING", "kerasrun"):
        assert [path.name for path in plots.plot_run(run)] == ["curves.png"]
    assert "kerasrun plot --full" in caplog.text


def test_curves_are_in_rows_and_a_learning_rate_that_stays_is_left_out():
    rows = [{"epoch": one, "loss": 1.0, "val_loss": 2.0, "a": 1.0, "b": 1.0, "c": 1.0} for one in (1, 2)]
    same, moved = ([{**row, "learning_rate": rate * row["epoch"] ** power} for row in rows] for rate, power in RATES)
    assert [name for name, _ in plots.of_metrics(same)] == ["loss", "a", "b", "c"]
    assert plots.of_metrics(moved)[0] == ("loss", ["loss", "val_loss"])
    assert plots.of_metrics(moved)[-1] == ("learning_rate", ["learning_rate"])
    figure = plots.curves(Path("metrics.csv"), rows, ["loss", "a", "b", "c"])
    assert tuple(figure.get_size_inches()) == (15, 7.4)


def test_curves_are_drawn_as_svg(run):
    path = plots.plot_curves(run, "svg")
    assert path.name == "curves.svg"
    assert "<svg" in path.read_text(encoding="utf-8")


@pytest.fixture
def written(monkeypatch):
    """Graphviz's part, without Graphviz: the graphs that it was handed, as text."""
    graphs = []

    def draw(graph, file, file_format):
        graphs.append(graph)
        file.write_text(f"<{file_format}>")

    monkeypatch.setattr(plots.shutil, "which", lambda program: "dot")
    monkeypatch.setattr(plots, "_run_dot", draw)
    return graphs


def test_what_the_graph_shows_is_what_was_asked_for(run, written):
    path = plots.plot_model(run, plots.Drawing("svg", full=True, show_shapes=False, dpi=50))
    assert (path.name, path.read_text()) == ("model.svg", "<svg>")
    assert "dpi=50" in written[0]
    assert "<b>conv1</b> (Conv2D)" in written[0]
    assert "shape:" not in written[0]


def test_names_in_a_model_are_no_markup_of_graphviz(written, tmp_path):
    """With a tag, Graphviz would draw any picture of this machine; with a quote or `\\`, take other attributes;
    with a bar or a brace, more boxes."""
    import keras

    dense = keras.layers.Dense(1, name='<IMG SRC="x">')
    nested = keras.Sequential([keras.Input((3,)), dense], name="<<IMG SRC=x>>")
    other = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name='"; image="x\\|{y}')
    model = keras.Sequential([keras.Input((3,)), nested, other])
    for expand in (False, True):
        drawing = plots.Drawing("svg", full=True, expand_nested=expand)
        plots._draw(SimpleNamespace(model=model, path=tmp_path), drawing, tmp_path / "model")
    assert not any(sign in text for text in written for sign in ("<IMG", 'image="', "x\\", "|", "{y"))
    assert "&lt;IMG SRC=&quot;x&quot;&gt;" in written[1]


@pytest.mark.skipif(plots.shutil.which("dot") is None, reason="Graphviz is not installed")
def test_the_model_is_drawn(run):
    assert plots.plot_model(run, FULL).read_bytes().startswith(PNG_SIGNATURE)


def test_the_summary_lists_layers_parameters_and_classes(run):
    text = summarize(open_model(run.best_model, "cpu"))
    assert "61,706" in text
    assert "conv1" in text
    assert "classes: 0, 1, 2" in text


def test_a_dot_that_is_not_configured_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "dot").write_text("#!/bin/sh\necho 'Format: \"png\" not recognized' >&2\nexit 1\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(MissingProgramError, match=r"cannot write PNG: 'Format: .* not recognized'.*dot -c"):
        plots.plot_model(run, FULL)


@pytest.mark.parametrize(("limit", "waits"), [("_SECONDS_OF_LAYOUT", "-Tdot"), ("_SECONDS_OF_DRAWING", "-Knop2")])
def test_a_dot_that_does_not_end_is_not_waited_for(limit, waits, tmp_path, monkeypatch):
    (tmp_path / "dot").write_text(f"#!/bin/sh\n[ $1 != {waits} ] || exec sleep 100\nexec cat\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(plots, limit, 0.1)
    with pytest.raises(MissingProgramError, match=r"did not draw the model within 0\.1 s"):
        plots._run_dot("digraph {}", tmp_path / "x.png", "png")


def test_an_experiment_is_drawn_before_it_is_trained(monkeypatch, tmp_path, written):
    monkeypatch.chdir(tmp_path)
    path = plots.plot_experiment(CONFIGS / "cnn_small.yaml", plots.Drawing("svg", full=True))
    assert (path, path.exists()) == (Path("cnn_small-model.svg"), True)
    assert re.findall(r"\((\w+)\)</font>", written[0]) == [
        *("InputLayer", "Rescaling", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense")
    ]


def test_an_experiment_without_graphviz_is_refused_before_its_data_are_read(monkeypatch):
    monkeypatch.setattr(plots.shutil, "which", lambda program: None)
    with pytest.raises(MissingProgramError, match="apt install graphviz"):
        plots.plot_experiment("none.yaml", FULL)


def test_an_experiment_is_summarized_before_it_is_trained():
    text = summarize(untrained(CONFIGS / "cnn_small.yaml", ["model.layers.3.Dense.units=7"]))
    # 16 filters of 3×3 and their biases; 15·15·16 → 7; 7 → 10
    assert f"Trainable params: {16 * 10 + (15 * 15 * 16 + 1) * 7 + 8 * 10:,}" in text
    assert "input: 32×32 grayscale" in text
    assert "classes: 0, 1, 2" in text
    assert "not trained: cnn_small" in text


@pytest.mark.long
def test_small_weights_are_printed_and_the_range_of_large_ones():
    import keras

    text = summarize(untrained(CONFIGS / "cnn_small.yaml", pretrained=True), weights=True)
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    plain = keras.Sequential(
        [
            *(
                keras.Input((32, 32, 1)),
                keras.layers.Conv2D(16, 3),
                keras.layers.MaxPooling2D(),
                keras.layers.Flatten(),
            ),
            *(keras.layers.Dense(128), keras.layers.Dense(10)),
        ]
    )
    kernel, bias = plain.layers[0].get_weights()
    assert f"conv2d/kernel (3×3×1×16): from {kernel.min():.4g} to {kernel.max():.4g}, mean {kernel.mean():.4g}" in text
    assert f"dense_1/bias (10):\n{plain.layers[-1].get_weights()[1]}" in text
    assert not bias.any()
    line = summarize(untrained(CONFIGS / "linear_regression.yaml"), weights=True)
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    (kernel, bias) = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]).get_weights()
    assert line.endswith(f"dense/kernel (1×1):\n[[{kernel.item():.6f}]]\ndense/bias (1):\n[0.]")


def test_the_command_takes_an_experiment_a_run_or_a_model_file(run, capsys):
    for target in (CONFIGS / "linear_regression.yaml", run.root, run.best_model):
        cli.app(["summary", str(target)], standalone_mode=False)
        assert "Total params" in capsys.readouterr().out
    with pytest.raises(UsageError, match="name the experiment's FILE"):
        cli.app(["summary", str(run.root), "-s", "seed=2"], standalone_mode=False)


@pytest.mark.parametrize("values", [("1e308", "-1e308"), ("inf", "1.0"), ("nan", "1e300"), ("nan", "nan")])
def test_numbers_beyond_all_ticks_are_left_out(tmp_path, values):
    run = create(tmp_path, "wide")
    run.metrics_file.write_text("epoch,loss\n" + "".join(f"{n},{value}\n" for n, value in enumerate(values, 1)))
    assert plots.plot_curves(run).read_bytes().startswith(PNG_SIGNATURE)


def test_of_a_very_long_name_the_beginning_is_drawn(tmp_path, monkeypatch):
    run, titles = create(tmp_path, "long"), []
    run.metrics_file.write_text(f"epoch,{'x' * 50_000}\n1,1.0\n")
    monkeypatch.setattr(plots, "save", lambda figure, path: titles.append(figure.axes[0].get_title()) or path)
    plots.plot_curves(run)
    assert titles == ["x" * 200]


def test_of_more_curves_than_a_picture_holds_the_first_are_drawn(tmp_path, monkeypatch, caplog):
    run, titles = create(tmp_path, "wide"), []
    names = [f"m{i}" for i in range(1100)]
    run.metrics_file.write_text(f"epoch,{','.join(names)}\n1{',1.0' * 1100}\n")
    monkeypatch.setattr(
        plots, "save", lambda figure, path: titles.append([one.get_title() for one in figure.axes]) or path
    )
    for draw in (plots.plot_curves, lambda run: plots.plot_together([run], tmp_path / "a.png")):
        with caplog.at_level("WARNING", "kerasrun"):
            draw(run)
        assert caplog.messages == [f"{run.metrics_file}: the curves of 1,076 more metrics are not drawn"]
        caplog.clear()
    assert titles == [names[:24]] * 2


def test_of_a_very_long_curve_every_spike_is_drawn_and_few_points():
    spikes = {1: 0.0, 40_000: 9.0, 40_001: -9.0, 70_000: math.nan, 99_999: 0.0}
    rows = [{"epoch": epoch, "loss": spikes.get(epoch, (epoch % 7) / 10)} for epoch in range(1, 100_000)]
    (line,) = plots.curves(Path("metrics.csv"), rows, ["loss"]).axes[0].lines
    drawn = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert {1: 0.0, 40_000: 9.0, 40_001: -9.0, 99_999: 0.0}.items() <= drawn.items()
    assert len(drawn) < 1100
    assert not any(map(math.isnan, drawn.values()))
    assert all(value == rows[epoch - 1]["loss"] for epoch, value in drawn.items())


def test_a_table_without_columns_has_no_curves(tmp_path):
    with pytest.raises(RunDirectoryError, match="has no columns that can be drawn"):
        plots.curves(tmp_path / "metrics.csv", [{"epoch": 1}], [])
