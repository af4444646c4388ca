"""How Sphinx builds the documentation as a web site: `make site`. Nothing is fetched from the network.

The source folder is the repository, so that the pages may link to README.md and to code.
"""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "kerasrun"
release = runpy.run_path(str(ROOT / "kerasrun" / "version.py"))["VERSION"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "data/README.md", "benchmarks/README.md"]

extensions = ["myst_parser"]
myst_heading_anchors = 4  # links name a heading as on GitHub
suppress_warnings = ["misc.highlighting_failure"]  # terminal output is not always what its language takes

html_theme = "furo"
html_title = f"kerasrun {release}"
html_extra_path = ["site"]  # index.html, which leads to docs/index.html
html_copy_source = False
