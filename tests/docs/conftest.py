"""The documents, their code blocks, and the generator of the reference."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data" / "README.md"])

_BLOCK = re.compile(r"^```([^`\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(*languages):
    """Every fenced block in one of these languages, of every document."""
    return [
        Block(path, match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for path in DOCUMENTS
        for text in [path.read_text(encoding="utf-8")]
        for match in _BLOCK.finditer(text)
        if match[1] in languages
    ]


def prose(path):
    """A document without its fenced blocks, which keep their number of lines."""
    return _BLOCK.sub(lambda match: "\n" * match[0].count("\n"), path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def reference():
    """`docs/make_reference.py` as a module."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
