"""Read a reviews file, and events beside it, into partitions, and find the scale of its ratings on the way."""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reviews.checks import Limits
from reviews.events import event_format, read_event_partitions
from reviews.formats import Format
from reviews.options import IngestOptions
from reviews.parse import read_partitions, read_texts
from reviews.partitions import PartitionFile, write_partition
from reviews.scale import FLAGS, Scale, count_ratings, find_scale, say_far, say_zeros
from schema.columns import Columns
from schema.errors import InvalidInput
from schema.parquet import WriteParquet
from schema.understood import Understood


@dataclass(frozen=True)
class ReadReviews:
    """A file that was read, its rows not checked yet.

    Attributes:
        partitions: Its rows, then those of the events, in order.
        format: How it was read.
        last_line: Number that no line of the file exceeds; those of the events follow.
        limits: What its values are to be held to.
        understood: What was decided on it, with the scale of its ratings.
    """

    partitions: tuple[PartitionFile, ...]
    format: Format
    last_line: int
    limits: Limits
    understood: Understood


def read_reviews(
    path: Path,
    file_format: Format,
    options: IngestOptions,
    folder: Path,
    write_parquet: WriteParquet,
    advance: Callable[[int], None] = lambda _n_lines: None,
    events: Path | None = None,
) -> ReadReviews:
    """Write the rows of a file, and of events as if they stood behind its last line, in partitions; memory stays flat.

    Args:
        path: The file.
        file_format: How it is to be read.
        options: What the scale and the latest timestamp are, where they are given; the size of partitions.
        folder: Where the partitions go.
        write_parquet: Writes the rejected rows.
        advance: Called with the lines read so far.
        events: The events.

    Raises:
        InvalidInput: When the file is damaged, or has no ratings that given ends of a scale could be for.
    """
    if "rating" not in file_format.roles and (options.min_rating, options.max_rating) != (None, None):
        raise InvalidInput(f"{path} has no column of ratings that {FLAGS} could be for. Leave them out.")
    written: list[PartitionFile] = []
    n_skipped = max(file_format.skipped_lines, file_format.header_line)
    ratings, n_trimmed, n_records, last_line = count_ratings(), 0, 0, n_skipped
    for partition in read_partitions(path, file_format, options.partition_bytes):
        written.append(write_partition(len(written), partition, folder, write_parquet))
        if Columns.RATING in partition.reviews.column_names:
            ratings += count_ratings(partition.reviews[Columns.RATING])
        n_trimmed += partition.n_trimmed
        n_records += partition.n_lines
        last_line = partition.next_line - 1
        advance(n_records)
    column = file_format.roles.get("rating", "")
    scale = find_scale(ratings, options.min_rating, options.max_rating, column)
    if events:
        for partition in read_event_partitions(events, file_format, options.partition_bytes, last_line):
            written.append(write_partition(len(written), partition, folder, write_parquet))
    return ReadReviews(
        partitions=tuple(written),
        format=file_format,
        last_line=last_line,
        limits=Limits(scale.low, scale.high, options.latest_timestamp or int(time.time()), file_format.time_form),
        understood=_with_scale(
            file_format,
            scale,
            [
                *say_zeros(ratings, scale),
                *say_far(ratings, scale, column),
                *_say_trimmed(n_trimmed),
                *_say_joined(file_format, last_line - n_skipped - n_records),
            ],
        ),
    )


def read_texts_beside(
    path: Path, events: Path | None, read: ReadReviews, lines: Sequence[int]
) -> Iterator[tuple[int, str]]:
    """Yield rising lines, and the raw records of a file, and of the events beside it, that begin there."""
    n_of_file = bisect_right(lines, read.last_line)
    if n_of_file:
        yield from read_texts(path, read.format, lines[:n_of_file])
    if events and n_of_file < len(lines):
        of_events = [line - read.last_line for line in lines[n_of_file:]]
        for line, text in read_texts(events, event_format(read.format), of_events):
            yield line + read.last_line, text


def _with_scale(file_format: Format, scale: Scale, warnings: Sequence[str]) -> Understood:
    understood = file_format.understood
    parts = (scale.to_part(),) if "rating" in file_format.roles else ()
    return replace(understood, parts=(*understood.parts, *parts), warnings=(*understood.warnings, *warnings))


def _say_trimmed(n_trimmed: int) -> list[str]:
    return [f"{n_trimmed:,} ids had blanks at their ends, which were cut off."] if n_trimmed else []


def _say_joined(file_format: Format, n_joined: int) -> list[str]:
    """Say how many lines were taken for text of the record before, where none of the first records has such text."""
    if n_joined == 0 or file_format.over_lines or file_format.kind != "delimited":
        return []
    return [
        f"{n_joined:,} lines were taken for quoted text of the record before, while the first records have none that "
        "goes over several lines. A quote that is left open takes rows with it: if some do, mend them, or take quotes "
        "for characters with --quote none."
    ]
