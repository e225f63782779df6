"""List the errors of the flows, the problems that the API answers with, and the figures that it shows."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from docs.tables import code, table
from flows.cli import BAD_USAGE, FAILED
from schema.errors import InvalidSettings, RecommenderError
from serving import metrics

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("schema", "storage", "reviews", "spark", "tasks", "flows")
DEFINES_ERROR: Final = re.compile(r"^class \w+\((RecommenderError|InvalidInput|Unavailable|StageFailed)", re.MULTILINE)


def errors() -> list[type[RecommenderError]]:
    """Return the root of all errors and every class below it, in the order of their definition."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.py")):
            if DEFINES_ERROR.search(path.read_text("utf-8")):
                importlib.import_module(f"{folder}.{path.stem}")
    return list(dict.fromkeys(_below(RecommenderError)))


def _below(kind: type[RecommenderError]) -> Iterator[type[RecommenderError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _below(one)


def list_errors() -> str:
    """Return a table of the errors that end a run."""
    rows = (
        (
            code(kind.__name__),
            ", ".join(code(one.__name__) for one in kind.__bases__),
            code(kind.__module__),
            BAD_USAGE if issubclass(kind, InvalidSettings) else FAILED,
            code(getattr(kind, "event", "flow_failed")),
            (inspect.getdoc(kind) or "").partition("\n\n")[0],
        )
        for kind in errors()
    )
    return table(("error", "is a", "module", "exit code", "notice", "meaning"), rows)


def list_api_problems() -> str:
    """Return a table of the statuses and titles that the API answers with when it cannot do what is asked."""
    found = sorted(set(problems()))
    return table(("status", "title", "module"), [(status, title, code(module)) for status, title, module in found])


def problems() -> Iterator[tuple[int, str, str]]:
    """Yield status, title and module of each problem that the code of the API raises."""
    for path in sorted((ROOT / "serving").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem":
                status, title = node.args[0], node.args[1]
                titles = [
                    one for one in ast.walk(title) if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
                if isinstance(status, ast.Constant):
                    yield from ((int(str(status.value)), str(one.value), f"serving.{path.stem}") for one in titles)


def list_api_figures() -> str:
    """Return a table of what ``/metrics`` shows."""
    own = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    described = [(metric, next(iter(metric.describe()))) for metric in own]
    rows = [
        (
            code(about.name + ("_total" if about.type == "counter" else "")),
            about.type,
            _labels(metric),
            about.documentation,
        )
        for metric, about in described
    ]
    return table(("figure", "kind", "labels", "meaning"), rows)


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(code(name) for name in metric._labelnames)
