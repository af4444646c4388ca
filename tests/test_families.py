"""A member of a family is a file in its folder: nothing else names it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kerasrun import exports
from kerasrun.families import members, modules

ROOT = Path(__file__).parents[1]
COMMAND = '''\
"""`kerasrun hello`."""

import typer

GROUP, ORDER = "Write an experiment", 11


def hello() -> None:
    """Say hello.

    Example: kerasrun hello
    """
    typer.echo("hello")
'''
FORMAT = '''\
"""The names of the classes."""

from kerasrun.exports.base import Export


class Names(Export):
    """`.txt`: the names of the classes."""

    suffix = ".txt"
    tolerance = 0.0

    def write(self, trained, path):
        path.write_text("\\n".join(trained.info.classes))

    def outputs(self, path, trained, inputs):
        raise NotImplementedError
'''


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Run Python with a copy of the package that has one more command and format, and a file that is not a member."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "kerasrun", folder / "kerasrun", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "kerasrun" / "commands" / "hello.py").write_text(COMMAND)
    (folder / "kerasrun" / "commands" / "_private.py").write_text("raise AssertionError")
    (folder / "kerasrun" / "exports" / "names.py").write_text(FORMAT)

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    return run


def test_a_new_command_is_listed_in_its_place_and_runs(extended):
    begin = extended("-m", "kerasrun", "--help").partition("\nWrite an experiment:\n")[2].partition("\n\n")[0]
    names = [line.split()[0] for line in begin.splitlines() if line[2] != " "]
    assert names[:3] == ["init", "hello", "validate"]
    assert extended("-m", "kerasrun", "hello") == "hello\n"


def test_a_new_format_is_a_choice_of_the_command(extended):
    assert "|names|" in "".join(extended("-m", "kerasrun", "export", "--help").split())
    code = "from kerasrun.exports.base import formats; print(formats()['names'].name, formats()['names'].suffix)"
    assert extended("-c", code) == "names .txt\n"


def test_the_base_is_not_a_member():
    assert members(exports.__path__) == list(modules("kerasrun.exports"))
    assert {"keras", "onnx"} < set(members(exports.__path__))
    assert "base" not in members(exports.__path__)
