"""Every file and function that docs/how-it-works.md names exists, and each of its ten steps names one."""

import ast
import re

import pytest

from tests.docs.conftest import ROOT, prose

PAGE = prose(ROOT / "docs" / "how-it-works.md")
FILE = re.compile(r"`(kerasrun/[\w/]+(?:\.py|/))`")
NAMED = re.compile(r"`(\w+)`\s+(?:in|of the \w+, such as|\()\s*`(kerasrun/[\w/]+\.py)`")
"""`function` in `file`; `method` of the kind, such as `file`; `Class` (`file`)."""


def steps():
    story = PAGE.partition("in ten steps\n")[2].partition("\n`kerasrun resume`")[0]
    return re.split(r"^\d+\. ", story, flags=re.MULTILINE)[1:]


def test_there_are_ten_steps_and_each_names_a_function_and_its_file():
    assert len(steps()) == 10
    assert [step.splitlines()[0] for step in steps() if not NAMED.search(step)] == []


@pytest.mark.parametrize("path", sorted(set(FILE.findall(PAGE))))
def test_a_file_that_is_named_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("name", "path"), sorted(set(NAMED.findall(PAGE))))
def test_a_function_or_class_that_is_named_is_in_its_file(name, path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert name in defined


def test_the_words_of_the_code_are_explained():
    explained = re.findall(r"^- \*\*(\w+)\*\*:", PAGE.partition("## Words")[2], re.MULTILINE)
    assert explained == ["Run", "Task", "Source", "Stage", "Chunk", "Checkpoint", "Feature"]
