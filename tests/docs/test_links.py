"""Every link, path, command and piece of YAML in the documents is good."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from kerasrun.cli import app
from kerasrun.experiment.load import load, parse
from tests.docs.conftest import DOCUMENTS, ROOT, blocks, prose
from tests.test_architecture import ORDER

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
TREE = re.compile(r"^[├└]── (\S+)", re.MULTILINE)
REPOSITORY_FOLDERS = ("kerasrun", "configs", "data", "docs", "tests", "benchmarks", ".ci")


def test_the_documents_are_all_there():
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert names >= {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md", "docs/design.md"}
    assert len(names) >= 9


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    wrong = [target for target in LINK.findall(prose(document)) if not _leads_somewhere(document, target)]
    assert wrong == []


def _leads_somewhere(document, target):
    if target.startswith(("https://", "mailto:")):
        return True
    name, _, anchor = target.partition("#")
    path = (document.parent / name) if name else document
    return path.exists() and (not anchor or anchor in _anchors(path))


def _anchors(path):
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_of_the_repository_exist(document):
    new = {first[2:] for block in blocks("python") if (first := block.text.splitlines()[0]).startswith("# kerasrun/")}
    assert new
    wrong = []
    for code in CODE.findall(prose(document)):
        for word in code.split():
            path = word.strip("',\"")
            is_here = path.split("/")[0] in REPOSITORY_FOLDERS and "/" in path
            if is_here and not re.search(r"[<>{}*\[…=]", path) and path not in new and not (ROOT / path).exists():
                wrong.append(path)
    assert wrong == []


@pytest.mark.parametrize("name", ["README.md", "docs/design.md"])
def test_a_map_of_the_package_is_in_the_order_of_imports(name):
    (tree,) = (
        block.text for block in blocks("") if block.document == ROOT / name and block.text.startswith("kerasrun/\n")
    )
    assert [part.removesuffix("/").removesuffix(".py") for part in TREE.findall(tree)] == list(ORDER)


def _command_lines():
    return [
        (str(block), line.removeprefix("$ "))
        for block in blocks("console")
        for line in block.text.splitlines()
        if line.startswith("$ ")
    ]


def test_there_are_command_lines_to_look_at():
    assert len([line for _, line in _command_lines() if line.startswith("kerasrun ")]) > 10


@pytest.mark.parametrize(("place", "line"), _command_lines(), ids=lambda value: value)
def test_command_lines_are_understood(place, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    program, *arguments = shlex.split(line)
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    if program == "kerasrun":
        verb, *rest = arguments
        context = typer.main.get_command(app).commands[verb].make_context(verb, rest)
        file = context.params.get("file")
        if file and file.exists():
            load(file, context.params["overrides"] or ())


def test_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {name for path in DOCUMENTS for name in re.findall(r"`make ([\w-]+)`", path.read_text(encoding="utf-8"))}
    assert named >= {"demo", "test"}
    assert [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


# What a fragment of an experiment is completed with, to be checked as a whole.
BASE = {"data": "data: {npz: {path: digits.npz}}", "model": "model: {layers: [Flatten]}"}


OTHERS = ("extending.md", "scale-out.md")
"""Their YAML is read by tests of their own."""


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if block.document.name not in OTHERS], ids=str)
def test_experiments_and_fragments_of_them_have_no_mistakes(block):
    sections = set(re.findall(r"^(\w+):", block.text, re.MULTILINE))
    assert sections
    missing = [text for section, text in BASE.items() if section not in sections]
    parse("\n".join([block.text, *missing]), Path("fragment.yaml"))
