"""The version of the code that decides what an artifact holds, found by the program and never listed by hand.

A step is its function. From there the names that a definition uses lead to the definitions behind them, over imports
and modules, as long as these are the project's own. The version is a digest of the syntax trees of all that is reached.
So a change three imports away gives another version, while a change to what only shows or logs gives the same: nothing
that computes reaches it.

Left out of the trees, because they decide no content: docstrings, comments, annotations, descriptions of options, calls
of the logger, and the module that a definition stands in. What moves, shows or runs things is not followed either,
unless a step names it as one of its roots. A module that is missing among those makes versions change too often, never
too seldom.
"""

import ast
import gc
import hashlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from schema.version import VERSION

ROOT = Path(__file__).parents[1]
# These move bytes, show results or run tasks; none of them chooses what an artifact holds.
NOT_FOLLOWED = (
    "storage",
    "reports",
    "flows",
    "tasks.store",
    "tasks.execution",
    "models.registry",
)
FOLLOWED = ("storage.parquet", "storage.canonical")  # these write what is chosen
DIGEST_LENGTH = 16

_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Root = Callable[..., Any]
Symbol = tuple[str, str]
"""A module's dotted name, and a name that the module defines; '' for all that it does when it is imported."""
Import = tuple[str, str | None]
"""A module's dotted name and, for ``from … import``, the name in there."""


def code_version(*roots: Root, files: tuple[Path, ...] = ()) -> str:
    """Return the project's version, a plus sign and a digest of all that the roots reach, which alone enters ids.

    Args:
        roots: Functions, tasks or classes; a nested function stands for the one that it is defined in.
        files: Files whose bytes count as well, such as templates.

    Raises:
        LookupError: If a name that leads into the project is not defined there.
    """
    return version_of(frozenset(_symbol(root) for root in roots), files)


# Below 3.11.8, a parse fails if another begins before it ends, which a collection of garbage allows any thread of the
# process, those of libraries too: https://github.com/python/cpython/issues/106905.
_PARSING = threading.Lock()


def _parse(source: str) -> ast.Module:
    """Return the syntax tree of a module, with no garbage collected meanwhile."""
    with _PARSING:
        collects = gc.isenabled()
        gc.disable()
        try:
            return ast.parse(source)
        finally:
            if collects:
                gc.enable()


@cache
def version_of(roots: frozenset[Symbol], files: tuple[Path, ...] = ()) -> str:
    """Return the version of what symbols reach, which need not be imported for it; as `code_version`."""
    reached = sorted(_reached(roots))
    parts = [_dump(node) for module, name in reached for node in _module(module).definitions.get(name, ())]
    parts += [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    digest = hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{VERSION}+{digest}"


@cache
def _dump(node: ast.AST) -> str:
    """Return a syntax tree as text, the same on every Python."""
    if sys.version_info >= (3, 13):
        return ast.dump(node, show_empty=True)
    return ast.dump(node)


def reached_symbols(roots: Iterable[Root]) -> set[Symbol]:
    """Return the symbols that the roots reach, the roots among them."""
    return _reached(_symbol(root) for root in roots)


def _symbol(root: Root) -> Symbol:
    function = inspect.unwrap(root)
    return function.__module__, function.__qualname__.partition(".")[0]


def _reached(roots: Iterable[Symbol]) -> set[Symbol]:
    to_do = list(roots)
    closed = tuple(one for one in NOT_FOLLOWED if not any(_is_inside(module, one) for module, _ in to_do))
    found: set[Symbol] = set()
    while to_do:
        symbol = to_do.pop()
        if symbol not in found:
            found.add(symbol)
            to_do += _uses(symbol, closed)
    return found


@dataclass
class _Module:
    """A module as its source says.

    Attributes:
        name: Its dotted name.
        definitions: Name to the statements that bind it; '' to those that bind nothing.
        imports: Name to the module that it stands for and, for ``from … import``, the name in there.
    """

    name: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)


