"""The page of an inspection: what was found, with the pictures. One file, which loads nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from kerasrun.errors import KerasrunError, UsageError
from kerasrun.inspection.examples import Examples
from kerasrun.inspection.inspection import Inspection
from kerasrun.reading.images import read_bytes, read_image
from kerasrun.report.pages import address_of, rendered
from kerasrun.runs import atomic

_GROUPS = 30
_OF_GROUP = 8
_SIDE = 160


def write_page(inspection: Inspection, file: Path) -> Path:
    """Write the findings as a page of HTML, with the pictures of at most 30 groups of each.

    Raises:
        UsageError: if the file's name does not end in .html.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{file}: the page is an HTML file; expected a name that ends in .html")
    pictures = dict(_pictures(inspection))
    page = rendered(
        *("kerasrun.inspection", "page.html"),
        inspection=inspection,
        pictures=pictures,
        most=_GROUPS,
        most_of_group=_OF_GROUP,
    )
    with atomic.replacing(file) as private:
        private.write_text(page, encoding="utf-8")
    return file


def _pictures(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """Give the pictures that are shown, as `data:` addresses, by the names of the examples."""
    examples = inspection.examples
    places = {name: place for place, name in enumerate(examples.names)}
    for finding in inspection.findings:
        for group in finding.groups[:_GROUPS]:
            for name in group[:_OF_GROUP]:
                if examples.looks is not None and name in places:
                    yield name, _address(examples, places[name])


def _address(examples: Examples, place: int) -> str:
    assert examples.looks is not None
    if examples.paths is None:
        small = examples.looks[place]
        image = Image.fromarray(small.squeeze(-1) if small.shape[-1] == 1 else small)
    else:
        path = examples.paths[place]
        try:
            image = read_image(read_bytes(path), "rgb", path)
        except KerasrunError:  # it could be read a moment ago, and is gone
            return ""
    return address_of(image, _SIDE)
