"""Whatever characters a user's names have, they are shown as they are: not as markup, and not as a failure."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from kerasrun.report import figures
from kerasrun.report.curves import Curve, RankingCurves
from kerasrun.report.plain import draw, text_table, to_json
from kerasrun.stderr import plain

NOT_UTF8 = os.fsdecode(b"caf\xe9")
NAMES = ["US$5_to_$10", r"\frac{1", "$x^$", "a\nb", "tab\there", NOT_UTF8, "_private", "<b>&amp;", "%s {0}", ""]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Zoë 猫", "Zoë 猫"), (NOT_UTF8, r"caf\udce9"), ("a\nb", r"a\nb"), ("\x1b[31mred", r"\x1b[31mred")],
)
def test_only_what_would_break_a_line_is_escaped(text, shown):
    assert plain(text) == shown


def test_a_table_has_a_line_for_each_row():
    assert len(text_table(["class", "n"], [[name, 1] for name in NAMES]).splitlines()) == len(NAMES) + 1


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_shows_every_name(name, tmp_path):
    curve = Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.5)
    drawn = {
        "confusions": figures.confusions(np.eye(2, dtype=np.int64), [name, "other"]),
        **figures.ranking({name: RankingCurves(curve, curve)}),
        "predicted": figures.predicted([name], np.zeros((2, 1)), np.ones((2, 1))),
    }
    for kind, figure in drawn.items():
        draw(figure, tmp_path / f"{kind}.png")
        with Image.open(tmp_path / f"{kind}.png") as image:
            assert min(image.size) > 100
    (label,) = drawn["roc"].axes[0].get_legend().get_texts()
    assert label.get_text().strip().replace("\n", r"\n").startswith(plain(name))


def test_letters_that_the_font_lacks_are_said_in_one_line(tmp_path, caplog, recwarn):
    draw(figures.confusions(np.eye(2, dtype=np.int64), ["日本語", "犬"]), tmp_path / "a.png")
    (line,) = caplog.messages
    assert "lacks some letters" in line
    assert not list(recwarn)


def test_json_has_null_where_a_number_is_not_finite():
    value = {"a": float("nan"), "b": [float("inf"), (1.5, None)], "c": "NaN", NOT_UTF8: 1}
    assert json.loads(to_json(value)) == {"a": None, "b": [None, [1.5, None]], "c": "NaN", NOT_UTF8: 1}
