"""Build the pages with Sphinx from the Markdown beside this file and, where a page asks for it, from the code."""

import re
from importlib.util import find_spec
from typing import Any

from pygments.lexers.special import TextLexer

import flows.prefect_app  # noqa: F401 - autodoc imports with TYPE_CHECKING on, which Prefect's server does not bear
from docs.from_code import fill
from docs.route_tables import openapi

project = "amazon-recommender"
html_title = project
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["requirements.txt"]
myst_heading_anchors = 3
smartquotes = False  # two dashes are the beginning of a flag
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
default_role = "code"  # in docstrings `name` is code, as in Markdown
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_mock_imports = [name for name in ("torch",) if find_spec(name) is None]
maximum_signature_line_length = 100
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # a short name in a docstring that several modules have
linkcheck_timeout = 30


def setup(app: Any) -> None:
    """Have each page ask the code before it is parsed, and take docstrings for the plain text that they are."""
    openapi()  # nor does FastAPI: the schema is made before autodoc imports anything
    app.add_lexer("mermaid", TextLexer)  # which GitHub draws
    app.connect("source-read", lambda _app, _name, source: source.__setitem__(0, fill(unlink(source[0]))))
    app.connect("autodoc-process-docstring", lambda *about: escape(about[-1]), priority=0)


def unlink(page: str) -> str:
    """Return a page with links to Markdown beside docs/ as their text: GitHub has these files, the site has not."""
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)+[A-Z]+\.md[^)]*\)", r"`\1`", page)


def escape(lines: list[str]) -> None:
    """Escape, in place, the bars and stars of formulas in the lines of a docstring; examples and code stay."""
    is_example = False
    for place, line in enumerate(lines):
        is_example = line.lstrip().startswith(">>>") or (is_example and bool(line.strip()))
        if not is_example:
            parts = line.split("`")
            lines[place] = "`".join(one if n % 2 else re.sub(r"([|*])", r"\\\1", one) for n, one in enumerate(parts))
