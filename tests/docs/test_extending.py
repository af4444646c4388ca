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
    lines = (f'{{"features": [{number}, {-number}], "label": {number % 3}}}\n' for number in range(40))
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    shutil.copy(folder / "train.jsonl", folder / "test.jsonl")
    return folder


def run(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("file", ["lines.yaml", "convolutions.yaml"])
def test_the_experiments_validate(extended, file):
    done = run(extended, "-m", "kerasrun", "validate", file)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.jsonl.trian=train.jsonl", "did you mean 'train'?"),
        ("data=jsonll", "did you mean 'jsonl'?"),
    ],
)
def test_their_keys_and_names_are_checked_like_any_other(extended, setting, words):
    done = run(extended, "-m", "kerasrun", "validate", "lines.yaml", "-s", setting)
    assert done.returncode == 2
    assert words in done.stderr


def test_the_source_opens_its_data(extended):
    code = (
        "from kerasrun.experiment.load import load; data = load('lines.yaml').experiment.data.open(); "
        "print({name: (len(split), split.inputs.example_shape) for name, split in data.splits.items()}, data.classes)"
    )
    done = run(extended, "-c", code)
    assert done.stdout == "{'train': (40, (2,)), 'test': (40, (2,))} ('0', '1', '2')\n", done.stderr


def test_init_finds_the_source(extended):
    done = run(extended, "-m", "kerasrun", "init", "--data", "train.jsonl", "--output", "drafted.yaml")
    assert done.returncode == 0, done.stderr
    text = (extended / "drafted.yaml").read_text(encoding="utf-8")
    assert text.partition("\n")[2].startswith("# train.jsonl: 40 training examples of 2 numbers, 3 classes.\n")
    assert "  jsonl:\n    train: train.jsonl\n" in text
    done = run(extended, "-m", "kerasrun", "init", "--data", "lines.yaml", "--output", "none.yaml")
    assert "lines.yaml: not recognized as data" in done.stderr
    assert "a file of JSON lines (.jsonl)" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing.jsonl", "does not exist; expected a file of JSON lines"),
        ("words.jsonl", "expected lines with features"),
    ],
)
def test_the_source_names_a_file_that_is_missing_or_wrong(extended, name, words):
    (extended / "words.jsonl").write_text('{"label": 1}\n', encoding="utf-8")
    done = run(extended, "-m", "kerasrun", "train", "lines.yaml", "-s", f"data.jsonl.train={name}")
    assert done.returncode == 1
    assert name in done.stderr
    assert words in done.stderr


@pytest.mark.long
@pytest.mark.tensorflow
def test_both_train(extended):
    code = (
        "from pathlib import Path; import kerasrun; "
        "kerasrun.dry_run(Path('lines.yaml')); kerasrun.dry_run(Path('convolutions.yaml'))"
    )
    done = run(extended, "-c", code)
    assert done.returncode == 0, done.stderr
