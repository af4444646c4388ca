"""What a shell is given when Tab is pressed, asked for as the scripts of `--install-completion` do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
sys.argv = ["kerasrun"]
from kerasrun.cli import main
try:
    main()
finally:
    assert not {"tensorflow", "keras", "matplotlib"} & set(sys.modules)
"""
EXPERIMENT = """\
data: {npz: {path: a.npz}}
model: {layers: [Flatten, {Dense: {units: 9}}]}
compile: {optimizer: {SGD: {momentum: 0.9}}}
fit: {epochs: 7}
stages: [{epochs: 3}]
callbacks: [TensorBoard, {EarlyStopping: {monitor: loss}}]
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("lenet-1", "lenet-2", "mlp-1"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").touch()
    (tmp_path / "elsewhere" / "other-1").mkdir(parents=True)
    (tmp_path / "elsewhere" / "other-1" / "run.json").touch()
    (tmp_path / "mine.yaml").write_text(EXPERIMENT, encoding="utf-8")
    return tmp_path


def offered(folder, line):
    """Return what bash is given for a line whose last word is being typed."""
    words = line.split(" ")
    asked = {"_KERASRUN_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kerasrun sche", ["schema"]),
        ("kerasrun evaluate le", ["lenet-1", "lenet-2"]),
        ("kerasrun evaluate -o elsewhere ", ["other-1"]),
        ("kerasrun evaluate --split v", ["validation"]),
        ("kerasrun report lenet-1 ", ["lenet-2", "mlp-1"]),
        ("kerasrun report --split ", ["train", "validation", "test"]),
        ("kerasrun diff --predictions lenet-1 lenet-2 --split te", ["test"]),
        ("kerasrun rm m", ["mlp-1"]),
        ("kerasrun predict --run m", ["mlp-1"]),
        ("kerasrun train mine.yaml --from lenet-2", ["lenet-2"]),
        ("kerasrun summary m", ["mine.yaml", "mlp-1"]),
        ("kerasrun verify mi", ["mine.yaml"]),
        ("kerasrun init mlp_", ["mlp_400", "mlp_npz"]),
        ("kerasrun train mine.yaml -s fit.ep", ["fit.epochs=", "fit.epochs=7"]),
        ("kerasrun train -s fit.ep", ["fit.epochs=", "fit.epochs=1"]),
        ("kerasrun train mine.yaml --no-such-option -s fit.batch", ["fit.batch_size=", "fit.batch_size=32"]),
        ("kerasrun export le", ["lenet-1", "lenet-2"]),
        ("kerasrun resume nothing", []),
    ],
)
def test_words_that_begin_so_are_offered(folder, line, words):
    assert offered(folder, line) == words


NAMES = [r"a\$(touch x)", "a b", "a;touch x", "a`touch x`", 'a\\"; touch x; "', "a\ntouch x", "--trust"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_a_shell_would_not_take_for_one_word_is_not_offered(tmp_path, name):
    (tmp_path / f"{name}.yaml").write_text(EXPERIMENT, encoding="utf-8")
    (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / name / "run.json").touch()
    (tmp_path / "good.yaml").write_text(f"name: {json.dumps(name)}\n", encoding="utf-8")
    assert offered(tmp_path, "kerasrun summary ") == ["good.yaml"]
    assert offered(tmp_path, "kerasrun evaluate ") == []
    values = [] if name != "--trust" else ["name=--trust"]
    assert offered(tmp_path, "kerasrun train good.yaml -s nam") == ["name=", *values]


def test_names_in_every_script_are_offered(tmp_path):
    for name in ("übung-1", "训练-2", "a.b_c+d@e,f=g%h-3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").touch()
    assert set(offered(tmp_path, "kerasrun evaluate ")) == {"übung-1", "训练-2", "a.b_c+d@e,f=g%h-3"}


def test_a_folder_without_runs_offers_none(tmp_path):
    assert offered(tmp_path, "kerasrun evaluate ") == []
