"""What is installed has what its commands need."""

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOO_OLD = int(version("setuptools").partition(".")[0]) < 77


@pytest.mark.skipif(TOO_OLD, reason="setuptools is older than pyproject.toml asks for: pip install -e '.[dev]'")
def test_a_built_package_has_the_examples_and_copies_them(tmp_path):
    tree = tmp_path / "tree"
    for name in ("kerasrun", "configs"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "setup.py", "--quiet", "build", "--build-lib", str(tmp_path / "built")]
    subprocess.run(build, cwd=tree, check=True, capture_output=True)
    examples = {file.name for file in (ROOT / "configs").iterdir() if file.is_file()}
    assert {file.name for file in (tmp_path / "built" / "kerasrun" / "configs").iterdir()} == examples
    done = subprocess.run(
        [sys.executable, "-m", "kerasrun", "init", "lenet_idx"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "built")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "lenet_idx.yaml\n"
    copy = (tmp_path / "lenet_idx.yaml").read_text(encoding="utf-8")
    assert "put the path of yours there" in copy.partition("seed:")[0]
    assert "path: ../data/digits/idx" in copy