@cache
def _module(name: str) -> _Module:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LookupError(f"The source of module {name} is not found; expected a file. Root functions stand in files.")
    module = _Module(name)
    for statement in _top_level(_parse(Path(spec.origin).read_text("utf-8")).body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            module.imports |= dict(_imported(statement))
            continue
        bare = _Bare().visit(statement)
        for bound in _bound_names(statement) or [""]:
            if bare is not None:
                module.definitions.setdefault(bound, []).append(bare)
    return module


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, also those below a condition."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            caught = [line for handler in getattr(statement, "handlers", []) for line in handler.body]
            yield from _top_level([*statement.body, *statement.orelse, *caught])
        else:
            yield statement


def _bound_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, _DEFINITION):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)]


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            yield alias.asname or alias.name, (str(statement.module), alias.name)
        elif alias.asname:
            yield alias.asname, (alias.name, None)
        else:
            top = alias.name.partition(".")[0]
            yield top, (top, None)


@cache
def _uses(symbol: Symbol, closed: tuple[str, ...]) -> frozenset[Symbol]:
    """Return the symbols of the project that a definition uses itself."""
    name, bound = symbol
    module = _module(name)
    found = {(name, "")} if "" in module.definitions and bound else set[Symbol]()
    for statement in module.definitions.get(bound, ()):
        own = [node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom)]
        imports = module.imports | {alias: target for node in own for alias, target in _imported(node)}
        for chain in _chains(statement):
            found.update(_resolve(module, imports, chain, closed))
    return frozenset(found)


def _chains(statement: ast.stmt) -> Iterator[list[str]]:
    """Yield the names that a statement reads, with the attributes that are read from them: ``a.b.c`` as a, b, c."""
    for node in ast.walk(statement):
        chain: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield [inner.id, *chain]


def _resolve(
    module: _Module, imports: Mapping[str, Import], chain: Sequence[str], closed: tuple[str, ...]
) -> Iterator[Symbol]:
    """Yield the symbol of the project that a chain of names leads to, through packages and what they import."""
    if chain[0] in module.definitions:
        yield module.name, chain[0]
        return
    if chain[0] not in imports:
        return
    source, name = imports[chain[0]]
    names = [*([name] if name else []), *chain[1:]]
    while names and _is_module(f"{source}.{names[0]}"):
        source, names = f"{source}.{names[0]}", names[1:]
    if not names or not _is_followed(source, closed):
        return
    target = _module(source)
    if names[0] not in target.definitions and names[0] not in target.imports:
        raise LookupError(f"{module.name} uses {names[0]} of {source}, which does not define it; define it there.")
    yield from _resolve(target, target.imports, names, closed)


@cache
def _is_followed(name: str, closed: tuple[str, ...]) -> bool:
    is_ours = (ROOT / name.partition(".")[0] / "__init__.py").is_file()
    is_closed = any(_is_inside(name, one) for one in closed) and not any(_is_inside(name, one) for one in FOLLOWED)
    return is_ours and not is_closed


def _is_inside(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


@cache
def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


class _Bare(ast.NodeTransformer):
    """Takes out of a syntax tree what decides no content."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings, other lone constants, and calls of the logger."""
        value: ast.AST = node.value
        if isinstance(value, ast.Constant):
            return None
        while isinstance(value, ast.Call | ast.Attribute):
            value = value.func if isinstance(value, ast.Call) else value.value
        return None if isinstance(value, ast.Name) and value.id == "logger" else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Drop the annotation of a parameter."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Drop the annotation of a variable; its value stays."""
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        """Drop what an option is for."""
        return None if node.arg == "description" else self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit the parts; drop what a function is annotated to return, and leave no body empty."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if not getattr(node, "type_params", True):  # Python 3.11 knows none
            del node.type_params  # type: ignore[attr-defined]
        super().generic_visit(node)
        if isinstance(node, ast.stmt) and getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node
