"""The journal: what was acknowledged is on the disk and reaches the store once, whatever dies or is away."""

import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import ProgrammingError

import pytest
from disks import mounted_disk, remount
from pydantic import ValidationError

from schema.arms import arm_of
from schema.errors import CorruptObject, InvalidSettings, OutOfSpace, RecommenderError, Unavailable
from schema.events import Event, Impression
from serving import events as journals
from serving.events import Journal
from storage import layout
from storage.memory import MemoryStore
from storage.protocol import Store

# Adds events of the same ids as other processes do, and ends without closing anything.
ADDS = """
import os, sys
from pathlib import Path
from schema.events import Event
from serving.events import Journal
journal = Journal(Path(sys.argv[1]))
events = [Event(event_id=f"e{n}", type="view", user_id="ada", item_id=sys.argv[2]) for n in range(50)]
print(sum(journal.add([one]) for one in events), flush=True)
os._exit(9)
"""


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    opened: list[Journal] = []

    def make(folder: Path = tmp_path / "events", **options: int) -> Journal:
        opened.append(Journal(folder, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def store() -> Store:
    return MemoryStore("events")


def event(event_id: str, user_id: str = "ada", item_id: str = "kettle") -> Event:
    return Event(event_id=event_id, type="view", user_id=user_id, item_id=item_id)


def impression(recommendation_id: str) -> dict[str, object]:
    about = {"item_ids": ("kettle", "pan"), "model_id": "1f3a", "scenario": "home", "way": "exact"}
    return Impression(recommendation_id=recommendation_id, **about).model_dump(exclude_none=True)


def wait_for(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def shipped(store: Store, stream: str = layout.EVENTS) -> list[dict[str, object]]:
    """Return the records of a stream as they are in the store, in the order of their keys."""
    texts = [gzip.decompress(store.read(one.key)).decode() for one in store.list(f"{stream}/")]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def ids(store: Store) -> list[object]:
    return [one["event_id"] for one in shipped(store)]


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": ""},
        {"event_id": "a\nb"},
        {"user_id": " "},
        {"item_id": "x" * 257},
        {"item_id": 7},
        {"type": "look"},
        {"type": "rating"},
        {"rating": 4.0},
        {"type": "rating", "rating": float("nan")},
        {"timestamp": 0},
        {"timestamp": 2**63},
        {"colour": "red"},
    ],
)
def test_an_event_that_no_ingest_would_take_is_refused(fields: dict[str, object]) -> None:
    right = {"event_id": "e1", "type": "view", "user_id": "ada", "item_id": "kettle"}
    assert Event.model_validate(right).timestamp == pytest.approx(time.time(), abs=60)
    with pytest.raises(ValidationError):
        Event.model_validate(right | fields)


def test_arms_take_their_share_of_the_users_and_are_kept_when_it_grows() -> None:
    users = [f"user {n}" for n in range(4000)]
    few, many = ({one for one in users if arm_of("autumn", one, share) == "challenger"} for share in (0.1, 0.4))
    other = {one for one in users if arm_of("winter", one, 0.4) == "challenger"}
    assert few < many
    assert len(few) / 4000 == pytest.approx(0.1, abs=0.02)
    assert len(many & other) / len(many) == pytest.approx(0.4, abs=0.05)


def test_an_event_id_counts_once_by_whichever_process_and_after_a_restart(
    tmp_path: Path, open_journal: Callable[..., Journal]
) -> None:
    command = [sys.executable, "-c", ADDS, str(tmp_path / "events")]
    running = [subprocess.Popen([*command, item], stdout=subprocess.PIPE, text=True) for item in ("kettle", "pan")]
    counts = [int(one.communicate(timeout=60)[0]) for one in running]
    journal = open_journal()
    assert sum(counts) == 50
    assert journal.add([event("e7"), event("new"), event("new")]) == 1
    assert [one.event_id for one in journal.of_user("ada")] == [*(f"e{n}" for n in range(50)), "new"]


def test_threads_that_add_at_once_share_commits_and_each_learns_its_own_count(
    open_journal: Callable[..., Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, n_commits, counts = open_journal(), 0, []
    insert = journals.Stream.insert

    def counting(stream: journals.Stream, groups: object) -> list[int]:
        nonlocal n_commits
        n_commits += 1
        return insert(stream, groups)  # type: ignore[arg-type]

    monkeypatch.setattr(journals.Stream, "insert", counting)
    with journal._events.database._writing:  # the first commit waits, and what comes meanwhile goes together
        threads = [
            threading.Thread(target=lambda n=n: counts.append(journal.add([event(f"e{n}"), event("all")])))  # type: ignore[misc]
            for n in range(20)
        ]
        for one in threads:
            one.start()
        wait_for(lambda: len(journal._waiting) == 19)
    for one in threads:
        one.join()
    assert (n_commits, sorted(counts)) == (2, [1] * 19 + [2])


def test_what_one_thread_may_not_write_none_of_its_commit_has_written(
    open_journal: Callable[..., Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal()
    monkeypatch.setattr(journal._events, "insert", lambda _groups: (_ for _ in ()).throw(OutOfSpace("full")))
    with pytest.raises(OutOfSpace, match="full"):
        journal.add([event("e1")])
    monkeypatch.undo()
    assert journal.of_user("ada") == []
    assert journal.add([event("e1")]) == 1


def test_rows_are_shipped_once_in_batches_and_in_order(
    open_journal: Callable[..., Journal], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "BATCH_ROWS", 4)
    journal = open_journal()
    journal.add([event(f"e{n}") for n in range(10)])
    journal.note(impression("r1"))
    journal.flush()
    assert journal.backlog() == 11
    assert (journal.ship(store), journal.ship(store), journal.backlog()) == (11, 0, 0)
    journal.add([event("e3"), event("late")])
    assert journal.ship(store) == 1
    assert ids(store) == [*(f"e{n}" for n in range(10)), "late"]
    assert [one["item_ids"] for one in shipped(store, layout.IMPRESSIONS)] == [["kettle", "pan"]]
    assert len(list(store.list("events/"))) == 4


def test_a_death_between_the_batch_and_its_mark_ships_no_row_twice_or_never(
    open_journal: Callable[..., Journal], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal()
    journal.add([event("e1"), event("e2")])
    with monkeypatch.context() as patch:
        patch.setattr(journals.Stream, "_mark_shipped", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            journal.ship(store)
    journal.add([event("e3")])
    assert open_journal().ship(store) == 3
    assert ids(store) == ["e1", "e2", "e3"]


def test_a_store_that_is_away_is_tried_again_and_one_process_ships_at_a_time(
    open_journal: Callable[..., Journal], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, other, tried = open_journal(), open_journal(), threading.Event()

    def away(*_: object) -> None:
        assert other.ship(store) == 0
        tried.set()
        raise Unavailable("MinIO does not answer")

    journal.add([event("e1")])
    with monkeypatch.context() as patch:
        patch.setattr(store, "create", away)
        journal.keep_shipping(store, 0.01)
        assert tried.wait(20)
        wait_for(lambda: bool(journal.problems))
        assert journal.problems["ship"] == "MinIO does not answer"
    wait_for(lambda: not journal.problems)
    assert ids(store) == ["e1"]


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), ProgrammingError("a mistake"), ValueError()])
@pytest.mark.parametrize("name", ["ship", "flush"])
def test_no_error_ends_a_thread_and_each_is_shown_until_it_is_over(
    open_journal: Callable[..., Journal], store: Store, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(journals, "FLUSH_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(journals.Stream, {"ship": "ship", "flush": "insert"}[name], fail)
        journal = open_journal()
        journal.note(impression("r1"))
        journal.keep_shipping(store, 0.01)
        wait_for(lambda: name in journal.problems)
        assert journal.problems[name] == (str(error) or "ValueError")
    wait_for(lambda: bool(shipped(store, layout.IMPRESSIONS)) and not journal.problems)


def test_a_mark_reads_only_rows_of_its_batch(open_journal: Callable[..., Journal]) -> None:
    stream, ticks = open_journal(keep_days=0)._events, []
    stream.insert([[(f"e{n}", None, 1, "{}") for n in range(20_000)]])
    stream.database._writer.set_progress_handler(lambda: ticks.append(1), 100)
    stream._mark_shipped(journals._Batch("server", 0, 10, 0))
    assert stream.backlog() == 19_990
    assert len(ticks) < 20  # of 100 steps each: 600 if it reads all rows


def test_shipped_events_stay_for_their_days_and_others_until_they_are_shipped(
    open_journal: Callable[..., Journal], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, now = open_journal(keep_days=30), time.time()
    monkeypatch.setattr(journals.time, "time", lambda: now - 31 * 86_400)
    journal.add([event("old")])
    monkeypatch.undo()
    assert [one.event_id for one in journal.of_user("ada")] == ["old"]
    journal.add([event("new")])
    journal.ship(store)
    assert [one.event_id for one in journal.of_user("ada")] == ["new"]
    assert ids(store) == ["old", "new"]


def test_impressions_are_written_by_themselves_and_left_out_where_too_many_wait(
    open_journal: Callable[..., Journal], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(journals, "MOST_QUEUED", 3)
    journal = open_journal()
    with journal._impressions.database._writing:  # a disk that does not keep up
        for n in range(5):
            journal.note(impression(f"r{n}"))
    assert journal.n_dropped == 2
    wait_for(lambda: not journal._queue)
    journal.ship(store)
    assert [one["recommendation_id"] for one in shipped(store, layout.IMPRESSIONS)] == ["r0", "r1", "r2"]


def test_a_full_disk_refuses_events_says_so_and_recovers(tmp_path: Path, open_journal: Callable[..., Journal]) -> None:
    with mounted_disk(tmp_path / "small", "512k") as disk:
        journal = Journal(disk)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            file.writelines([b"\0" * 4096] * 200)
        with pytest.raises(OutOfSpace, match=r"no space left for .*events.sqlite"):
            journal.add([event(f"e{n}") for n in range(1000)])
        ballast.unlink()
        assert journal.add([event("e1")]) == 1
        journal.close()


def test_a_folder_that_may_not_be_written_to_is_named_with_its_setting(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", "1m") as disk:
        Journal(disk).close()
        remount(disk, "ro")
        with pytest.raises(InvalidSettings, match=r"--api-events-dir .*cannot be written to"):
            Journal(disk)
    journal = Journal(tmp_path)
    with journal._events.database.transaction() as connection:
        connection.execute("PRAGMA query_only = ON")  # a disk that is read-only from now on
    with pytest.raises(InvalidSettings, match=r"--api-events-dir .*events.sqlite cannot be written to"):
        journal.add([event("e1")])
    journal.close()


def test_every_commit_is_on_the_disk_and_a_failed_one_leaves_nothing(open_journal: Callable[..., Journal]) -> None:
    journal = open_journal()
    with journal._events.database.transaction() as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]  # 2 is FULL: the log is synchronised at each commit
    with pytest.raises(ProgrammingError, match="not supported"):
        journal._events.insert([[("half", "ada", 1, "{}"), ("e0", "ada", 1, object())]])  # type: ignore[list-item]
    assert journal.add([event("e1")]) == 1
    assert [one.event_id for one in journal.of_user("ada")] == ["e1"]


def test_workers_that_start_at_once_share_a_new_journal(tmp_path: Path) -> None:
    def open_at_once(folder: Path) -> None:
        together.wait()
        opened.append(Journal(folder))

    for attempt in range(5):
        opened: list[Journal] = []
        together = threading.Barrier(8)
        threads = [threading.Thread(target=open_at_once, args=(tmp_path / str(attempt),)) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(opened) == 8
        for journal in opened:
            journal.close()


@pytest.mark.parametrize("damage", [b"no database at all, but longer than any header" * 50, b""])
def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path, damage: bytes) -> None:
    journal = Journal(tmp_path)
    journal.add([event(f"e{n}") for n in range(100)])
    journal.close()
    path = tmp_path / "events.sqlite"
    found = damage or path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096)
    path.write_bytes(found)
    with pytest.raises(CorruptObject, match=r"damaged.*move its folder aside"):
        Journal(tmp_path).add([event("e1")])
    assert path.read_bytes() == found


def test_events_of_a_user_are_found_at_once(open_journal: Callable[..., Journal]) -> None:
    journal = open_journal()
    journal.add([event(f"e{n}", user_id=f"user {n % 2000}") for n in range(40_000)])
    times = []
    for n in range(300):
        started = time.perf_counter()
        assert len(journal.of_user(f"user {n}")) == 20
        times.append(time.perf_counter() - started)
    assert sorted(times)[150] < 0.001  # 0.02 ms on a quiet machine


def test_a_journal_that_fails_while_it_flushes_keeps_the_impressions(
    open_journal: Callable[..., Journal], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal()
    monkeypatch.setattr(journal._impressions, "insert", lambda _groups: (_ for _ in ()).throw(OutOfSpace("full")))
    journal.note(impression("r1"))
    with pytest.raises(RecommenderError, match="full"):
        journal.flush()
    monkeypatch.undo()
    journal.flush()
    journal.ship(store)
    assert len(shipped(store, layout.IMPRESSIONS)) == 1
