"""What a notebook shows of a training and of a run; and a model that stays loaded."""

import functools
import io
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun import stderr
from kerasrun.errors import DataError, ModelFileError, UsageError
from kerasrun.notebook import Run
from kerasrun.runs.directory import RunDirectory
from tests.results.conftest import png, run  # noqa: F401  fixtures

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def kernel(monkeypatch):
    """A notebook's kernel: what it showed in its one place, version after version."""
    shown = []
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=True)
    display.HTML = str
    display.display = lambda first, display_id: (shown.append(first), SimpleNamespace(update=shown.append))[1]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


@pytest.fixture
def line(tmp_path, monkeypatch):
    x = np.arange(8, dtype=np.float32).reshape(8, 1)
    np.savez(tmp_path / "line.npz", x_train=x, y_train=2 * x)
    (tmp_path / "line.yaml").write_text(
        "data: {npz: {path: line.npz, labels: numbers}}\nmodel: {layers: [{Dense: {units: 1}}]}\nfit: {epochs: 2}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "line.yaml"


@pytest.fixture
def said(capsys):
    """The lines of epochs on stderr, as a program sees them that has not configured logging."""
    handler = stderr.show()
    yield lambda: [text for text in capsys.readouterr().err.splitlines() if text.startswith("epoch ")]
    stderr.LOGGER.removeHandler(handler)


def cells(html):
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


@pytest.mark.long
def test_the_epochs_of_a_training_are_a_table_that_grows(kernel, line, said):
    trained = kerasrun.train(line)
    assert [len(cells(html)) for html in kernel] == [2, 3]
    header, first, _ = cells(kernel[-1])
    assert header[:2] == ["epoch", "loss"]
    assert first[:2] == ["1", f"{float(trained.metrics_file.read_text().splitlines()[1].split(',')[1]):.4f}"]
    assert said() == []
    assert "epoch 2/2" in trained.log_file.read_text()


def test_a_notebook_gets_warnings_alone_on_stderr_which_it_shows_in_red(kernel, line, said, capsys):
    kerasrun.train(line)
    found = capsys.readouterr()
    assert "written to" in found.out
    (warning,) = found.err.splitlines()
    assert warning.startswith("fit.batch_size: 32 is more than the 8 training examples")


@pytest.mark.long
def test_without_a_kernel_lines_are_said(line, said):
    kerasrun.train(line)
    assert len(said()) == 2


def test_a_run_shows_its_results_its_curves_and_its_page(run):  # noqa: F811
    opened = kerasrun.open_run(run.root)
    assert opened == run == RunDirectory(run.root)
    facts = dict(cells(opened._repr_html_())[1:])
    assert (facts["status"], facts["epochs"]) == ("finished", "2 of 2")
    assert re.fullmatch(r"0\.\d{4}", facts["val_accuracy"])
    assert opened.curves()._repr_png_().startswith(b"\x89PNG")
    frame = opened.report()._repr_html_()
    assert frame.startswith("<iframe sandbox srcdoc=")
    assert frame.count("<") == 2  # the page is the value of an attribute


def test_names_in_a_run_are_text_in_a_notebook(tmp_path):
    hostile = Run(tmp_path / "<script>alert(1)")
    hostile.root.mkdir()
    assert "<script" not in hostile._repr_html_()


def test_a_loaded_model_says_what_predict_says_of_files_images_and_arrays(run, png):  # noqa: F811
    model = kerasrun.Model(run)
    file = sorted((png / "test" / "7").iterdir())[0]
    (expected,) = kerasrun.predict(file, model=run.best_model, top=3)
    with Image.open(file) as image:
        pixels = np.asarray(image)
        given = [file, str(file), image, pixels, pixels[..., np.newaxis].astype(np.float32)]
        found = [model.predict(one, top=3) for one in given]
    assert found[0][0].path == expected.path
    assert found[2][0].path == "example[0]"
    for (one,) in found:
        assert [name for name, _ in one.top] == [name for name, _ in expected.top]
        np.testing.assert_allclose([p for _, p in one.top], [p for _, p in expected.top], atol=1e-6)
    several = model.predict([file, np.stack([pixels, pixels])])
    assert [one.path for one in several] == [str(file), "example[1][0]", "example[1][1]"]


def test_what_a_loaded_model_cannot_take_is_said(run, tmp_path):  # noqa: F811
    model = kerasrun.Model(run.best_model)
    with pytest.raises(DataError, match=r"example\[0\]: has shape \(3, 3\); expected numbers of shape"):
        model.predict(np.zeros((3, 3)))
    with pytest.raises(DataError, match="holds no numbers"):
        model.predict(np.array(["seven"]))
    with pytest.raises(ModelFileError):
        kerasrun.Model(tmp_path / "none.keras")


def test_what_the_command_line_cannot_say_is_refused_in_words(run, png):  # noqa: F811
    model, file = kerasrun.Model(run.best_model), next((png / "test").glob("*/*.png"))
    for predict in (model.predict, functools.partial(kerasrun.predict, model=run.best_model)):
        for top in ("3", -1, 0, 1.5, True):
            with pytest.raises(UsageError, match=rf"--top {top}: expected a whole number, at least 1"):
                predict(file, top=top)
        with pytest.raises(UsageError, match="no examples: expected at least one"):
            predict([])
        with pytest.raises(UsageError, match="--threshold half is not a probability"):
            predict(file, threshold="half")
        assert len(predict(file, top=np.int64(2))[0].top) == 2


def test_an_image_whose_pixels_cannot_be_read_is_said(run, png):  # noqa: F811
    model, file = kerasrun.Model(run.best_model), next((png / "test").glob("*/*.png"))
    closed, content = Image.new("L", (4, 4)), file.read_bytes()
    closed.close()
    pixels = content.index(b"IDAT")
    # The chunk of the pixels ends after 8 bytes, and the next one has no name.
    nameless = content[: pixels - 4] + (8).to_bytes(4, "big") + content[pixels : pixels + 12] + bytes(16)
    files = [Image.open(io.BytesIO(one)) for one in (content[:-60], nameless)]
    for image in (*files, Image.new("F", (4, 4)), closed):
        with pytest.raises(DataError, match=r"example\[0\]: its pixels cannot be read: "):
            model.predict(image)
