"""Events of servers become reviews beside those of a file, each once, and bad ones end in the quarantine."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reviews.events import EventCounts, select_events
from reviews.formats import detect_format
from reviews.ingest import ingest_file
from reviews.options import IngestOptions
from storage.parquet import write_parquet

NOW = 1_750_000_000


def event(event_id: str, kind: str = "rating", user: object = "ada", **more: object) -> bytes:
    fields = {"event_id": event_id, "type": kind, "user_id": user, "item_id": "kettle", "timestamp": NOW}
    return json.dumps(fields | ({"rating": 4} if kind == "rating" else {}) | more).encode()


SHIPPED = [
    event("e1"),
    event("e2", "view"),
    event("e3", "purchase"),
    event("e1", user="bob"),
    b'{"event_id": "e4", "type"',
    event("e5", rating=9),
    event("e6", "basket"),
    event("e2", "view"),
]


def ingest(folder: Path, header: str, row: str, options: IngestOptions) -> tuple[list[object], list[object]]:
    """Return the reviews and the quarantine of a file of one row with the events beside it."""
    file, events = folder / "file.csv", folder / "events.jsonl"
    file.write_text(f"{header}\n{row}\n")
    found = detect_format(file)
    events.write_bytes(b"".join(line + b"\n" for line in select_events(SHIPPED, found.roles, EventCounts())))
    ingest_file(file, options, folder, write_parquet, events)
    return tuple(pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("reviews", "quarantine"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("roles", "taken", "left_out"),
    [
        (("user", "item", "rating"), {"rating": 2, "broken line": 1}, {"view": 1, "basket": 1, "purchase": 1}),
        (("user", "item"), {"rating": 2, "broken line": 1, "purchase": 1}, {"view": 1, "basket": 1}),
    ],
)
def test_ratings_are_taken_once_and_purchases_where_the_file_has_no_ratings(
    roles: tuple[str, ...], taken: dict[str, int], left_out: dict[str, int]
) -> None:
    counts = EventCounts()
    lines = list(select_events(SHIPPED, roles, counts))
    assert (counts.taken, counts.left_out) == (Counter(taken), Counter(left_out | {"repeated": 2}))
    assert lines == [one for one in SHIPPED if one in lines]
    assert len(lines) == counts.taken.total()


@pytest.mark.parametrize(("unit", "moment"), [("s", NOW), ("ms", NOW * 1000)])
def test_events_follow_the_rows_of_the_file_in_its_unit_of_time(tmp_path: Path, unit: str, moment: int) -> None:
    options = IngestOptions(max_bad_share=1, latest_timestamp=NOW, timestamp_unit=unit)  # type: ignore[arg-type]
    reviews, quarantine = ingest(tmp_path, "user,item,rating,timestamp", f"eve,pan,2,{moment}", options)
    assert reviews == [
        {"user_id": "eve", "item_id": "pan", "rating": 2.0, "timestamp": NOW, "line": 2},
        {"user_id": "ada", "item_id": "kettle", "rating": 4.0, "timestamp": NOW, "line": 3},
    ]
    assert quarantine == [
        {"line": 4, "reason": "not valid JSON", "text": SHIPPED[4].decode()},
        {"line": 5, "reason": "rating outside 1 to 5 (--min-rating, --max-rating)", "text": SHIPPED[5].decode()},
    ]


def test_beside_a_file_without_ratings_and_times_events_have_none(tmp_path: Path) -> None:
    reviews, _ = ingest(tmp_path, "user,item", "eve,pan", IngestOptions(max_bad_share=1, partition_bytes=100))
    blank = {"item_id": "kettle", "rating": None, "timestamp": None}
    assert reviews[1:] == [blank | {"user_id": "ada", "line": line} for line in (3, 4, 6)]
