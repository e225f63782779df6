"""Titles of products, read from Amazon's metadata files (`meta_*.json.gz`) or the sample's products."""

from __future__ import annotations

import ast
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import GzipFile
from io import BufferedReader
from pathlib import Path

from schema.errors import InvalidInput

MAX_LINE_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Titles:
    """What is known of products' names.

    Attributes:
        titles: Item id to title, white space made single blanks; items without a title are left out.
        n_skipped: Lines that could not be read: no record, no `asin`, or longer than a MiB.
    """

    titles: dict[str, str]
    n_skipped: int


def read_titles(path: Path) -> Titles:
    """Read one product a line: strict JSON, or the Python literals of Amazon's 2014 release; gzipped or not.

    A product that comes twice keeps its last title. The item id is `asin`, else `parent_asin`.

    Raises:
        InvalidInput: There is no such file, or it is a damaged gzip.
    """
    if not path.is_file():
        raise InvalidInput(f"No products file at {path}; expected Amazon's meta_*.json.gz. Check the path.")
    titles: dict[str, str] = {}
    n_skipped = 0
    try:
        for line in _lines(path):
            item_id, title = (None, None) if line is None else _read_product(line)
            if item_id is None:
                n_skipped += 1
            elif title:
                titles[item_id] = title
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"{path} cannot be read to its end: {error}. Fetch it again.") from error
    return Titles(titles, n_skipped)


def _read_product(line: bytes) -> tuple[str | None, str | None]:
    """Return (item id, title) of a line; the id is None where the line is no product."""
    record = _parse(line)
    if not isinstance(record, dict):
        return None, None
    item_id = record.get("asin") or record.get("parent_asin")
    title = record.get("title")
    return (
        item_id if isinstance(item_id, str) else None,
        _one_line(title) if isinstance(title, str) else None,
    )


def _one_line(title: str) -> str:
    """Return the title on one line, with what UTF-8 cannot hold (lone surrogates) replaced."""
    return " ".join(title.split()).encode("utf-8", "replace").decode("utf-8")


def _parse(line: bytes) -> object:
    """Parse a line as JSON, else as a Python literal (which runs no code); None where it is neither."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(line.decode("utf-8"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _lines(path: Path) -> Iterator[bytes | None]:
    """Yield the lines that are not blank; None stands for one that is too long to be looked at."""
    with _open(path) as file:
        while line := file.readline(MAX_LINE_BYTES):
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                _skip_to_line_end(file)
                yield None
            elif line.strip():
                yield line


def _skip_to_line_end(file: GzipFile | BufferedReader) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _open(path: Path) -> GzipFile | BufferedReader:
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if is_gzip else path.open("rb")
