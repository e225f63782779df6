import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from random_tables import Row, Table, draw_table

from reviews.formats import Format, detect_format
from reviews.parse import read_partitions, read_texts
from reviews.side_files import read_pairs
from schema.errors import InvalidInput

N_TABLES = int(os.environ.get("TABLES", "150"))
FIRST_SEED = int(os.environ.get("FIRST_TABLE", "0"))
MOST_REFUSED = 0.02
PARTITION_BYTES = (200, 3_000, 50_000, 2**26)


def read_rows(table: Table) -> list[Row]:
    """Return what the reader makes of a table.

    Raises:
        InvalidInput: If it is refused.
    """
    found = detect_format(table.path, table.options)
    partition_bytes = PARTITION_BYTES[len(table.rows) % len(PARTITION_BYTES) if len(table.rows) < 5_000 else -1]
    rows: list[Row] = []
    lines: list[int] = []
    for part in read_partitions(table.path, found, partition_bytes):
        assert not part.rejected.num_rows, f"{found.describe()}: {part.rejected.slice(0, 3).to_pylist()}"
        columns = part.reviews.to_pydict()
        nothing = [None] * part.reviews.num_rows
        names = ("user_id", "item_id", "rating", "timestamp")
        rows += zip(*(columns.get(name, nothing) for name in names), strict=True)
        lines += columns["line"]
    _require_lines(table, found, rows, lines)
    return rows


def _require_lines(table: Table, found: Format, rows: Sequence[Row], lines: Sequence[int]) -> None:
    """Look at the records that begin where some rows are said to."""
    some = range(0, len(rows), max(len(rows) // 3, 1))
    texts = dict(read_texts(table.path, found, [lines[place] for place in some]))
    for place in some:
        for one in rows[place][:2]:
            text = texts[lines[place]]
            assert one in text or not one.isalnum() or not one.isascii(), f"line {lines[place]} is {text}, no {one}"


def is_same(found: Row, written: Row) -> bool:
    return found[:2] == written[:2] and all(
        (one is None) == (other is None) and (one is None or other is None or math.isclose(one, other, abs_tol=1e-4))
        for one, other in zip(found[2:], written[2:], strict=True)
    )


def outcome(table: Table) -> str:
    """Return "right" or "refused", or what is wrong."""
    try:
        rows = read_rows(table)
    except InvalidInput as error:
        return "refused" if len(str(error)) > 20 else f"refused without saying why: {error}"
    except AssertionError as error:
        return str(error)
    if len(rows) != len(table.rows):
        return f"{len(rows)} rows of {len(table.rows)}"
    other = [(found, written) for found, written in zip(rows, table.rows, strict=True) if not is_same(found, written)]
    return f"{len(other)} rows differ: {other[0]}" if other else "right"


def test_what_is_read_of_any_table_is_what_was_written_or_it_is_refused(tmp_path: Path):
    outcomes: Counter[tuple[bool, str]] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + N_TABLES):
        table = draw_table(seed, tmp_path)
        found = outcome(table)
        assert found in ("right", "refused"), f"table {seed}, {table.dialect}, {table.options}: {found}"
        outcomes[table.is_unmistakable, found] += 1
        table.path.unlink()
    n_refused, n_right = outcomes[True, "refused"], outcomes[True, "right"]
    assert n_refused <= MOST_REFUSED * (n_refused + n_right), outcomes


def test_lists_of_any_table_are_the_pairs_that_were_written_or_it_is_refused(tmp_path: Path):
    outcomes: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + N_TABLES, 3):
        table = draw_table(seed, tmp_path)
        try:
            read = read_pairs(table.path)
        except InvalidInput:
            outcomes["refused"] += table.dialect.header == "known" and not table.options.encoding
        else:
            pairs = list(zip(*read.table.select(["user_id", "item_id"]).to_pydict().values(), strict=True))
            is_right = pairs == [row[:2] for row in table.rows]
            is_warned = bool(table.options.input_columns) and "Nothing says which column" in " ".join(read.warnings)
            assert is_right or is_warned, f"table {seed}, {table.dialect}"
            outcomes["right"] += is_right
        table.path.unlink()
    assert outcomes["refused"] <= MOST_REFUSED * outcomes["right"], outcomes
