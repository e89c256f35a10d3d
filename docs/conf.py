"""The site: `make docs` builds it, with warnings as errors and nothing fetched."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import generate

project = "instep"
author = "The instep developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_generated"]  # pictures and texts that pages include

nitpicky = True  # what is named in a docstring is on the site
# Types of attributes are said in words, which are looked up all the same.
nitpick_ignore_regex = [("py:class", "ndarray|float64|shape|tensors|n|str to ndarray")]
default_role = "py:obj"
autodoc_typehints = "none"  # docstrings say it in words
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_use_ivar = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "instep"
html_show_copyright = False
html_copy_source = False


def setup(app: Sphinx) -> None:
    """Write the generated pages and pictures before the sources are looked for."""
    app.connect("builder-inited", lambda app: generate.everything(Path(app.srcdir)))
