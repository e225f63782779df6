"""Merge the partitions of a reviews file into the reviews and the quarantine, one file each, and say what is lost."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reviews.checks import CHECKS
from reviews.formats import Format, detect_format
from reviews.losses import MOST_JUDGED, find_losses, lost_values, recover
from reviews.options import IngestOptions
from reviews.parse import REJECTED_SCHEMA
from reviews.partitions import Checked, CheckFile, PartitionFile, check_partitions
from reviews.reading import ReadReviews, read_reviews, read_texts_beside
from schema.columns import Columns
from schema.dataset import QuarantinedRow, QuarantineReason, ReviewCounts
from schema.errors import InvalidInput
from schema.parquet import WriteParquet
from schema.understood import Loss

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
MOST_DECIMAL_IDS = 100_000
_MAX_REASONS_SHOWN = 3
_MAX_EXAMPLE_CHARACTERS = 120

ReadTexts = Callable[[Sequence[int]], Iterator[tuple[int, str]]]
"""Given rising line numbers, yields them and the raw records that begin there, in one pass."""

Part = tuple[PartitionFile, Sequence[CheckFile]]


@dataclass(frozen=True)
class Merged:
    """What came of all partitions.

    Attributes:
        counts: Rows of each kind.
        losses: What is gone as a whole.
        warnings: Sentences on ids that may be the same.
    """

    counts: ReviewCounts
    losses: Sequence[Loss] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Tally:
    """What is counted while the reviews and the quarantine go by.

    Attributes:
        ratings: Different ratings.
        lost: What is known of rows that were put aside.
        decimal_ids: Column -> ids that end with '.0', each once, MOST_DECIMAL_IDS at most.
    """

    ratings: set[float] = field(default_factory=set)
    lost: list[pa.Table] = field(default_factory=list)
    decimal_ids: dict[str, pa.Array] = field(default_factory=dict)

    def add_ids(self, rows: pa.Table) -> None:
        """Keep the ids of reviews that end with '.0'."""
        for column in (Columns.USER_ID, Columns.ITEM_ID):
            ids = rows[column].filter(pc.ends_with(rows[column], ".0"))
            known = self.decimal_ids.get(column, pa.array([], pa.string()))
            if len(ids) and len(known) < MOST_DECIMAL_IDS:
                both = pc.unique(pa.chunked_array([known, *ids.chunks]))
                self.decimal_ids[column] = both.slice(0, MOST_DECIMAL_IDS)

    def add_lost(self, rows: pa.Table) -> None:
        """Keep what is known of rows that are put aside, of a million at most."""
        if sum(one.num_rows for one in self.lost) < MOST_JUDGED:
            self.lost.append(rows)


def ingest_file(
    path: Path, options: IngestOptions, folder: Path, write_parquet: WriteParquet, events: Path | None = None
) -> Merged:
    """Read, check and merge a file, and events beside it, in this process; QUARANTINE and REVIEWS go into a folder.

    Raises:
        InvalidInput: When the file cannot be read, or too large a share of its rows is bad.
    """
    scratch = folder / "partitions"
    read = read_reviews(path, detect_format(path, options), options, scratch, write_parquet, events=events)
    checked = [check_partitions(read.partitions, check.name, read.limits, write_parquet) for check in CHECKS]
    return merge_partitions(
        read, checked, partial(read_texts_beside, path, events, read), folder, options, write_parquet
    )


def merge_partitions(
    read: ReadReviews,
    checks: Iterable[Checked],
    read_texts: ReadTexts,
    folder: Path,
    options: IngestOptions,
    write_parquet: WriteParquet,
) -> Merged:
    """Write QUARANTINE and REVIEWS of all partitions, with one partition in memory at a time.

    Args:
        read: The file as it was read.
        checks: What every check found in its partitions, in any order.
        read_texts: Reads records of the file again, those that failed checks.
        folder: Where both files go.
        options: The share of bad rows that is allowed.
        write_parquet: Writes a file.

    Raises:
        InvalidInput: When no review is left, or the share of bad rows is over options.max_bad_share; nothing is
            written then.
    """
    failures: dict[int, list[CheckFile]] = {}
    for found in (one for check in checks for one in check.files):
        failures.setdefault(found.number, []).append(found)
    parts = [(part, failures.get(part.number, [])) for part in read.partitions]
    n_lines, n_blank = sum(part.n_lines for part, _ in parts), sum(part.n_blank for part, _ in parts)
    quarantine, reviews, tally = folder / QUARANTINE, folder / REVIEWS, Tally()
    _require_enough_good(parts, n_lines, n_blank, read_texts, options)
    put_aside = _quarantine(parts, read.format, read_texts, tally)
    n_quarantined = write_parquet(put_aside, quarantine, REJECTED_SCHEMA)
    n_reviews = write_parquet((_reviews(*part, tally) for part in parts), reviews, REVIEWS_SCHEMA)
    columns = {name for part, _ in parts for name in part.columns()}
    counts = ReviewCounts(
        n_lines=n_lines,
        n_blank=n_blank,
        n_reviews=n_reviews,
        n_quarantined=n_quarantined,
        has_ratings=Columns.RATING in columns,
        has_timestamps=Columns.TIMESTAMP in columns,
        n_distinct_ratings=len(tally.ratings),
    )
    return Merged(
        counts,
        _find_losses(tally, counts, reviews, read.limits.latest_timestamp),
        list(_say_decimal_ids(reviews, tally.decimal_ids)),
    )


def _find_losses(tally: Tally, counts: ReviewCounts, reviews: Path, latest_timestamp: int) -> list[Loss]:
    if not tally.lost:
        return []
    lost = pa.concat_tables(tally.lost)
    n_rows = (counts.n_reviews + counts.n_quarantined) * lost.num_rows // counts.n_quarantined  # those that it is of
    return find_losses(lost, reviews, n_rows, latest_timestamp)


def count_reasons(quarantine: Path) -> list[QuarantineReason]:
    """Return every reason in a quarantine file, the commonest first, with the first line that it concerns."""
    counts: Counter[str] = Counter()
    examples: dict[str, tuple[int, str]] = {}
    for rows in _batches(quarantine, REJECTED_SCHEMA.names):
        for line, reason, text in zip(*rows.to_pydict().values(), strict=True):
            counts[reason] += 1
            examples.setdefault(reason, (line, text))
    return _ranked(counts, examples)


def _ranked(counts: Mapping[str, int], examples: Mapping[str, tuple[int, str]]) -> list[QuarantineReason]:
    commonest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [QuarantineReason(reason, count, *examples[reason]) for reason, count in commonest]


def first_rows(quarantine: Path, n_rows: int) -> list[QuarantinedRow]:
    """Return the first rows of a quarantine file."""
    with pq.ParquetFile(quarantine) as file:
        rows = next(file.iter_batches(batch_size=n_rows, columns=REJECTED_SCHEMA.names), None)
    return [QuarantinedRow(**row) for row in rows.to_pylist()] if rows else []


def _say_decimal_ids(reviews: Path, spelt: Mapping[str, pa.Array]) -> Iterator[str]:
    """Yield a warning on ids, of users and of items, that are others with '.0' behind."""
    for column, ids in spelt.items():
        stems, batches = pc.utf8_slice_codeunits(ids, 0, -2), (rows[column] for rows in _batches(reviews, [column]))
        found = [pc.unique(rows.filter(pc.is_in(rows, value_set=stems))) for rows in batches]
        both = pc.unique(pa.chunked_array(found, pa.string()))
        if len(both):
            one, verb = pc.min(both), "id is" if len(both) == 1 else "ids are"
            least = "At least " if len(ids) == MOST_DECIMAL_IDS else ""
            yield (
                f"{least}{len(both):,} {column.removesuffix('_id')} {verb} there with '.0' behind as well, such as "
                f"{one}.0 beside {one}; they are taken as different ones. Spell them alike in the file."
            )


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(columns=list(columns))


def _require_enough_good(
    parts: Sequence[Part], n_lines: int, n_blank: int, read_texts: ReadTexts, options: IngestOptions
) -> None:
    n_rows = n_lines - n_blank
    if not n_rows:
        raise InvalidInput(
            f"the input holds no review: {n_lines} lines, {n_blank} of them blank. "
            f"Expected a review per line after the header, if there is one."
        )
    n_bad = sum(partition.n_rejected + len(_failed_lines(checks)) for partition, checks in parts)
    if n_bad < n_rows and n_bad <= options.max_bad_share * n_rows:
        return
    reasons = _first_reasons(parts, read_texts)
    shown = "; ".join(
        f"{one.count} x {one.reason}, first in line {one.example_line}: {one.example_text[:_MAX_EXAMPLE_CHARACTERS]!r}"
        for one in reasons[:_MAX_REASONS_SHOWN]
    )
    more = len(reasons) - _MAX_REASONS_SHOWN
    advice = "or allow more with --max-bad-share" if n_bad < n_rows else "no good row is left"
    raise InvalidInput(
        f"{n_bad} of {n_rows} rows ({n_bad / n_rows:.1%}) are bad; expected at "
        f"most {options.max_bad_share:.1%}. Commonest reasons: {shown}"
        f"{f'; and {more} more' if more > 0 else ''}. Correct the file, or the settings that a reason names; {advice}."
    )


def _first_reasons(parts: Sequence[Part], read_texts: ReadTexts) -> list[QuarantineReason]:
    """Return every reason, the commonest first; of the file, only the first record of each is read again."""
    counts: Counter[str] = Counter()
    examples: dict[str, tuple[int, str]] = {}
    lines: dict[str, int] = {}
    for partition, checks in parts:
        for line, reason, text in zip(*partition.read_rejected().to_pydict().values(), strict=True):
            counts[reason] += 1
            examples.setdefault(reason, (line, text))
        for line, reason in _merged_failures(checks).items():
            counts[reason] += 1
            lines.setdefault(reason, line)
    texts = dict(read_texts(sorted(set(lines.values()))))
    return _ranked(counts, {reason: (line, texts[line]) for reason, line in lines.items()} | examples)


def _quarantine(parts: Sequence[Part], file_format: Format, read_texts: ReadTexts, tally: Tally) -> Iterator[pa.Table]:
    """Yield line, reason and raw text of the records of each partition that are no reviews, in line order."""
    texts = read_texts([line for _, checks in parts for line in sorted(_failed_lines(checks).to_pylist())])
    for partition, checks in parts:
        rejected, failures = partition.read_rejected(), _merged_failures(checks)
        if rejected.num_rows:
            tally.add_lost(recover(rejected, file_format))
        if failures:
            rows = partition.read()
            failed = rows.filter(pc.is_in(rows[Columns.LINE], value_set=pa.array(failures, pa.int64())))
            tally.add_lost(lost_values(failed, [failures[line] for line in failed[Columns.LINE].to_pylist()]))
            text_of = dict(islice(texts, len(failures)))
            columns = [list(failures), list(failures.values()), [text_of[line] for line in failures]]
            found = pa.table(columns, schema=REJECTED_SCHEMA)
            rejected = pa.concat_tables([rejected, found]).sort_by(Columns.LINE)
        yield rejected


def _merged_failures(checks: Sequence[CheckFile]) -> dict[int, str]:
    """Return line -> reason in line order; several reasons of a line, in the order of CHECKS, are joined by '; '."""
    order = [check.name for check in CHECKS]
    reasons: dict[int, list[str]] = {}
    for check in sorted(checks, key=lambda check: order.index(check.check)):
        for line, reason in zip(*pq.read_table(check.path).to_pydict().values(), strict=True):
            reasons.setdefault(line, []).append(reason)
    return {line: "; ".join(reasons[line]) for line in sorted(reasons)}


def _failed_lines(checks: Sequence[CheckFile]) -> pa.Array:
    """Return the lines that fail a check, each once."""
    failed = [pq.read_table(check.path, columns=[Columns.LINE])[Columns.LINE] for check in checks]
    return pc.unique(pa.chunked_array([chunk for lines in failed for chunk in lines.chunks], pa.int64()))


def _reviews(partition: PartitionFile, checks: Sequence[CheckFile], tally: Tally) -> pa.Table:
    """Return the rows of a partition that passed all checks, whole seconds as timestamps, missing columns as nulls."""
    rows = partition.read()
    if checks:
        rows = rows.filter(pc.invert(pc.is_in(rows[Columns.LINE], value_set=_failed_lines(checks))))
    tally.add_ids(rows)
    columns = {name: rows[name] for name in rows.column_names}
    if Columns.TIMESTAMP in columns:
        columns[Columns.TIMESTAMP] = pc.floor(columns[Columns.TIMESTAMP])
    if Columns.RATING in columns:
        ratings = pc.unique(columns[Columns.RATING]).cast(pa.float32()).drop_null().to_numpy()
        tally.ratings.update(np.unique(ratings).tolist())
    nulls = pa.nulls(rows.num_rows)
    return pa.table({f.name: pc.cast(columns.get(f.name, nulls), f.type) for f in REVIEWS_SCHEMA})
