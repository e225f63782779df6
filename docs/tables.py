"""Write tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a table; a bar in a cell does not end it.

    Example:
        >>> print(table(["flag", "meaning"], [["`--a`", "x|y"]]), end="")
        | flag | meaning |
        |---|---|
        | `--a` | x\|y |
    """
    lines = [head, *rows]
    shown = ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]
    return "\n".join([shown[0], "|" + "---|" * len(head), *shown[1:]]) + "\n"


def code(text: object) -> str:
    """Return text as code, or nothing where there is none."""
    return f"`{text}`" if text not in (None, "") else ""


def _cell(cell: object) -> str:
    """Return text on one line, in which nothing outside code opens a tag."""
    parts = " ".join(str(cell).split()).replace("|", r"\|").split("`")
    return "`".join(part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts))
