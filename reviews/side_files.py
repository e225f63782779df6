"""Read the tables of user and item ids that come beside the reviews."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reviews.checks import ID_CHECKS, Limits, run_check
from reviews.columns import normalise
from reviews.formats import Format, detect_format
from reviews.options import ReadingOptions
from reviews.parse import read_partitions
from reviews.values import reviews_schema
from schema.columns import Columns
from schema.errors import InvalidInput

ORDER_NAMES = ("rank", "score")
_PARTITION_BYTES = 1 << 24
_HOW_TO = "Flags set how reviews are read, not this file: give it a header of user_id and item_id."


@dataclass(frozen=True)
class Pairs:
    """A table of ids.

    Attributes:
        table: user_id and item_id (string), and rank or score (float64) where the file has one; in file order.
        warnings: What is only probable of how it was read, a sentence each.
    """

    table: pa.Table
    warnings: tuple[str, ...]


def read_pairs(path: Path) -> Pairs:
    """Return the pairs of users and items that a file holds, and what orders them.

    The file may be written and packed as reviews may be, and its columns go by the same names. Where it has a rank as
    well as a score, the rank is read.

    Raises:
        InvalidInput: If it cannot be read, has no column of users or of items, or a row lacks one of its values.
    """
    try:
        file_format, order = _find_format(path)
    except InvalidInput as error:
        raise InvalidInput(f"{error} {_HOW_TO}") from error
    partitions = list(read_partitions(path, file_format, _PARTITION_BYTES))
    for rejected in (one.rejected for one in partitions if one.rejected.num_rows):
        line, reason = (rejected[name][0].as_py() for name in (Columns.LINE, "reason"))
        raise InvalidInput(f"{path}: line {line}: {reason.replace('rating', order)}; {_expected(order)}.")
    pairs = pa.concat_tables([reviews_schema(file_format).empty_table(), *(one.reviews for one in partitions)])
    columns = {name: _require_values(pairs, name, name, path) for name in (Columns.USER_ID, Columns.ITEM_ID)}
    for failed in (run_check(check, [pairs], Limits())[0] for check in ID_CHECKS):
        if failed.num_rows:
            line, reason = (failed[name][0].as_py() for name in (Columns.LINE, "reason"))
            raise InvalidInput(f"{path}: line {line}: {reason}; expected ids as reviews have them. Write them in full.")
    if order:
        columns[order] = _require_values(pairs, Columns.RATING, order, path)
    n_trimmed = sum(one.n_trimmed for one in partitions)
    trimmed = (f"{n_trimmed:,} ids have blanks at their ends, which are cut off.",) if n_trimmed else ()
    return Pairs(pa.table(columns), file_format.understood.warnings + trimmed)


def _find_format(path: Path) -> tuple[Format, str]:
    """Return how to read users, items and what orders them, and the name of the latter; '' where there is none."""
    found = detect_format(path, roles=("user", "item"))
    spelt = {normalise(name): name for name in reversed(found.names)}
    order = next((name for name in ORDER_NAMES if name in spelt), "")
    if not order:
        return found, order
    columns = ",".join(f"{role}={name}" for role, name in {**found.roles, "rating": spelt[order]}.items())
    return detect_format(path, ReadingOptions(input_columns=columns)), order


def _require_values(pairs: pa.Table, column: str, name: str, path: Path) -> pa.ChunkedArray:
    """Return a column that has an id, or a finite number, in each row."""
    values = pairs[column]
    is_there = pc.is_finite(values) if pa.types.is_floating(values.type) else pc.greater(pc.binary_length(values), 0)
    lacking = pairs.filter(pc.invert(pc.coalesce(is_there, pa.scalar(value=False))))
    if lacking.num_rows:
        raise InvalidInput(
            f"{path}: {lacking.num_rows:,} rows have no {name}, the first in line {lacking[Columns.LINE][0]}; "
            f"{_expected(name)}."
        )
    return values


def _expected(order: str) -> str:
    return f"expected a user, an item{f' and a {order}, a finite number,' if order in ORDER_NAMES else ''} in each row"
