"""From partitions of a reviews file to the reviews and the quarantine: one file each, canonical.

Each partition is written (`write_partition`) and checked (`check_partition`) on its own, so that each may be
a task that is run again or elsewhere; `merge_partitions` then puts the outcome together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reviews.checks import CHECKS, FAILURE_SCHEMA, run_check
from reviews.options import UNITS_PER_SECOND, IngestOptions
from reviews.outcome import QUARANTINE, REVIEWS, REVIEWS_SCHEMA, CheckedPartition, write_reviews
from reviews.parse import REJECTED_SCHEMA, Partition, printable
from reviews.tables import replacing
from schema.dataset import ReviewCounts
from schema.errors import InvalidInput

__all__ = [
    "QUARANTINE",
    "REVIEWS",
    "REVIEWS_SCHEMA",
    "CheckFile",
    "CheckedPartition",
    "IngestOptions",
    "PartitionFile",
    "check_partition",
    "merge_failures",
    "merge_partitions",
    "write_partition",
    "write_reviews",
]


@dataclass(frozen=True)
class PartitionFile:
    """Where a partition was written, and what it holds.

    Attributes:
        number: Counts from 0 in file order.
        path: Parquet file of its reviews.
        rejected_path: Parquet file of its rejected lines.
        n_lines: Lines, blank ones included.
        n_blank: Blank lines.
        n_rows: Rows in path.
        n_rejected: Rows in rejected_path.
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
    """Where the failures of one check over one partition were written: line and reason."""

    number: int
    check: str
    path: Path
    n_failures: int


def write_partition(partition: Partition, folder: Path) -> PartitionFile:
    """Write a partition into a folder; a second time, the same bytes take the place of the first.

    Args:
        partition: What read_partitions yields.
        folder: Where to; made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"partition-{partition.number:05d}.parquet"
    rejected_path = folder / f"partition-{partition.number:05d}.rejected.parquet"
    for target, table in ((path, partition.reviews), (rejected_path, partition.rejected)):
        with replacing(target) as partial:
            pq.write_table(table, partial, compression="lz4", use_dictionary=False, write_statistics=False)
    return PartitionFile(
        number=partition.number,
        path=path,
        rejected_path=rejected_path,
        n_lines=partition.n_lines,
        n_blank=partition.n_blank,
        n_rows=partition.reviews.num_rows,
        n_rejected=partition.rejected.num_rows,
    )


def check_partition(partition_file: PartitionFile, check_name: str, options: IngestOptions) -> CheckFile:
    """Run one check over one partition and write its failures beside it.

    Args:
        partition_file: What write_partition returned.
        check_name: The name of one of CHECKS.
        options: The limits.

    Raises:
        InvalidInput: When there is no check of that name.
    """
    check = next((check for check in CHECKS if check.name == check_name), None)
    if check is None:
        raise InvalidInput(f"no check is named {check_name!r}; there are {[c.name for c in CHECKS]}.")
    present = pq.read_schema(partition_file.path).names
    columns = [name for name in (*check.columns, "line") if name in present]
    failures = run_check(check, pq.read_table(partition_file.path, columns=columns), options)
    path = partition_file.path.with_suffix(f".{check_name}.parquet")
    with replacing(path) as partial:
        pq.write_table(failures, partial)
    return CheckFile(partition_file.number, check_name, path, failures.num_rows)


def merge_partitions(
    partition_files: Iterable[PartitionFile],
    check_files: Iterable[CheckFile],
    folder: Path,
    options: IngestOptions,
) -> ReviewCounts:
    """Write reviews and quarantine of all partitions into a folder, one partition in memory at a time.

    Args:
        partition_files: All partitions of a file, in any order.
        check_files: The failures of each check over each partition, in any order.
        folder: Where to; made if it is not there.
        options: The timestamp unit, and the share of bad rows at which to stop.

    Raises:
        InvalidInput: When no review is left, or the share of bad rows is over options.max_bad_share.
    """
    failures_of: dict[int, list[CheckFile]] = {}
    for check_file in check_files:
        failures_of.setdefault(check_file.number, []).append(check_file)
    ordered = sorted(partition_files, key=lambda partition_file: partition_file.number)
    parts = (_checked_partition(p, failures_of.get(p.number, []), options) for p in ordered)
    return write_reviews(parts, folder, options)


def merge_failures(failures: Sequence[pa.Table]) -> pa.Table:
    """Return one row (line, reason) per failing line, in line order; several reasons are joined by '; '.

    Args:
        failures: What run_check returned for the checks of one partition, in the order of CHECKS.
    """
    reasons: dict[int, list[str]] = {}
    for table in failures:
        for line, reason in zip(table["line"].to_pylist(), table["reason"].to_pylist(), strict=True):
            reasons.setdefault(line, []).append(reason)
    lines = sorted(reasons)
    columns = {"line": lines, "reason": ["; ".join(reasons[line]) for line in lines]}
    return pa.table(columns, schema=FAILURE_SCHEMA)


def _checked_partition(
    partition_file: PartitionFile, check_files: Sequence[CheckFile], options: IngestOptions
) -> CheckedPartition:
    order = [check.name for check in CHECKS]
    in_order = sorted(check_files, key=lambda check_file: order.index(check_file.check))
    failures = merge_failures([pq.read_table(f.path, schema=FAILURE_SCHEMA) for f in in_order if f.n_failures])
    present = pq.read_schema(partition_file.path).names
    rows = pq.read_table(partition_file.path, columns=[name for name in present if name != "text"])
    is_good = pc.invert(pc.is_in(rows["line"], value_set=failures["line"].combine_chunks()))
    rejected = pq.read_table(partition_file.rejected_path)
    return CheckedPartition(
        reviews=_to_reviews(rows.filter(is_good), options),
        quarantine=pa.concat_tables([rejected, _with_text(failures, partition_file.path)]).sort_by("line"),
        n_lines=partition_file.n_lines,
        n_blank=partition_file.n_blank,
        has_ratings="rating" in present,
        has_timestamps="timestamp" in present,
    )


def _with_text(failures: pa.Table, path: Path) -> pa.Table:
    """Return line, reason and the raw text of failing rows."""
    if not failures.num_rows:
        return REJECTED_SCHEMA.empty_table()
    rows = pq.read_table(path, columns=["line", "text"])
    lines = failures["line"].combine_chunks()
    texts = rows["text"].filter(pc.is_in(rows["line"], value_set=lines))  # both in line order
    printed = pa.array([printable(text) for text in texts.to_pylist()], pa.string())
    return failures.append_column("text", printed)


def _to_reviews(rows: pa.Table, options: IngestOptions) -> pa.Table:
    columns = {name: rows[name] for name in rows.column_names}
    if "timestamp" in columns:
        seconds = pc.divide(columns["timestamp"], float(UNITS_PER_SECOND[options.timestamp_unit]))
        columns["timestamp"] = pc.floor(seconds)
    nulls = pa.nulls(rows.num_rows)
    return pa.table(
        {f.name: pc.cast(columns.get(f.name, nulls), f.type) for f in REVIEWS_SCHEMA}, schema=REVIEWS_SCHEMA
    )
