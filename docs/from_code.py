"""Fill in what a page takes from the code: ``<!-- from the code: NAME … -->`` becomes what NAME returns."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from docs.diagrams import draw_artifacts, draw_imports, draw_training
from docs.error_tables import list_api_figures, list_api_problems, list_errors
from docs.route_tables import list_routes
from docs.setting_tables import list_api_settings, list_settings, list_stack_settings

ROOT: Final = Path(__file__).parents[1]
PLACE: Final = re.compile(r"^<!-- from the code: ([a-z-]+)(?: ([a-z]+))? -->$", flags=re.MULTILINE)
NOT_IMPORTED: Final = frozenset({"__main__", "__init__"})


def list_modules(package: str) -> str:
    """Return a section for each module of a package, which Sphinx fills with its docstrings."""
    names = sorted(path.stem for path in (ROOT / package).glob("*.py") if path.stem not in NOT_IMPORTED)
    sections = (
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {package}.{name}\n   :exclude-members: set\n```\n"
        for name in names
    )
    return "\n".join(sections)


FILLS: Final[dict[str, Callable[..., str]]] = {
    "modules": list_modules,
    "settings": list_settings,
    "api-settings": list_api_settings,
    "stack-settings": list_stack_settings,
    "routes": list_routes,
    "errors": list_errors,
    "api-problems": list_api_problems,
    "api-figures": list_api_figures,
    "imports": draw_imports,
    "training": draw_training,
    "artifacts": draw_artifacts,
}


def fill(text: str) -> str:
    """Return the text of a page with all that it takes from the code.

    Raises:
        KeyError: If it asks for what is not there.
    """
    return PLACE.sub(lambda match: FILLS[match[1]](*filter(None, [match[2]])), text)
