"""One page with all about a run: what it shows, what it says where something is gone, and that it is only text."""

import re
import shutil
import subprocess
import webbrowser

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import kerasrun
from kerasrun.cli import app
from kerasrun.errors import DataError, MissingProgramError, UsageError
from kerasrun.results import run_report
from kerasrun.results.intervals import intervals
from kerasrun.results.plots import curves
from kerasrun.runs.metrics import Table
from tests.report.test_pages import HOSTILE, check_is_self_contained

pytestmark = pytest.mark.tensorflow


def page_of(run, **options):
    return check_is_self_contained(kerasrun.write_report(run, **options).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(run):
    return page_of(run)


@pytest.mark.long
def test_the_page_is_small(run, page):
    assert 50_000 < run.report_file.stat().st_size < 5_000_000


def test_the_scores_are_those_of_evaluate(run, page):
    report = kerasrun.evaluate(run)
    for value in (*report.metrics.values(), report.scores.classes[3].f1):
        assert f"{value:.4f}" in page.text
    wrong = int(report.scores.confusion_matrix.sum() - np.trace(report.scores.confusion_matrix))
    assert f"{wrong} of 359 examples of test are called otherwise" in page.text


@pytest.mark.long
def test_the_calibration_is_that_of_evaluate(run, page):
    error = kerasrun.evaluate(run).as_dict()["ece"]
    assert f"ECE {error:.3f}" in page.text
    alternatives = [one["aria-label"] for one in page.all("svg")]
    assert "Reliability curve: the share that came true over the predicted probability on test" in alternatives


def test_the_worst_mistake_is_the_prediction_with_the_lowest_probability_of_the_truth(run, page, png):
    found = kerasrun.predict(png / "test", model=run.best_model, every=True)
    of_true = {one.path: (one.top[0][0], dict(one.top)[one.path.split("/")[-2]]) for one in found}
    wrong = [path for path, (called, _) in of_true.items() if called != path.split("/")[-2]]
    worst = min(wrong, key=lambda path: of_true[path][1])
    first = page.all("img")[0]["alt"]
    assert worst.endswith(first.split(",")[0])
    assert first.endswith(f"called {of_true[worst][0]}")


def test_it_says_what_the_run_was(page):
    for text in ("2 of 2 epochs", "never resumed", "learning_rate: 0.002", "1,295", "keras 3."):
        assert text in page.text
    assert "batch_size" not in page.text  # 32 is the default


def test_the_commands_on_the_page_work(run, page, png, capsys):
    command = re.search(r"kerasrun (predict .*?)   #", page.text)[1].replace("photo.jpg", str(png / "test" / "7"))
    with pytest.raises(SystemExit) as end:
        app(command.split())
    assert end.value.code == 0
    assert "probability" in capsys.readouterr().out


@pytest.mark.long
def test_without_the_data_the_page_says_so_and_has_the_rest(run, tmp_path):
    folder = tmp_path / "digits"
    photos(folder / "data", ["a", "b"])
    small = trained(folder)
    shutil.rmtree(folder / "data")
    page = page_of(small)
    assert "What could not be shown" in page.text
    assert "How it went" in page.text
    assert "How good it is" not in page.text
    small.best_model.unlink()
    small.metrics_file.unlink()
    shutil.rmtree(small.checkpoints)
    assert "best.keras is not there" in page_of(small).text


@pytest.mark.long
def test_names_are_text_whatever_they_are(tmp_path):
    names = [HOSTILE.replace("/", "∕").replace("\ud800", "").replace("\x07", ""), "אבג", '"onload=alert(1) x="']
    photos(tmp_path / "data", names)
    page = page_of(trained(tmp_path))
    assert "alert" in page.text
    assert "אבג" in page.text


@pytest.mark.long
def test_a_row_is_named_and_numbers_are_drawn(tmp_path):
    rows = "\n".join(f"{x},{2 * x}" for x in range(40))
    (tmp_path / "line.csv").write_text(f"x,</svg><script>y\n{rows}\n")
    (tmp_path / "line.yaml").write_text(
        "data: {csv: {train: line.csv, target: '</svg><script>y'}}\nmodel: {MLP: {units: [4]}}\n"
        "fit: {epochs: 2, validation_split: 0.2}\n"
    )
    page = page_of(kerasrun.train(tmp_path / "line.yaml", output=tmp_path / "runs"))
    assert "</svg><script>y" in page.text
    assert "Predicted over true numbers on validation" in [one["aria-label"] for one in page.all("svg")]


@pytest.mark.long
def test_planted_label_errors_are_found(png, tmp_path):
    """5 % of the digits have another label: of the 50 examples that are shown, at least 45 are among them."""
    files = sorted((png / "train").glob("*/*.png"))
    draw = np.random.default_rng(7)
    planted = set(draw.choice(len(files), len(files) // 20, replace=False).tolist())
    rows = ["file,label"]
    for number, file in enumerate(files):
        digit = int(file.parent.name)
        rows.append(f"{file.relative_to(png)},{(digit + draw.integers(1, 10)) % 10 if number in planted else digit}")
    (tmp_path / "digits.csv").write_text("\n".join(rows))
    (tmp_path / "digits.yaml").write_text(
        f"data: {{image_table: {{train: digits.csv, folder: {png}, color_mode: grayscale}}}}\nmodel: LeNet\n"
        "compile: {optimizer: {Adam: {learning_rate: 0.002}}}\nfit: {epochs: 6}\n"
    )
    run = kerasrun.train(tmp_path / "digits.yaml", output=tmp_path / "runs")
    page = kerasrun.write_report(run, split="train").read_text(encoding="utf-8")
    shown = page.partition("What it gets wrong</h2>")[2].partition("Rightly called")[0]
    cards = re.findall('<figure[^>]*>(.*?class="name">(.*?)</bdi>)', shown, re.DOTALL)
    wrong = {str(files[number].relative_to(png)) for number in planted}
    assert len(cards) == 50
    assert sum(name in wrong for _, name in cards) >= 45
    marked = [name for card, name in cards if "label?" in card]
    assert len(marked) >= 20
    assert sum(name in wrong for name in marked) >= 0.9 * len(marked)


def test_the_worst_mistakes_are_explained_beside_their_pictures(run, page):
    alternatives = [one["alt"] for one in page.all("img")]
    for place in range(12):
        name, _, called = alternatives[2 * place].split(", ")
        assert alternatives[2 * place + 1] == f"What counts for {called.removeprefix('called ')} in {name}"
    assert sum(text.startswith("What counts") for text in alternatives) == 12
    sources = [one["src"] for one in page.all("img")[:24]]
    assert len(set(sources)) == 24


@pytest.mark.long
def test_explanations_that_take_too_long_are_left_out_in_a_sentence(run, monkeypatch):
    monkeypatch.setattr(run_report, "_SECONDS_OF_EXPLAINING", -1)
    page = page_of(run)
    assert "Why the model says so, of 12 of the 12 worst mistakes: it takes too long" in page.text
    assert not [one for one in page.all("img") if one["alt"].startswith("What counts")]


@pytest.mark.long
def test_a_network_that_cannot_be_explained_is_a_sentence_on_the_page(run, monkeypatch):
    from kerasrun.results import explanations

    monkeypatch.setattr(explanations, "_learns", lambda operation: False)
    assert "cannot be explained: its network has no layer that learns" in page_of(run).text


@pytest.mark.long
def test_a_column_that_alone_matters_is_worth_all(tmp_path):
    """The label is whether the second column is above a half; the others are noise."""
    draw = np.random.default_rng(0)
    rows = draw.uniform(size=(300, 3))
    lines = [f"{a},{b},{c},{'yes' if b > 0.5 else 'no'}" for a, b, c in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["left,<b>middle,right,label", *lines]))
    (tmp_path / "rows.yaml").write_text(
        "data: {csv: {train: rows.csv, label: label}}\nmodel: {MLP: {units: [8]}}\npreprocessing: [Normalization]\n"
        "compile: {optimizer: {Adam: {learning_rate: 0.03}}}\nfit: {epochs: 20, validation_split: 0.3}\n"
    )
    run = kerasrun.train(tmp_path / "rows.yaml", output=tmp_path / "runs")
    text = " ".join(page_of(run).text.split())
    worth = text.partition("What each column is worth")[2]
    first, second = re.findall(r"(<b>middle|left|right)\s*(-?\d\.\d+)", worth)[:2]
    assert first[0] == "<b>middle"
    assert float(first[1]) > 0.3
    assert abs(float(second[1])) < 0.1
    assert "accuracy lost" in worth
    mistakes = text.partition("What it gets wrong")[2]
    assert "what counts" in mistakes
    assert re.search(r"<b>middle [+-]\d", mistakes)


def test_several_runs_are_shown_side_by_side(run, page, tmp_path):
    other = tmp_path / "runs" / "other-1"
    shutil.copytree(run.root, other)
    text = kerasrun.write_comparison([run, kerasrun.open_run(other)]).read_text(encoding="utf-8")
    page = check_is_self_contained(text)
    assert f"{run.name} other-1" in " ".join(page.text.split()).replace(",", "")
    assert "Nothing differs" in page.text
    assert next(one["aria-label"] for one in page.all("svg")) == "Curves of loss of 2 runs"


def test_many_classes_have_no_intervals_which_would_take_minutes():
    labels, outputs = np.zeros(20, np.int64), np.zeros((20, 1000), np.float32)
    assert intervals(None, labels, outputs, None) == {}


@pytest.mark.long
def test_a_page_has_no_more_curves_and_marks_than_it_can_draw(run, tmp_path):
    copy = kerasrun.open_run(shutil.copytree(run.root, tmp_path / run.name))
    names = [f"m{number}" for number in range(30)]
    rows = [f"{epoch}," + ",".join(["1.5"] * len(names)) for epoch in (1, 2, 3)]
    copy.metrics_file.write_text("\n".join([f"epoch,{','.join(names)}", *rows]) + "\n")
    parts = run_report._Parts()
    assert len(run_report._curves(copy, run_report.summary_of(copy), parts)) == 24
    assert parts.missing == ["The curves of 6 more metrics of metrics.csv"]
    text = kerasrun.write_comparison([copy, run]).read_text(encoding="utf-8")
    # Those of the other run, such as its loss, are counted too.
    others = {name.removeprefix("val_") for name in Table(run.metrics_file).rows()[0]} - {"epoch"}
    assert f"{len(names) + len(others) - 24} more metrics are not drawn" in text
    figure = curves(copy.metrics_file, Table(copy.metrics_file).rows(), ["m1"], stage_ends=[1] * 100_000 + [2])
    assert [len(one.get_segments()) for one in figure.axes[0].collections] == [2]


@pytest.mark.long
def test_the_intervals_hold_the_scores(run, page):
    """Of a share p of n examples, about 1.96 √(p (1 − p) / n) on either side."""
    accuracy = kerasrun.evaluate(run).scores.accuracy
    found = re.search(rf"accuracy\s*{accuracy:.4f}\s*(\d\.\d{{4}}) to (\d\.\d{{4}})", page.text)
    low, high = map(float, found.groups())
    assert low < accuracy < high
    assert (high - low) / 2 == pytest.approx(1.96 * (accuracy * (1 - accuracy) / 359) ** 0.5, rel=0.25)


@pytest.mark.long
def test_a_part_that_cannot_be_made_is_a_sentence_on_the_page(run, monkeypatch):
    def fail(model):
        raise ZeroDivisionError("of <b>")

    monkeypatch.setattr(run_report, "network_drawing", fail)
    page = page_of(run)
    assert "The network: ZeroDivisionError: of <b>" in page.text
    assert "How good it is" in page.text


@pytest.mark.long
@pytest.mark.parametrize("there_is_one", [True, False])
def test_open_shows_the_page_in_the_browser(run, page, monkeypatch, there_is_one):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: (opened.append(address), there_is_one)[1])
    done = CliRunner().invoke(app, ["report", str(run.root), "--open"])
    assert opened == [run.report_file.as_uri()]
    assert (done.exception is None, isinstance(done.exception, MissingProgramError)) == (there_is_one, not there_is_one)


def test_what_is_asked_for_in_vain_is_an_error(run):
    with pytest.raises(DataError, match="no split tset"):
        kerasrun.write_report(run, split="tset")
    with pytest.raises(UsageError):
        kerasrun.write_report(run, overrides=["fit.batch_size=7"])


@pytest.mark.long
def test_a_browser_shows_it_without_a_word_on_the_console(run, page, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium here: apt install chromium")
    picture = tmp_path / "page.png"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", "--v=0", "--window-size=1000,1400", f"--screenshot={picture}"]
    done = subprocess.run([*command, run.report_file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    assert len(np.unique(np.asarray(Image.open(picture).convert("L")))) > 50


def photos(folder, names):
    draw = np.random.default_rng(0)
    for name in names:
        (folder / "train" / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8)).save(
                folder / "train" / name / f"<b>{number}.png"
            )


def trained(folder):
    (folder / "x.yaml").write_text(
        "data: {directory: {path: data, color_mode: grayscale}}\nmodel: {MLP: {units: [4]}}\n"
        "fit: {epochs: 1, validation_split: 0.3}\n"
    )
    return kerasrun.train(folder / "x.yaml", output=folder / "runs")
