"""Events as reviews: which of those that servers shipped are taken, and how they are read beside a file."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reviews.formats import Format
from reviews.options import UNITS_PER_SECOND, IngestOptions
from reviews.parse import Partition, read_partitions
from schema.columns import Columns

_NAMES = {"user": "user_id", "item": "item_id", "rating": "rating", "timestamp": "timestamp"}
_BROKEN = "broken line"
REPEATED = "repeated"


@dataclass
class EventCounts:
    """Counts of shipped events, by their type: those that are taken, and those that are left out.

    What is no event is taken too, so that a check puts it aside with a reason.
    """

    taken: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str:
        """Return one line for people.

        Example:
            >>> EventCounts(Counter(rating=12), Counter(view=40, repeated=1)).describe()
            '12 taken (12 rating); 41 left out (40 view, 1 repeated)'
        """
        taken, left_out = (
            f"{sum(counts.values()):,} {what}"
            + (f" ({', '.join(f'{n:,} {kind}' for kind, n in found)})" if found else "")
            for what, counts in (("taken", self.taken), ("left out", self.left_out))
            for found in [counts.most_common()]
        )
        return f"{taken}; {left_out}"


def select_events(lines: Iterable[bytes], roles: Iterable[str], counts: EventCounts) -> Iterator[bytes]:
    """Yield the lines of events that say as much as a row of the file, each event id once, and count all.

    Ratings are taken, and purchases where the file has no ratings. Of events with one id the first counts.

    Args:
        lines: JSON objects, without line ends.
        roles: The columns of the file beside which they are read.
        counts: Filled while the lines are read.
    """
    wanted = {"rating"} if "rating" in set(roles) else {"rating", "purchase"}
    seen: set[bytes] = set()
    for line in lines:
        kind, event_id = _kind_and_id(line)
        digest = blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=16).digest() if event_id else b""
        if digest and digest in seen:
            counts.left_out[REPEATED] += 1
        elif kind in wanted or kind == _BROKEN:
            counts.taken[kind] += 1
            yield line
        else:
            counts.left_out[kind] += 1
        seen.add(digest)


def _kind_and_id(line: bytes) -> tuple[str, str | None]:
    try:
        record = json.loads(line)
        kind, event_id = record["type"], record["event_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _BROKEN, None
    return (kind, event_id) if isinstance(kind, str) and isinstance(event_id, str) else (_BROKEN, None)


def read_event_partitions(
    path: Path, beside: Format, options: IngestOptions, n_partitions: int, n_lines: int
) -> Iterator[Partition]:
    """Yield partitions of selected events, in the columns and the unit of time of the file beside which they are read.

    Args:
        path: The selected lines.
        beside: How the file is read.
        options: The unit of its timestamps, and the size of a partition.
        n_partitions: Partitions of the file; those of the events are numbered after them.
        n_lines: Lines of the file, a header among them; those of the events are numbered after them.
    """
    roles = {role: _NAMES[role] for role in beside.roles}
    shape = Format("json", is_gzipped=False, roles=roles, numeric=frozenset({"rating", "timestamp"} & roles.keys()))
    per_second = float(UNITS_PER_SECOND[options.timestamp_unit])
    for part in read_partitions(path, shape, options.partition_bytes):
        reviews = _changed(part.reviews, Columns.LINE, pc.add, n_lines)
        if Columns.TIMESTAMP in reviews.column_names:
            reviews = _changed(reviews, Columns.TIMESTAMP, pc.multiply, per_second)
        rejected = _changed(part.rejected, Columns.LINE, pc.add, n_lines)
        yield replace(part, number=part.number + n_partitions, reviews=reviews, rejected=rejected)


def _changed(table: pa.Table, name: str, change: Callable[..., pa.ChunkedArray], by: float) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), change(table[name], by))
