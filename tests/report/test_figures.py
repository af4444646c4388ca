"""Matplotlib is loaded as its own settings and those of the user say, and as no file that merely lies there does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "kerasrun"
EMPTY = "from kerasrun.report.figures import empty; figure = empty(1, 1); import matplotlib; print(figure.get_dpi())"


def settings_of(folder, **environment):
    variables = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment}
    done = subprocess.run(
        [sys.executable, "-P", "-c", EMPTY], cwd=folder, env=variables, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_matplotlibrc_of_the_working_directory_is_not_read(tmp_path, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / "matplotlibrc")
    else:
        (tmp_path / "matplotlibrc").write_text("figure.dpi: 33\n")
    assert settings_of(tmp_path) == "100.0"


@pytest.mark.long
def test_the_users_own_settings_count(tmp_path):
    (tmp_path / "matplotlibrc").write_text("figure.dpi: 33\n")
    assert settings_of(PACKAGE.parent, MPLCONFIGDIR=str(tmp_path)) == "33.0"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MPLBACKEND", "foo", "MissingProgramError: Matplotlib does not start: Key backend: 'foo' is not"),
        ("SOURCE_DATE_EPOCH", "abc", "MissingProgramError: SOURCE_DATE_EPOCH=abc: Matplotlib expects seconds"),
    ],
)
def test_an_environment_in_which_matplotlib_fails_is_told(name, value, said, tmp_path):
    assert said in settings_of(tmp_path, **{name: value})


def test_matplotlib_has_one_door():
    figures = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\bFigure\(|pyplot", file.read_text())
    ]
    assert figures == ["report/figures.py"]
