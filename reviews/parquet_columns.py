"""Understand a Parquet file by its own account of its columns, and read its first rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reviews.columns import choose_by_name
from reviews.unfit import Unfit
from schema.errors import InvalidInput

MAGIC = b"PAR1"
_N_ROWS = 1_000


@dataclass(frozen=True)
class ParquetColumns:
    """The columns of a Parquet file.

    Attributes:
        names: All of them.
        roles: Role -> one of the names.
        rows: The first rows as texts, role -> text, blank where nothing stands.
        evidence: How many rows and columns there are.
    """

    names: tuple[str, ...]
    roles: dict[str, str]
    rows: list[dict[str, str]]
    evidence: str


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file.

    Raises:
        InvalidInput: When it is damaged, then or while it is read.
    """
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path} is a Parquet file that is cut off or damaged ({error}). Fetch it again.") from error


def find_columns(path: Path, wanted: Mapping[str, str] | None) -> ParquetColumns:
    """Return the columns of a Parquet file.

    Args:
        path: The file.
        wanted: What `--columns` asks for.

    Raises:
        InvalidInput: When it is damaged or empty, has no user or item, or keeps more than one value in a cell of those
            that are read.
    """
    with open_parquet(path) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
        roles = choose_by_name(schema.names, wanted)
        for name in roles.values():
            _require_plain(schema.field(name))
        batch = next(file.iter_batches(_N_ROWS, columns=list(roles.values())), None) if n_rows else None
    if batch is None or not batch.num_rows:
        raise Unfit("is a Parquet file without a row; expected reviews.")
    texts = {role: [_text(value) for value in batch[name].to_pylist()] for role, name in roles.items()}
    rows = [dict(zip(texts, values, strict=True)) for values in zip(*texts.values(), strict=True)]
    return ParquetColumns(tuple(schema.names), roles, rows, f"{n_rows:,} rows of {len(schema.names)} columns")


def _require_plain(field: pa.Field) -> None:
    if pa.types.is_nested(field.type):
        raise Unfit(
            f"has the column {field.name!r} of the type {field.type}; expected one value in each row. "
            "Write one row for each, for instance with pandas' DataFrame.explode."
        )


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
