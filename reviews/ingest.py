"""Turn partitions of a reviews file into the reviews and the quarantine, one file each.

Each partition is written (`write_partition`) and checked (`check_partition`) on its own, so that each can be a task
that is retried or runs elsewhere; `merge_partitions` then puts the results together.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reviews.checks import CHECKS, FAILURE_SCHEMA, run_check
from reviews.options import UNITS_PER_SECOND, IngestOptions
from reviews.parse import REJECTED_SCHEMA, Partition, printable
from schema.columns import Columns
from schema.dataset import QuarantineReason, ReviewCounts
from schema.errors import InvalidInput
from schema.parquet import WriteParquet

REVIEWS = "reviews.parquet"
QUARANTINE = "quarantine.parquet"
REVIEWS_SCHEMA = pa.schema(
    [
        (Columns.USER_ID, pa.string()),
        (Columns.ITEM_ID, pa.string()),
        (Columns.RATING, pa.float32()),
        (Columns.TIMESTAMP, pa.int64()),
        (Columns.LINE, pa.int64()),
    ]
)
_MAX_REASONS_SHOWN = 3
_MAX_EXAMPLE_CHARACTERS = 120


@dataclass(frozen=True)
class PartitionFile:
    """The Parquet files of a partition: n_rows reviews and n_rejected lines, out of n_lines, blank ones included.

    Partitions are numbered from 0 in file order.
    """

    number: int
    path: Path
    rejected_path: Path
    n_lines: int
    n_blank: int
    n_rows: int
    n_rejected: int


@dataclass(frozen=True)
class CheckFile:
    """The Parquet file with the failures (line, reason) of one check over one partition."""

    number: int
    check: str
    path: Path
    n_failures: int


def write_partition(partition: Partition, folder: Path, write_parquet: WriteParquet) -> PartitionFile:
    """Write a partition into a folder, which is made; a second time, the same bytes take the place of the first."""
    path = folder / f"partition-{partition.number:05d}.parquet"
    rejected_path = folder / f"partition-{partition.number:05d}.rejected.parquet"
    return PartitionFile(
        number=partition.number,
        path=path,
        rejected_path=rejected_path,
        n_lines=partition.n_lines,
        n_blank=partition.n_blank,
        n_rows=write_parquet([partition.reviews], path, partition.reviews.schema),
        n_rejected=write_parquet([partition.rejected], rejected_path, REJECTED_SCHEMA),
    )


def check_partition(
    partition: PartitionFile, check_name: str, options: IngestOptions, write_parquet: WriteParquet
) -> CheckFile:
    """Run one of CHECKS, by its name, over one partition and write its failures beside it.

    Raises:
        InvalidInput: When there is no check of that name.
    """
    check = next((check for check in CHECKS if check.name == check_name), None)
    if check is None:
        raise InvalidInput(f"no check is named {check_name!r}; there are {[c.name for c in CHECKS]}.")
    present = pq.read_schema(partition.path).names
    columns = [name for name in (check.name, Columns.LINE) if name in present]
    failures = run_check(check, pq.read_table(partition.path, columns=columns), options)
    path = partition.path.with_suffix(f".{check_name}.parquet")
    return CheckFile(partition.number, check_name, path, write_parquet([failures], path, FAILURE_SCHEMA))


def merge_partitions(
    partitions: Iterable[PartitionFile],
    checks: Iterable[CheckFile],
    folder: Path,
    options: IngestOptions,
    write_parquet: WriteParquet,
) -> ReviewCounts:
    """Write QUARANTINE and REVIEWS of all partitions, given in any order, with one partition in memory at a time.

    Raises:
        InvalidInput: When no review is left, or the share of bad rows is over options.max_bad_share; the reviews are
            not written then.
    """
    failures: dict[int, list[CheckFile]] = {}
    for check in checks:
        failures.setdefault(check.number, []).append(check)
    parts = [(part, failures.get(part.number, [])) for part in sorted(partitions, key=lambda part: part.number)]
    n_lines, n_blank = sum(part.n_lines for part, _ in parts), sum(part.n_blank for part, _ in parts)
    quarantine, reviews = folder / QUARANTINE, folder / REVIEWS
    n_quarantined = write_parquet((_quarantine(*part) for part in parts), quarantine, REJECTED_SCHEMA)
    _require_enough_good(n_lines, n_blank, n_quarantined, quarantine, options)
    n_reviews = write_parquet((_reviews(*part, options) for part in parts), reviews, REVIEWS_SCHEMA)
    columns = {name for part, _ in parts for name in pq.read_schema(part.path).names}
    return ReviewCounts(
        n_lines=n_lines,
        n_blank=n_blank,
        n_reviews=n_reviews,
        n_quarantined=n_quarantined,
        has_ratings=Columns.RATING in columns,
        has_timestamps=Columns.TIMESTAMP in columns,
        n_distinct_ratings=_count_distinct(reviews, Columns.RATING),
    )


def count_reasons(quarantine: Path) -> list[QuarantineReason]:
    """Return every reason in a quarantine file, the commonest first, with the first line that it concerns."""
    counts: Counter[str] = Counter()
    examples: dict[str, tuple[int, str]] = {}
    for rows in _batches(quarantine, REJECTED_SCHEMA.names):
        for line, reason, text in zip(*rows.to_pydict().values(), strict=True):
            counts[reason] += 1
            examples.setdefault(reason, (line, text))
    commonest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [QuarantineReason(reason, count, *examples[reason]) for reason, count in commonest]


def _count_distinct(path: Path, column: str) -> int:
    """Return the number of different values, nulls left out, of a column of a Parquet file."""
    distinct = np.empty(0)
    for rows in _batches(path, [column]):
        distinct = np.union1d(distinct, pc.unique(rows[column]).drop_null().to_numpy())
    return len(distinct)


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(columns=list(columns))


def _require_enough_good(
    n_lines: int, n_blank: int, n_quarantined: int, quarantine: Path, options: IngestOptions
) -> None:
    n_rows = n_lines - n_blank
    if not n_rows:
        raise InvalidInput(
            f"the input holds no review: {n_lines} lines, {n_blank} of them blank. "
            f"Expected a review per line after the header, if there is one."
        )
    if n_quarantined < n_rows and n_quarantined <= options.max_bad_share * n_rows:
        return
    reasons = count_reasons(quarantine)
    shown = "; ".join(
        f"{one.count} x {one.reason}, first in line {one.example_line}: {one.example_text[:_MAX_EXAMPLE_CHARACTERS]!r}"
        for one in reasons[:_MAX_REASONS_SHOWN]
    )
    more = len(reasons) - _MAX_REASONS_SHOWN
    advice = "or allow more with --max-bad-share" if n_quarantined < n_rows else "no good row is left"
    raise InvalidInput(
        f"{n_quarantined} of {n_rows} rows ({n_quarantined / n_rows:.1%}) are bad; expected at "
        f"most {options.max_bad_share:.1%}. Commonest reasons: {shown}"
        f"{f'; and {more} more' if more > 0 else ''}. Correct the file, or the settings that a reason names; {advice}."
    )


def _quarantine(partition: PartitionFile, checks: Sequence[CheckFile]) -> pa.Table:
    """Return line, reason and raw text of the lines of a partition that are no reviews, in line order."""
    rejected = pq.read_table(partition.rejected_path)
    failures = _merged_failures(checks)
    if not failures:
        return rejected
    rows = pq.read_table(partition.path, columns=[Columns.LINE, "text"])
    texts = rows.filter(pc.is_in(rows[Columns.LINE], value_set=pa.array(failures, pa.int64())))["text"]
    columns = [list(failures), list(failures.values()), [printable(text) for text in texts.to_pylist()]]
    return pa.concat_tables([rejected, pa.table(columns, schema=REJECTED_SCHEMA)]).sort_by(Columns.LINE)


def _merged_failures(checks: Sequence[CheckFile]) -> dict[int, str]:
    """Return line -> reason in line order; several reasons of a line, in the order of CHECKS, are joined by '; '."""
    order = [check.name for check in CHECKS]
    reasons: dict[int, list[str]] = {}
    for check in sorted(checks, key=lambda check: order.index(check.check)):
        if check.n_failures:
            for line, reason in zip(*pq.read_table(check.path).to_pydict().values(), strict=True):
                reasons.setdefault(line, []).append(reason)
    return {line: "; ".join(reasons[line]) for line in sorted(reasons)}


def _reviews(partition: PartitionFile, checks: Sequence[CheckFile], options: IngestOptions) -> pa.Table:
    """Return the rows of a partition that passed all checks, timestamps in seconds, missing columns as nulls."""
    failed = [pq.read_table(check.path, columns=[Columns.LINE]) for check in checks if check.n_failures]
    present = pq.read_schema(partition.path).names
    rows = pq.read_table(partition.path, columns=[name for name in present if name != "text"])
    if failed:
        lines = pa.concat_tables(failed)[Columns.LINE].combine_chunks()
        rows = rows.filter(pc.invert(pc.is_in(rows[Columns.LINE], value_set=lines)))
    columns = {name: rows[name] for name in rows.column_names}
    if Columns.TIMESTAMP in columns:
        per_second = float(UNITS_PER_SECOND[options.timestamp_unit])
        columns[Columns.TIMESTAMP] = pc.floor(pc.divide(columns[Columns.TIMESTAMP], per_second))
    nulls = pa.nulls(rows.num_rows)
    return pa.table({f.name: pc.cast(columns.get(f.name, nulls), f.type) for f in REVIEWS_SCHEMA})
