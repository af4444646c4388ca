"""Pages of HTML are one file in which no text is markup."""

import tempfile
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from kerasrun.report import figures, pages

HOSTILE = "<script>alert('x')</script>\"&'$x$ 😀 שלום\u202e\ud800\x07"


class Page(HTMLParser):
    """What a browser sees of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def check_is_self_contained(text):
    """The promise of every page: no script, nothing from elsewhere, words for each picture."""
    page = Page(text)
    assert not page.all("script")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    addresses = [one.get(key) for _, one in page.tags for key in ("src", "href", "xlink:href") if key in one]
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert not [one for _, attributes in page.tags for one in attributes.values() if one and "http" in one]
    assert "url(" not in text.replace("url(#", "")
    assert "@import" not in text
    assert all(one["alt"] for one in page.all("img"))
    assert all(one["aria-label"] and one["role"] == "img" for one in page.all("svg"))
    return page


def test_text_in_a_drawing_is_text():
    with pages.style():
        drawn = [figures.confusions(np.eye(2, dtype=np.int64), [HOSTILE, name]) for name in ("a", "b")]
    text = "".join(pages.drawing(figure, HOSTILE) for figure in drawn)
    page = check_is_self_contained(text)
    assert "<script>alert('x')</script>\"&'$x$ 😀 שלום\\u202e\\ud800\\x07" in page.text
    named = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(named) == len(set(named)) > 10
    references = {one["xlink:href"].removeprefix("#") for one in page.all("use")}
    assert references <= set(named)
    assert references


def test_a_drawing_has_the_colour_of_the_text_around_it():
    with pages.style():
        text = pages.drawing(figures.predicted(["price"], np.zeros((2, 1)), np.ones((2, 1))), "points")
    assert "currentColor" in text
    assert "#010203" not in text


def test_a_drawing_needs_no_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pages.style():
        assert "</svg>" in pages.drawing(figures.predicted(["price"], np.zeros((2, 1)), np.ones((2, 1))), "points")


def test_very_many_points_are_pixels():
    points = np.random.default_rng(0).normal(size=(100_000, 1))
    with pages.style():
        assert len(pages.drawing(figures.predicted(["price"], points, points), "points")) < 300_000


def test_a_small_picture_keeps_its_pixels_and_a_large_one_becomes_small():
    assert pages.address_of(Image.new("L", (32, 32)), 160).startswith("data:image/png;base64,")
    large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8))
    address = pages.address_of(large, 160)
    assert address.startswith("data:image/jpeg;base64,")
    assert len(address) < 60_000
