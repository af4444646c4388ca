"""What the documents say of the code is made from the code, and current."""

import difflib
import re

import pytest

from kerasrun.callbacks import adapters
from kerasrun.components import kinds
from kerasrun.experiment.meanings import meaning
from kerasrun.experiment.schema import Experiment
from tests.docs.conftest import ROOT, blocks
from tests.seeds import moved

PAGES = (
    "docs/experiment.md",
    "docs/commands.md",
    "docs/exact-resume.md",
    "docs/export.md",
    "docs/sweep.md",
    "docs/tracking.md",
    "README.md",
)


def part(reference, page, name):
    """What is made of a page between two marks."""
    return reference.pages()[ROOT / page].split(f"<!-- made: {name} -->")[1].split("<!-- end -->")[0]


def test_every_made_page_is_named_here(reference):
    assert {str(path.relative_to(ROOT)) for path in reference.pages()} == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_made_page_is_current(reference, page):
    written = (ROOT / page).read_text(encoding="utf-8")
    made = reference.pages()[ROOT / page].replace(f"| `{moved(1)}` | Everything random", "| `1` | Everything random")
    changes = "\n".join(difflib.unified_diff(written.splitlines(), made.splitlines(), page, "made", lineterm="", n=0))
    assert written == made, f"{page} is not what the code says now; run `make docs`\n{changes}"


def test_the_source_of_ones_own_is_the_one_that_is_trained():
    trained = (ROOT / "configs" / "own_source.py").read_text(encoding="utf-8")
    assert [block.text == trained for block in blocks("python") if "import Source" in block.text] == [True]


def test_every_kind_and_every_key_has_a_meaning():
    classes = [Experiment, *kinds("kerasrun.sources").values(), *kinds("kerasrun.models").values()]
    assert len(classes) > 5
    without = [f"{one.__name__}.{name}" for one in classes for name in one.model_fields if not meaning(one, name)]
    assert without == []


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        ("fit", "batch_size", "whole number, at least 1"),
        ("fit", "validation_split", "number, above 0, below 1; or `null`"),
        ("checkpoint", "mode", "`auto`, `min` or `max`"),
    ],
)
def test_types_and_ranges_are_told_in_words(reference, section, key, words):
    model = Experiment.model_fields[section].annotation
    assert reference.value_in_words(model.model_fields[key]) == words


def test_the_readme_shows_a_shipped_experiment_and_what_its_mistakes_print(reference):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert reference.EXAMPLE.read_text(encoding="utf-8").strip() in text
    assert len(reference.MISTAKES) == 3
    assert re.search(r"^lenet\.yaml:\d+:\d+: model: unknown network 'LeNett'", text, re.MULTILINE)
    assert "\n3 problems\n" in text


def test_a_page_that_has_lost_its_marks_is_noticed(reference, tmp_path):
    (tmp_path / "page.md").write_text("# kerasrun\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="must have these parts in this order: example"):
        reference.with_made_parts(tmp_path / "page.md", {"example": str})


def test_what_stands_outside_the_marks_is_left_alone(reference, tmp_path):
    page = "# kerasrun\n\n<!-- made: example -->\n\nold\n\n<!-- end -->\n\nThe end.\n"
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    made = reference.with_made_parts(tmp_path / "page.md", {"example": lambda: "new"})
    assert made == page.replace("old", "new")


def test_the_table_of_what_a_resume_compares_has_a_row_for_each_field(reference):
    made = part(reference, "docs/exact-resume.md", "compared")
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", made, re.MULTILINE)
    assert rows[2:] == [(field.name, field.verdict.value) for field in reference.FIELDS]


def test_the_callbacks_that_are_listed_are_those_whose_state_is_known(reference):
    listed = part(reference, "docs/experiment.md", "callbacks")
    assert set(re.findall(r"`(\w+)`", listed)) == set(adapters())
