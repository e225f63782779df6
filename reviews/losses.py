"""Find what of a file is gone as a whole, since all its rows were put aside: such a loss is not random."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reviews.cells import blanks_for_tabs, read_cells
from reviews.checks import MISSING
from reviews.columns import is_number
from reviews.formats import Format
from reviews.literals import parse_json, parse_literal
from reviews.other_lines import find_other_lines
from reviews.time_forms import EARLIEST_REVIEW
from reviews.values import ROLE_COLUMNS
from schema.columns import Columns
from schema.understood import Loss

LOST_SCHEMA = pa.schema([*((name, pa.string()) for name in ROLE_COLUMNS.values()), ("reason", pa.string())])
MOST_JUDGED = 1_000_000

_PERIOD = "period"
_KINDS = {Columns.RATING: "rating value", Columns.ITEM_ID: "item", Columns.USER_ID: "user", _PERIOD: "period"}
_LEAST_ROWS = 2
_BY_CHANCE = 0.01
_MOST_EXAMPLES = 3
_UNITS = (1, 1e3, 1e6, 1e9, 1e-3, 1e-6, 1e-9)  # per second, beside that in which the file is read


def lost_values(rows: pa.Table, reasons: Sequence[str]) -> pa.Table:
    """Return rows that failed checks, with the reason of each, in the columns of LOST_SCHEMA."""
    nothing = pa.nulls(rows.num_rows, pa.string())
    columns = {
        name: rows[name].cast(pa.string()) if name in rows.column_names else nothing for name in ROLE_COLUMNS.values()
    }
    return pa.table({**columns, "reason": pa.array(reasons, pa.string())}, schema=LOST_SCHEMA)


def recover(rejected: pa.Table, file_format: Format) -> pa.Table:
    """Return what can be made out of records that could not be read, in the columns of LOST_SCHEMA.

    Args:
        rejected: reason and text of each record.
        file_format: How the file is read.
    """
    find = _cells if file_format.kind == "delimited" else _fields
    found = [find(text, file_format) for text in rejected["text"].to_pylist()]
    columns = {
        column: pa.array([one.get(role) or None for one in found], pa.string()) for role, column in ROLE_COLUMNS.items()
    }
    if file_format.decimal == ",":
        columns[Columns.RATING] = pc.replace_substring(columns[Columns.RATING], ",", ".")
    lost = pa.table({**columns, "reason": rejected["reason"]}, schema=LOST_SCHEMA)
    others = find_other_lines(lost[Columns.USER_ID], lost[Columns.ITEM_ID], file_format, None)
    return lost.filter(others[0].is_null()) if others else lost


def _cells(text: str, file_format: Format) -> Mapping[str, str]:
    """Return role -> text of a record of cells, however many there are."""
    delimiter = file_format.delimiter
    lines = blanks_for_tabs(text.splitlines(keepends=True), delimiter)
    record = next(read_cells(lines, delimiter, file_format.quote), None)
    cells = (record and record.cells) or text.split(delimiter)
    places = {role: file_format.position(role) for role in file_format.roles}
    return {role: cells[place].strip() for role, place in places.items() if place < len(cells)}


def _fields(text: str, file_format: Format) -> Mapping[str, str]:
    """Return role -> text of a record of named fields, as it is spelt."""
    found, parse = {}, parse_literal if file_format.kind == "loose-json" else parse_json
    for role, name in file_format.roles.items():
        pattern = rf"""["']{re.escape(name)}["']\s*:\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,}}\]\s]+)"""
        if match := re.search(pattern, text):
            value = parse(match[1])
            found[role] = value if isinstance(value, str) else match[1] if is_number(match[1]) else ""
    return found


def find_losses(lost: pa.Table, reviews: Path, n_rows: int, latest_timestamp: int) -> list[Loss]:
    """Return what is gone as a whole: rating values, items, users and months of which no review is left.

    Users, items and months count only where so many rows would hardly have been put aside together by chance.

    Args:
        lost: What is known of the rows that were put aside, in the columns of LOST_SCHEMA.
        reviews: The reviews that are left.
        n_rows: Rows that were put aside or left.
        latest_timestamp: Unix seconds after which no moment is one.
    """
    if not lost.num_rows:
        return []
    share = lost.num_rows / n_rows
    values = {
        Columns.RATING: [_number(text) for text in lost[Columns.RATING].to_pylist()],
        Columns.ITEM_ID: lost[Columns.ITEM_ID].to_pylist(),
        Columns.USER_ID: lost[Columns.USER_ID].to_pylist(),
        _PERIOD: [_month(text, latest_timestamp) for text in lost[Columns.TIMESTAMP].to_pylist()],
    }
    kept = _kept(reviews, values)
    reasons = lost["reason"].to_pylist()
    losses = []
    for name, kind in _KINDS.items():
        counts = Counter(value for value in values[name] if value and value.strip() and value not in MISSING)
        gone = {
            value: n
            for value, n in counts.most_common()
            if value not in kept[name] and n >= _LEAST_ROWS and (name == Columns.RATING or _is_odd(n, n_rows, share))
        }
        if gone:
            why = Counter(
                reason
                for value, reason in zip(values[name], reasons, strict=True)
                if value is not None and value in gone
            )
            examples = tuple(gone)[:_MOST_EXAMPLES]
            losses.append(Loss(kind, len(gone), examples, sum(gone.values()), why.most_common(1)[0][0]))
    return losses


def _is_odd(n: int, n_rows: int, share: float) -> bool:
    """Return whether no user of n rows is likely to have lost all of them, where a share of the rows is put aside."""
    return (n_rows / n) * share**n <= _BY_CHANCE


def _number(text: str | None) -> str | None:
    """Return a rating as it is shown, and what is no number as it is; None for a missing or infinite one."""
    if text is None or not is_number(text):
        return text and text[:40]
    number = float(text)
    return f"{number:g}" if np.isfinite(number) else None


def _month(text: str | None, latest_timestamp: int) -> str | None:
    """Return the month of a timestamp, in the unit that makes it a moment of the past; None where none does."""
    if text is None or not is_number(text):
        return text[:7] if text and re.match(r"(19|20)\d\d-[01]\d\b", text) else None
    for per_second in _UNITS:
        seconds = float(text) / per_second
        if EARLIEST_REVIEW <= seconds <= latest_timestamp:
            return str(np.datetime64(int(seconds), "s").astype("datetime64[M]"))
    return None


def _kept(reviews: Path, values: Mapping[str, Iterable[str | None]]) -> dict[str, set[str]]:
    """Return those of the values that a review has."""
    kept: dict[str, set[str]] = {name: set() for name in values}
    wanted = {name: pa.array(set(values[name]) - {None}, pa.string()) for name in (Columns.USER_ID, Columns.ITEM_ID)}
    with pq.ParquetFile(reviews) as file:
        for rows in file.iter_batches(columns=list(ROLE_COLUMNS.values()), batch_size=2**17):
            for name, ids in wanted.items():
                kept[name] |= set(rows[name].filter(pc.is_in(rows[name], value_set=ids)).to_pylist())
            kept[Columns.RATING] |= {
                f"{rating:g}" for rating in pc.unique(rows[Columns.RATING].drop_null()).to_pylist()
            }
            moments = rows[Columns.TIMESTAMP].drop_null().to_numpy()
            months = np.unique(moments.astype("datetime64[s]").astype("datetime64[M]"))
            kept[_PERIOD] |= set(months.astype(str).tolist())
    return kept
