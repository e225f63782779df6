"""Events as reviews: which of those that servers shipped are taken, and how they are read beside a file."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reviews.formats import Format
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


def event_format(beside: Format) -> Format:
    """Return how selected events are read, in the columns of the file beside which they are."""
    roles = {role: _NAMES[role] for role in beside.roles}
    return Format("json", roles, numeric=frozenset({"rating", "timestamp"} & roles.keys()))


def read_event_partitions(path: Path, beside: Format, partition_bytes: int, last_line: int) -> Iterator[Partition]:
    """Yield partitions of selected events, in the columns of the file beside which they are read.

    Args:
        path: The selected lines.
        beside: How the file is read.
        partition_bytes: The size of a partition.
        last_line: Number that no line of the file exceeds; those of the events are numbered after it.
    """
    for part in read_partitions(path, event_format(beside), partition_bytes):
        yield replace(part, reviews=_moved(part.reviews, last_line), rejected=_moved(part.rejected, last_line))


def _moved(table: pa.Table, by: int) -> pa.Table:
    place = table.schema.get_field_index(Columns.LINE)
    return table.set_column(place, table.schema.field(place), pc.add(table[Columns.LINE], by))
