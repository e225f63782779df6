"""Diagrams of the architecture, drawn from the imports, the flow of a training and what artifacts are made from."""

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from docs.drawing import draw, reduce
from docs.tables import code, table
from storage import layout

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = (
    *("deployments", "flows", "serving", "tasks"),
    *("reviews", "spark", "models", "evaluation", "reports", "storage", "schema"),
)
PIPELINE: Final = "flows.pipeline"


@cache
def tree(name: str) -> ast.Module:
    """Return the syntax tree of a module by its dotted name."""
    return ast.parse((ROOT / f"{name.replace('.', '/')}.py").read_text("utf-8"))


def draw_imports() -> str:
    """Return a drawing of which package imports which, less what is implied."""
    notes = {package: f"{len(list((ROOT / package).rglob('*.py')))} modules" for package in PACKAGES}
    return draw(reduce(imports()), notes, "Packages, and which of them imports which")


def imports() -> dict[str, list[str]]:
    """Return the packages that each package imports, wherever in its modules."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        trees = [ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / package).rglob("*.py"))]
        named = {name.partition(".")[0] for one in trees for node in ast.walk(one) for name in _imported(node)}
        found[package] = [other for other in PACKAGES if other in named - {package}]
    return found


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [str(node.module)]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def draw_training() -> str:
    """Return a table of the steps of a training in their order, with the Prefect tasks of each."""
    steps: dict[str, list[str]] = {}
    for step, name in _tasks_of(_functions("flows.train")["train"], "beside the steps"):
        steps.setdefault(step, []).append(name)
    rows = (
        (place, step, ", ".join(map(code, dict.fromkeys(names))))
        for place, (step, names) in enumerate(steps.items(), 1)
    )
    return table(("", "step", "tasks"), rows)


def _tasks_of(body: ast.AST, step: str) -> Iterator[tuple[str, str]]:
    """Yield the step and the name of each task that a function starts, directly or by functions of `flows.pipeline`."""
    for node in ast.iter_child_nodes(body):
        opened = [_step_of(item.context_expr) for item in node.items] if isinstance(node, ast.With) else []
        yield from _tasks_of(node, next(filter(None, opened), step))
        if isinstance(node, ast.Name) and node.id in task_names():
            yield step, task_names()[node.id]
        elif function := _own_function(node):
            own = next(filter(None, map(_step_of, function.decorator_list)), step)
            yield from _tasks_of(function, own)


def _own_function(node: ast.AST) -> ast.FunctionDef | None:
    """Return the function of `flows.pipeline` that an expression names; None where it names another thing."""
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("pipeline", "trials", "self"):
        return _functions(PIPELINE).get(node.attr)
    is_top_level = isinstance(node, ast.Name) and node.id in {getattr(one, "name", None) for one in tree(PIPELINE).body}
    return _functions(PIPELINE).get(node.id) if isinstance(node, ast.Name) and is_top_level else None


def _step_of(node: ast.AST) -> str | None:
    """Return the name in ``step("…")``."""
    if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "step" and isinstance(node.args[0], ast.Constant)):
        return None
    return str(node.args[0].value)


@cache
def task_names() -> dict[str, str]:
    """Return the names of the Prefect tasks by those of their functions."""
    return {
        function.name: str(keyword.value.value)
        for path in sorted((ROOT / "tasks").glob("*.py"))
        for function in _functions(f"tasks.{path.stem}").values()
        for call in function.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "task"
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }


@cache
def _functions(module: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef)}


def draw_artifacts() -> str:
    """Return a drawing of which kinds of artifacts are made from which, without what leads back to an earlier kind."""
    place = layout.KINDS.index
    onward = {kind: [one for one in ends if place(one) > place(kind)] for kind, ends in made_from().items()}
    return draw(reduce(onward), {}, "Kinds of artifacts, and which are made from which")


def made_from() -> dict[str, list[str]]:
    """Return the kinds that are made from each kind of artifact."""
    edges: dict[str, list[str]] = {kind: [] for kind in layout.KINDS}
    for path in sorted((ROOT / "tasks").glob("*.py")):
        for kind, role in _inputs(f"tasks.{path.stem}"):
            source = layout.INPUT_KINDS[role]
            if source != kind and kind not in edges[source]:
                edges[source].append(kind)
    return {kind: sorted(ends, key=layout.KINDS.index) for kind, ends in edges.items()}


def _inputs(module: str) -> Iterator[tuple[str, str]]:
    """Yield the kind of each artifact that a module publishes, with the role of each of its inputs."""
    for call in (node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)):
        kinds = [one.attr for one in call.args if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "layout"]
        for keyword in call.keywords:
            if keyword.arg == "inputs" and kinds:
                roles = _roles(module, keyword.value, set())
                yield from ((getattr(layout, kinds[0]), role) for role in sorted(roles & set(layout.INPUT_KINDS)))


def _roles(module: str, value: ast.AST, followed: set[str]) -> set[str]:
    """Return the keys of all dictionaries in an expression, and in what its names stand for in the module."""
    found: set[str] = set()
    for node in ast.walk(value):
        if isinstance(node, ast.Dict):
            found |= {text for key in node.keys if key is not None for text in _texts(module, key)}
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None
        if name and name not in followed:
            followed.add(name)
            for one in _meanings(module).get(name, ()):
                found |= _roles(module, one, followed)
    return found


def _texts(module: str, key: ast.AST) -> set[str]:
    """Return the strings that a key may be."""
    if isinstance(key, ast.Name):
        constant: Any = getattr(importlib.import_module(module), key.id, None)
        values = _meanings(module).get(key.id, ()) if constant is None else ()
        return {constant} if constant else {text for one in values for text in _texts(module, one)}
    return {str(one.value) for one in ast.walk(key) if isinstance(one, ast.Constant)}


@cache
def _meanings(module: str) -> dict[str, list[ast.AST]]:
    """Return what each name stands for: what is assigned to it, what it returns, or what it gets as a parameter."""
    found: dict[str, list[ast.AST]] = {}
    functions = _functions(module)
    for function in functions.values():
        returned = [one.value for one in ast.walk(function) if isinstance(one, ast.Return) and one.value]
        found.setdefault(function.name, []).extend(returned)
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Assign):
            for name in (one.id for one in ast.walk(node.targets[0]) if isinstance(one, ast.Name)):
                found.setdefault(name, []).append(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            for parameter, value in zip(functions[node.func.id].args.args, node.args, strict=False):
                found.setdefault(parameter.arg, []).append(value)
    return found
