"""The examples of docs/extending.md work when they are put into a copy of the package, as a reader would."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.conftest import ROOT, blocks


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the package with the examples in it, their experiments and their data beside it."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "kerasrun", folder / "kerasrun", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "data" / "digits" / "digits.npz", folder)
    examples = [block for block in blocks("python", "yaml") if block.document.name == "extending.md"]
    for block in examples:
        name = block.text.splitlines()[0].removeprefix("# ")
        assert not (folder / name).exists()
        (folder / name).write_text(block.text, encoding="utf-8")
    assert len(examples) == 4
    rows = "\n".join(f"{number},{-number},{number % 3}" for number in range(40))
    for name in ("train.csv", "test.csv"):
        (folder / name).write_text(f"a,b,class\n{rows}\n", encoding="utf-8")
    return folder


def run(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("file", ["rows.yaml", "convolutions.yaml"])
def test_the_experiments_validate(extended, file):
    done = run(extended, "-m", "kerasrun", "validate", file)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.csv.trian=train.csv", "did you mean 'train'?"),
        ("data=csvs", "did you mean 'csv'?"),
    ],
)
def test_their_keys_and_names_are_checked_like_any_other(extended, setting, words):
    done = run(extended, "-m", "kerasrun", "validate", "rows.yaml", "-s", setting)
    assert done.returncode == 2
    assert words in done.stderr


def test_the_source_opens_its_data(extended):
    code = (
        "from kerasrun.experiment.load import load; data = load('rows.yaml').experiment.data.open(); "
        "print({name: (len(split), split.inputs.example_shape) for name, split in data.splits.items()}, data.classes)"
    )
    done = run(extended, "-c", code)
    assert done.stdout == "{'train': (40, (2,)), 'test': (40, (2,))} ('0', '1', '2')\n", done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing.csv", "does not exist; expected a CSV file"), ("words.csv", "expected rows of numbers")],
)
def test_the_source_names_a_file_that_is_missing_or_wrong(extended, name, words):
    (extended / "words.csv").write_text("a,b\none,two\n", encoding="utf-8")
    done = run(extended, "-m", "kerasrun", "train", "rows.yaml", "-s", f"data.csv.train={name}")
    assert done.returncode == 1
    assert name in done.stderr
    assert words in done.stderr


@pytest.mark.tensorflow
def test_both_train(extended):
    code = (
        "from pathlib import Path; import kerasrun; "
        "kerasrun.dry_run(Path('rows.yaml')); kerasrun.dry_run(Path('convolutions.yaml'))"
    )
    done = run(extended, "-c", code)
    assert done.returncode == 0, done.stderr
