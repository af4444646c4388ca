"""Pictures of the labels of a split, and of its examples with what a model says of them."""

import numpy as np
import pytest
from typer.testing import CliRunner

from kerasrun.cli import app
from kerasrun.errors import DataError
from kerasrun.report import figures
from kerasrun.report.plain import draw
from kerasrun.results import split_pictures
from kerasrun.results.plots import Drawing

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are written, in order."""
    kept = []
    save = split_pictures.save
    monkeypatch.setattr(split_pictures, "save", lambda figure, path: (kept.append(figure), save(figure, path))[1])
    return kept


def plotted(*arguments):
    done = CliRunner().invoke(app, ["plot", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.split()


def test_a_bar_for_each_class_in_each_split(run, drawn, png):
    assert plotted(run.root, "--labels") == [f"{run}/plots/labels.png"]
    assert [axes.get_title() for axes in drawn[0].axes] == ["train: 1,295", "validation: 143", "test: 359"]
    test = [patch.get_width() for patch in drawn[0].axes[2].patches]
    assert test == [len(list((png / "test" / str(number)).iterdir())) for number in range(10)]


@pytest.mark.long
def test_examples_have_their_names_and_what_the_model_says(run, drawn, png):
    import kerasrun

    assert plotted(run.root, "--examples", "--split", "test") == [f"{run}/plots/examples_test.png"]
    said = {one.path: one.top[0] for one in kerasrun.predict(png / "test", model=run.best_model)}
    panels = [axes for axes in drawn[0].axes if axes.images]
    assert len(panels) == 32
    for axes in panels:
        true, name = axes.texts[0].get_text().splitlines()
        (path,) = (path for path in said if path.endswith(name.lstrip("…")))
        assert true == f"is {path.split('/')[-2]}"
        called, probability = said[path]
        assert axes.get_title() == f"{called} {probability:.4f}"
        assert (axes.title.get_color() == "C3") is (called != path.split("/")[-2])


def test_labels_are_drawn_before_training(tmp_path, monkeypatch, drawn):
    """Each split has its own numbers, target by target."""
    x, y = np.ones((6, 4)), np.arange(12.0).reshape(6, 2)
    np.savez(tmp_path / "rows.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    (tmp_path / "rows.yaml").write_text("data: {npz: {path: rows.npz, labels: numbers}}\nmodel: MLP\n")
    monkeypatch.chdir(tmp_path)
    assert plotted("rows.yaml", "--labels", "--format", "svg") == ["rows-labels.svg"]
    assert "<svg" in (tmp_path / "rows-labels.svg").read_text()
    assert len(drawn[0].axes) == 2


def test_examples_that_are_no_pictures_are_refused(run, monkeypatch):
    monkeypatch.setattr(split_pictures, "spread", lambda split, count: type("", (), {"inputs": np.recarray})())
    monkeypatch.setattr(np.recarray, "example_shape", (4,), raising=False)
    with pytest.raises(DataError, match="are no pictures; kerasrun report"):
        split_pictures.plot_examples(run, Drawing(), None, (), trust=False)


def test_a_histogram_for_each_target_has_every_split():
    values = {"a": [np.arange(9.0), np.arange(3.0)], "b": [np.ones(9), np.ones(3)]}
    figure = figures.histograms(["train", "test"], values)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["test", "train"]


@pytest.mark.parametrize("numbers", [[2**24, 2**24 + 2], [0, 1e-45], [-3e38, 3e38], [1e30, 1e30], [1e-45, 1e-45]])
def test_numbers_of_any_size_have_a_histogram(numbers, tmp_path):
    figure = figures.histograms(["train"], {"a": [np.array(numbers, np.float32)]})
    draw(figure, tmp_path / "a.png")
    (outline,) = figure.axes[0].patches
    at = outline.get_xy()[:, 0]
    assert at.min() <= np.float32(numbers[0]) <= np.float32(numbers[1]) <= at.max()


def test_very_many_targets_with_very_long_names_are_drawn_in_part(tmp_path):
    names = [f"{number} {'x' * 50_000}" for number in range(300)]
    numbers = np.arange(900.0).reshape(3, 300)
    of_each = dict(zip(names, ([column] for column in numbers.T), strict=True))
    for figure in (
        figures.histograms(["train"], of_each),
        figures.predicted(names, numbers, numbers),
        figures.residuals(names, numbers, numbers),
    ):
        assert figure.get_supxlabel() == "the first 12 of 300 targets"
        titles = [axes.get_title() for axes in figure.axes]
        assert [title.split()[0] for title in titles] == [str(number) for number in range(12)]
        assert max(map(len, titles)) <= 60


def test_of_a_long_path_the_end_is_kept():
    assert figures.shortened("abcdefgh", 5) == "abcd…"
    assert figures.shortened("abcdefgh", 5, from_end=True) == "…efgh"
    assert figures.shortened("abcde", 5) == "abcde"
