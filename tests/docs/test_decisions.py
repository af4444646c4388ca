"""Every decision has its number, its page and its place in the list."""

import re

from tests.docs.conftest import ROOT

FOLDER = ROOT / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))


def test_decisions_are_numbered_from_one_and_say_what_and_why():
    assert [int(page.name.partition("-")[0]) for page in PAGES] == list(range(1, len(PAGES) + 1))
    for number, page in enumerate(PAGES, start=1):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. "), page.name
        assert "**Decision.**" in text, page.name
        assert "**Why.**" in text, page.name


def test_the_list_has_each_by_its_title():
    listed = re.findall(r"^- \[(.+)\]\((.+)\)$", (FOLDER / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    titles = [page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for page in PAGES]
    assert len(PAGES) >= 11
    assert listed == [(title, page.name) for title, page in zip(titles, PAGES, strict=True)]
