"""Write a kind of model to begin with: its file, its test, its line in the registry and its setting.

    python -m deployments.new_model NAME

It works as it is, competes where it is named, and is there to be edited: it is `deployments.starter` by another name.
"""

import keyword
import re
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic.alias_generators import to_pascal

from deployments.starter import StarterOptions
from flows.settings import variables
from models import registry
from schema.errors import InvalidInput

ROOT = Path(__file__).parents[1]
STARTER, TEST = "deployments/starter.py", "tests/deployments/test_starter.py"
REGISTRY, SETTINGS = "models/registry.py", ".env.example"
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MOST_LETTERS = 30

NEXT = """\
Wrote models/{name}.py and tests/models/test_{name}.py, a line in models/registry.py and one in .env.example.
The kind works as it is. What to do next:

1. Edit models/{name}.py, and its values worked out by hand in tests/models/test_{name}.py. An option with another name
   needs another line in .env.example.
2. make lint && make test ARGS="-n 0 tests/models/test_{name}.py tests/models/test_kinds.py tests/test_socket.py"
3. Let it compete: .venv/bin/python -m benchmarks.quality FILE --models {kind},popularity
4. Add a line to CHANGELOG.md.

A worked change is in CONTRIBUTING.md, and what a kind can say of itself in docs/how-to/add-a-model.md.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the kind, say what to do next, and return the exit code: 2 for a name that cannot be taken."""
    parser = ArgumentParser("python -m deployments.new_model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", metavar="NAME", help="of the module, such as liked or recently_liked")
    name = parser.parse_args(arguments).name
    try:
        check_name(name)
    except InvalidInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    write_kind(name)
    sys.stdout.write(NEXT.format(name=name, kind=_kind(name)))
    return 0


def check_name(name: str) -> None:
    """Refuse a name that is none for a module, or that the project has already.

    Raises:
        InvalidInput: If it is one of these.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > MOST_LETTERS:
        raise InvalidInput(
            f"NAME cannot be the name of a module; found {name!r}, expected up to {MOST_LETTERS} lower-case letters, "
            "digits and single underscores, no word of Python's own. Type, for example: make new-model NAME=liked"
        )
    if taken := sorted(_taken(name)):
        raise InvalidInput(
            f"NAME is taken; found {name!r}, which would clash with {', '.join(taken)}; expected a name that no "
            "module, kind of model, setting, class or word of the code has. Choose another."
        )


def write_kind(name: str) -> None:
    """Write the kind and its test, and add it to the registry and its option to the settings."""
    kind, test, made = f"models/{name}.py", f"tests/models/test_{name}.py", to_pascal(name)
    for source, target in ((STARTER, kind), (TEST, test)):
        _write(target, _rename(_read(source), name))
    listed = _read(REGISTRY).replace("from models.", f"from models.{name} import {made}\nfrom models.", 1)
    _write(REGISTRY, listed.replace("    )\n}", f"        {made}(),\n    )\n}}", 1))
    head, title, rest = _read(SETTINGS).partition("# --- The models")
    others, gap, rest = rest.partition("\n\n")
    _write(SETTINGS, "".join((head, title, others, _rename(_settings(), name), gap, rest)))
    for step in (("check", "--fix", "--select", "I"), ("format",)):
        subprocess.run([sys.executable, "-m", "ruff", *step, "--quiet", kind, test, REGISTRY], cwd=ROOT, check=True)


def _taken(name: str) -> Iterator[str]:
    """Yield what has the name already, or one that is made of it."""
    kind, option, made = _kind(name), f"{name}_damping", to_pascal(name)
    files = [ROOT / "models" / f"{name}.py", *(ROOT / "tests").rglob(f"test_{name}.py")]
    yield from (str(path.relative_to(ROOT)) for path in files if path.exists())
    if kind in {registry.AUTO, *registry.KINDS, *(group for one in registry.KINDS.values() for group in one.groups)}:
        yield f"the kind of model, or group of them, {kind}"
    if option in variables():
        yield f"the setting {option.upper()}"
    if made in vars(registry) or re.search(rf"\b{made}\b", _read(STARTER)):
        yield f"the class {made}"
    yield from (
        f'"{kind}" in {path.relative_to(ROOT)}' for path in _modules() if f'"{kind}"' in path.read_text("utf-8")
    )


def _modules() -> Iterator[Path]:
    """Yield the modules that may name no kind of model."""
    packages = tomllib.loads(_read("pyproject.toml"))["tool"]["setuptools"]["packages"]
    for package in packages:
        if package != "models":
            yield from (ROOT / package.replace(".", "/")).glob("*.py")


def _settings() -> str:
    """Return the lines of the options."""
    fields = StarterOptions.model_fields.items()
    return "".join(f"\n## {field.description}\n#{name.upper()}={field.default}" for name, field in fields)


def _rename(text: str, name: str) -> str:
    """Return text about the starter with another name."""
    names = {
        "deployments.starter": f"models.{name}",
        '"starter"': f'"{_kind(name)}"',
        "starter": name,
        "Starter": to_pascal(name),
        "STARTER": name.upper(),
    }
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], text)


def _kind(name: str) -> str:
    """Return the name by which a kind is asked for.

    Example:
        >>> _kind("recently_liked")
        'recently-liked'
    """
    return name.replace("_", "-")


def _read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _write(name: str, text: str) -> None:
    (ROOT / name).write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
