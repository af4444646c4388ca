"""Pictures of a run."""

from pathlib import Path

import pytest

from kerasrun.errors import MissingProgramError, RunDirectoryError
from kerasrun.results import plots
from kerasrun.results.model import summarize
from kerasrun.runs.directory import create

pytestmark = pytest.mark.tensorflow
PNG_SIGNATURE = b"\x89PNG"


def test_curves_are_drawn(run):
    assert plots.plot_curves(run).read_bytes().startswith(PNG_SIGNATURE)


def test_a_run_without_an_epoch_has_no_curves(tmp_path):
    with pytest.raises(RunDirectoryError, match="no epoch is done"):
        plots.plot_curves(create(tmp_path, "new"))


def test_without_graphviz_the_message_names_the_package_and_curves_are_drawn(run, monkeypatch, caplog):
    monkeypatch.setattr(plots.shutil, "which", lambda program: None)
    with pytest.raises(MissingProgramError, match="apt install graphviz"):
        plots.plot_model(run)
    with caplog.at_level("WARNING", "kerasrun"):
        assert [path.name for path in plots.plot_run(run)] == ["curves.png"]
    assert "graphviz" in caplog.text


def test_curves_are_drawn_as_svg(run):
    path = plots.plot_curves(run, "svg")
    assert path.name == "curves.svg"
    assert "<svg" in path.read_text(encoding="utf-8")


def test_what_the_graph_shows_is_what_keras_is_asked_for(run, monkeypatch):
    """Without Graphviz: what Keras would be handed."""
    import keras

    asked = {}

    def draw(model, to_file, **arguments):
        asked.update(arguments)
        Path(to_file).write_text("<svg>")

    monkeypatch.setattr(plots.shutil, "which", lambda program: "dot")
    monkeypatch.setattr(keras.utils, "plot_model", draw)
    path = plots.plot_model(run, plots.Drawing("svg", show_shapes=False, expand_nested=True, dpi=50))
    assert (path.name, path.read_text()) == ("model.svg", "<svg>")
    wanted = {"show_shapes": False, "show_layer_names": True, "expand_nested": True, "dpi": 50}
    assert wanted.items() <= asked.items()


@pytest.mark.skipif(plots.shutil.which("dot") is None, reason="Graphviz is not installed")
def test_the_model_is_drawn(run):
    assert plots.plot_model(run).read_bytes().startswith(PNG_SIGNATURE)


def test_the_summary_lists_layers_parameters_and_classes(run):
    text = summarize(run.best_model)
    assert "61,706" in text
    assert "conv1" in text
    assert "classes: 0, 1, 2" in text


def test_a_dot_that_is_not_configured_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "dot").write_text("#!/bin/sh\necho 'Format: \"png\" not recognized' >&2\nexit 1\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(MissingProgramError, match=r"dot cannot write PNG.*dot -c"):
        plots.plot_model(run)
