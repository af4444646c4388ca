"""Every command of the tutorial, and of the Chinese quick start, is run in order: a few digits, and a table."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.docs.conftest import ROOT, blocks
from tests.forked import run

TUTORIAL = "tutorial.md"
PAGES = (TUTORIAL, "quickstart.zh.md")
FEW = 24
"""Images of each class, of some hundred that a reader has."""


def commands(page):
    text = "".join(block.text for block in blocks("console") if block.document.name == page)
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder in which the tutorial was followed, and what each command wrote to stdout."""
    folder = tmp_path_factory.mktemp("tutorial")
    digits = ROOT / "data" / "digits" / "png"
    for few in {path.parent for path in digits.glob("*/[389]/*.png")}:
        (folder / "data" / few.relative_to(ROOT / "data")).mkdir(parents=True)
        for image in sorted(few.glob("*.png"))[:FEW]:
            shutil.copy(image, folder / image.relative_to(ROOT))
    shutil.copytree(ROOT / "data" / "customers", folder / "data" / "customers")
    return folder, {line: _output(line, folder) for line in commands(TUTORIAL)}


def _output(line, folder):
    program, *arguments = shlex.split(line)
    if program == "kerasrun":
        process = run(["-m", "kerasrun", *arguments], folder)
    else:
        process = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 0, f"{line}\n{process.stderr}"
    return process.stdout


def test_both_pages_have_the_same_commands():
    verbs = [line.split()[1] for line in commands(TUTORIAL) if line.startswith("kerasrun ")]
    assert {"init", "validate", "inspect", "preview", "train", "evaluate", "plot", "predict", "resume", "runs"} <= set(
        verbs
    )
    for page in PAGES:
        assert commands(page) == commands(TUTORIAL)


def test_the_experiment_is_the_one_that_init_writes(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, name in {3: "three", 8: "eight", 9: "nine"}.items():
        (tmp_path / "photos" / name).symlink_to(ROOT / "data/digits/png/train" / str(number))
    command = [sys.executable, "-m", "kerasrun", "init", "--data", "photos"]
    subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    (shown,) = (block.text for block in blocks("yaml") if block.document.name == TUTORIAL)
    assert (tmp_path / "photos.yaml").read_text(encoding="utf-8") == shown


@pytest.mark.tensorflow
@pytest.mark.long
def test_what_the_commands_print_is_what_the_page_shows(done):
    _, printed = done
    assert printed["kerasrun init --data photos"] == "photos.yaml\n"
    assert printed["kerasrun validate photos.yaml"] == "photos.yaml: no mistakes found\n"
    assert printed["kerasrun inspect photos.yaml"].endswith("all grey\nnothing found that is wrong\n")
    assert printed["kerasrun preview photos.yaml"] == "photos-preview.png\n"
    assert printed["kerasrun train photos.yaml"] == "runs/photos-1\n"
    assert printed["kerasrun resume photos-1 -s fit.epochs=25"] == "runs/photos-1\n"
    assert "confusion matrix" in printed["kerasrun evaluate --split validation"]
    assert printed["kerasrun plot"].startswith("runs/photos-1/plots/curves.png\n")
    runs = printed["kerasrun runs"].splitlines()
    assert [row.split()[:2] for row in runs[1:]] == [["photos-2", "finished"], ["photos-1", "finished"]]


@pytest.mark.tensorflow
@pytest.mark.long
def test_the_table_is_what_the_page_says_and_every_row_is_predicted(done):
    folder, printed = done
    page = (ROOT / "docs" / TUTORIAL).read_text(encoding="utf-8")
    assert printed["kerasrun inspect customers.yaml"] in page
    assert printed["kerasrun train customers.yaml"] == "runs/customers-1\n"
    accuracy = re.search(r"accuracy (0\.\d+)", printed["kerasrun evaluate customers-1"])
    assert float(accuracy[1]) > 0.8
    rows = (folder / "data/customers/test.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(printed["kerasrun predict data/customers/test.csv"].splitlines()[1:]) == len(rows)


@pytest.mark.tensorflow
@pytest.mark.long
def test_the_prediction_names_every_photo(done):
    folder, printed = done
    rows = printed["kerasrun predict data/digits/png/test/8 --top 2"].splitlines()[1:]
    photos = sorted((folder / "data/digits/png/test/8").iterdir())
    assert [row.split()[0] for row in rows] == [str(photo.relative_to(folder)) for photo in photos]
    assert len(rows) == FEW


@pytest.mark.tensorflow
@pytest.mark.long
def test_every_field_of_run_json_has_a_row_in_its_table(done):
    folder, _ = done
    page = (ROOT / "docs" / "run-directory.md").read_text(encoding="utf-8")
    rows = page.partition("### `run.json`")[2].partition("\n### ")[0]
    fields = {
        name for cell in re.findall(r"^\| (`.+?) \|", rows, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert set(json.loads((folder / "runs/photos-1/run.json").read_text(encoding="utf-8"))) <= fields
    assert fields >= {"from", "trust", "accepted_changes"}
