"""The console command ``amazon-recommender``: the project's programs by their names, with the flags of the scripts.

Only the program that is asked for is imported, as ``python flows/NAME.py`` does.
"""

import ast
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from runpy import run_module

from schema.version import VERSION

NAME = "amazon-recommender"
ROOT = Path(__file__).parents[1]
COMPLETION = Path(__file__).with_name("completion.sh")
FLOWS = ("demo", "train", "evaluate", "recommend", "promote", "explore", "ingest", "sample", "store")
PROGRAMS = {name: f"flows/{name}.py" for name in FLOWS} | {"serve": "serving/__main__.py"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program that the command line begins with, which ends the process with its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in PROGRAMS:
        sys.argv = [f"{NAME} {given[0]}", *given[1:]]  # which usage messages begin with
        run_module(PROGRAMS[given[0]].removesuffix(".py").replace("/", "."), run_name="__main__")
    _parser().parse_args(given)
    sys.stdout.write(COMPLETION.read_text("utf-8"))
    return 0


def _parser() -> ArgumentParser:
    """Return the parser of a command line that begins with no program."""
    parser = ArgumentParser(NAME, description="An end-to-end recommender for product reviews.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    offered = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, path in PROGRAMS.items():
        offered.add_parser(name, help=_purpose(name, ROOT / path))
    offered.add_parser("completion", help=f'print what completes all this in bash: eval "$({NAME} completion)"')
    return parser


def _purpose(name: str, path: Path) -> str:
    """Return the first line of a program's docstring, which may begin with its name."""
    first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
    said = first.removeprefix(f"{name.capitalize()}: ").rstrip(".").replace("%", "%%")
    return said[:1].lower() + said[1:]
