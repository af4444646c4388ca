"""Pages of HTML that are one file: everything is in it, nothing is loaded from elsewhere, and no text is markup."""

from __future__ import annotations

import base64
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from kerasrun.report.figures import empty
from kerasrun.report.plain import draw
from kerasrun.stderr import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

_INK = "#010203"
"""What is drawn in it gets the colour of the text around it, in light and in dark."""
_COLORS = ["#4285e8", "#e8842c", "#35a363", "#9468d6", "#d9534f", "#20a4b5", "#b08a2e", "#7a8794"]
"""They can be told from white and from black."""
_STYLE: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    **{"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False},
    "axes.prop_cycle": f"cycler('color', {_COLORS})",
    "svg.fonttype": "none",  # the browser draws the text: it has the letters of every script
    "svg.hashsalt": "kerasrun",  # the same numbers give the same file
}
SIDE = 160
"""The pixels of a small picture."""
_MOST_POINTS = 5000
"""More of them are drawn as pixels."""
_NOT_IN_HTML = re.compile(r"<metadata>.*?</metadata>| xmlns(:xlink)?=\"[^\"]*\"", re.DOTALL)
_NAME = re.compile(r"""(\bid="|href="#|url\(#)""")


def rendered(package: str, template: str, **values: Any) -> str:
    """Return a template of a package with values, of which every text is escaped: names are anybody's."""
    environment = Environment(
        loader=PackageLoader(package, "."), autoescape=True, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(values)


def _printable(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def address_of(image: Image.Image, side: int) -> str:
    """Return an image, no larger than `side`, as a `data:` address; one that is small anyway keeps every pixel."""
    is_small = max(image.size) <= 64
    image.thumbnail((side, side))
    file, kind = io.BytesIO(), "png" if is_small else "jpeg"
    image.save(file, kind, quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


@contextmanager
def style() -> Iterator[None]:
    """Have pictures that are made in the block suit a page."""
    empty(1, 1)  # the door by which Matplotlib is loaded
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def drawing(figure: Figure, alternative: str) -> Markup:
    """Return a picture, made in `style`, as part of a page.

    Args:
        alternative: what it shows, in words.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

    for artist in [*figure.findobj(Line2D), *figure.findobj(PathCollection)]:
        if _points(artist) > _MOST_POINTS:
            artist.set_rasterized(True)
    picture = io.StringIO()  # a disk for temporary files may be full
    with style():
        draw(figure, picture, format="svg", dpi=120, metadata={"Date": None})
    return _in_page(picture.getvalue(), alternative)


def _points(artist: Any) -> int:
    return len(artist.get_xdata() if hasattr(artist, "get_xdata") else artist.get_offsets())


def _in_page(svg: str, alternative: str) -> Markup:
    """Return what a file of SVG draws, with names that no other picture of the page has."""
    own = f"p{zlib.crc32(svg.encode()):08x}-"
    body = _NOT_IN_HTML.sub("", svg[svg.index("<svg") :]).replace(_INK, "currentColor")
    body = _NAME.sub(rf"\g<1>{own}", body)
    label = escape(plain(alternative))
    return Markup(body.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))
