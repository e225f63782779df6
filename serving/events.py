"""The journal: events and impressions on the disk of a machine, and their way into the store."""

import fcntl
import gzip
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from loguru import logger

from schema.errors import ObjectExists, Unavailable
from schema.events import Event, Impression
from serving.database import Database
from storage import layout
from storage.canonical import short_digest
from storage.protocol import Store

__all__ = ["Event", "Impression", "Journal"]

MOST_QUEUED: Final = 100_000
MOST_OF_USER: Final = 1_000
BATCH_ROWS: Final = 10_000
FLUSH_SECONDS: Final = 1.0
DAY_SECONDS: Final = 86_400
GZIP_LEVEL: Final = 6  # a quarter of the time of 9, for 2 % more bytes

# Rows up to `shipped` are in the store, and those up to `next` are to go there as batch number `batch`. Numbers of rows
# rise in the order of commits, and none is used again.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS records
    (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, user_id TEXT, at INTEGER, line TEXT);
CREATE INDEX IF NOT EXISTS records_of_user ON records (user_id);
CREATE TABLE IF NOT EXISTS shipping (server_id TEXT, shipped INTEGER, next INTEGER, batch INTEGER);
INSERT INTO shipping SELECT lower(hex(randomblob(8))), 0, 0, 0 WHERE NOT EXISTS (SELECT * FROM shipping);
COMMIT;
"""
_UNSHIPPED = "SELECT max(row) FROM (SELECT row FROM records WHERE row > ? ORDER BY row LIMIT ?)"
_FIRST_KEPT = "SELECT row FROM records WHERE row <= ? AND at > ? ORDER BY row LIMIT 1"
_INSERT = "INSERT OR IGNORE INTO records (id, user_id, at, line) VALUES (?, ?, ?, ?)"

Row = tuple[str, str | None, int, str]
"""Id, user id (of events), moment of receipt in Unix seconds, and the line that is shipped."""


class _Batch(NamedTuple):
    """Rows first < row <= last, which go to the store together as the batch of a number, from one server."""

    server_id: str
    first: int
    last: int
    number: int


class Stream:
    """Rows in a database of their own, and their way into the store.

    Attributes:
        name: The folder in the store.
        keep_days: Days for which a row that was shipped is kept.
    """

    def __init__(self, folder: Path, name: str, keep_days: int, setting: str) -> None:
        self.name, self.keep_days = name, keep_days
        self.database = Database(folder / f"{name}.sqlite", _SCHEMA, setting)

    def insert(self, groups: Iterable[Sequence[Row]]) -> list[int]:
        """Write groups of rows in one transaction, and return how many ids of each are new."""
        with self.database.transaction() as connection:
            return [connection.executemany(_INSERT, rows).rowcount for rows in groups]

    def ship(self, store: Store) -> int:
        """Put the rows that are not in the store there, and return how many went; see `Journal.ship`."""
        n_rows = 0
        while batch := self._next_batch():
            rows = "SELECT line FROM records WHERE row > ? AND row <= ? ORDER BY row"
            lines = [line for (line,) in self.database.select(rows, (batch.first, batch.last))]
            content = "".join(f"{line}\n" for line in lines).encode()
            key = layout.batch_key(self.name, batch.server_id, batch.number, short_digest(content))
            with suppress(ObjectExists):  # written by a process that died before it could say so
                store.create(key, gzip.compress(content, GZIP_LEVEL, mtime=0))
            self._mark_shipped(batch)
            n_rows += len(lines)
        return n_rows

    def backlog(self) -> int:
        """Return how many rows are not in the store yet, or some more: a repeated id takes a number too."""
        counted = "SELECT coalesce((SELECT max(row) FROM records), shipped) - shipped FROM shipping"
        return max(0, int(self.database.select(counted)[0][0]))

    def _next_batch(self) -> _Batch | None:
        with self.database.transaction() as connection:
            server_id, first, last, number = connection.execute("SELECT * FROM shipping").fetchone()
            if last == first:
                (last,) = connection.execute(_UNSHIPPED, (first, BATCH_ROWS)).fetchone()
                if last:
                    connection.execute("UPDATE shipping SET next = ?", (last,))
        return _Batch(server_id, first, last, number) if last else None

    def _mark_shipped(self, batch: _Batch) -> None:
        kept_since = time.time() - self.keep_days * DAY_SECONDS
        with self.database.transaction() as connection:
            connection.execute("UPDATE shipping SET shipped = ?, batch = ?", (batch.last, batch.number + 1))
            kept = connection.execute(_FIRST_KEPT, (batch.last, kept_since))
            (first_kept,) = kept.fetchone() or (batch.last + 1,)
            connection.execute("DELETE FROM records WHERE row <= ? AND row < ?", (batch.last, first_kept))


class _Waiting:
    """Events that wait for a commit, and what came of it."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.outcome: int | Exception | None = None


class Journal:
    """Events and impressions until they are in the store, and events for some days more.

    All workers of a machine share a folder on a local disk. Threads may call every method at once.

    Attributes:
        n_dropped: Impressions that this process left out because too many were waiting.
        problems: What this process tries again, 'flush' or 'ship', and why it failed.
    """

    def __init__(
        self, folder: Path, *, keep_days: int = 30, setting: str = "--api-events-dir (or API_EVENTS_DIR)"
    ) -> None:
        """Open the journal, which is made where it is missing, and start to write impressions.

        Args:
            folder: Where it is.
            keep_days: Days for which `of_user` returns an event, and its id is known, though it is in the store.
            setting: Name of the setting that the folder comes from.

        Raises:
            InvalidSettings: If the folder cannot be written to.
            OutOfSpace: If the disk is full.
            CorruptObject: If the database is damaged.
        """
        self._events = Stream(folder, layout.EVENTS, keep_days, setting)
        self._impressions = Stream(folder, layout.IMPRESSIONS, 0, setting)
        self._shipping = folder / "shipping.lock"
        self._waiting: deque[_Waiting] = deque()
        self._committing = threading.Lock()
        self._queue: deque[Row] = deque()
        self._is_closed = threading.Event()
        self.n_dropped = 0
        self.problems: dict[str, str] = {}
        self._flushing = self._repeat("flush", self.flush, FLUSH_SECONDS)

    def add(self, events: Sequence[Event]) -> int:
        """Write events: all are on the disk when it returns, or none of them if it raises.

        Threads that call it at the same time share one commit. Of events with one id, now or earlier, by this process
        or another, the first one counts.

        Returns:
            How many were new.

        Raises:
            RecommenderError: OutOfSpace if the disk is full; else as `Database.transaction`.
        """
        now = int(time.time())
        mine = _Waiting([(one.event_id, one.user_id, now, _line(one)) for one in events])
        self._waiting.append(mine)
        with self._committing:
            if mine.outcome is None:
                self._commit([self._waiting.popleft() for _ in range(len(self._waiting))])
        if isinstance(mine.outcome, int):
            return mine.outcome
        raise mine.outcome or Unavailable("The events were not written, for the process is ending. Send them again.")

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            counts = self._events.insert(one.rows for one in group)
        except Exception as error:  # noqa: BLE001 - every thread of the group raises it
            for one in group:
                one.outcome = error
        else:
            for one, n_new in zip(group, counts, strict=True):
                one.outcome = n_new

    def note(self, impression: Mapping[str, Any]) -> None:
        """Queue the values of an `Impression`, which is on the disk about a second later; never waits.

        Nothing is checked: that would take a tenth of a request. A process that is killed loses those of its last
        second. Where 100,000 wait for the disk, more are left out.
        """
        if len(self._queue) >= MOST_QUEUED:
            self.n_dropped += 1
            return
        self._queue.append((impression["recommendation_id"], None, int(time.time()), orjson.dumps(impression).decode()))

    def flush(self) -> None:
        """Write the impressions that are queued.

        Raises:
            RecommenderError: As `add`; they stay in the queue.
        """
        if rows := list(self._queue):
            self._impressions.insert([rows])
            for _ in rows:
                self._queue.popleft()

    def of_user(self, user_id: str) -> list[Event]:
        """Return the last 1,000 events of a user that are kept here, in the order in which they came.

        Raises:
            RecommenderError: As `add`.
        """
        newest = "SELECT line FROM records WHERE user_id = ? ORDER BY row DESC LIMIT ?"
        found = self._events.database.select(newest, (user_id, MOST_OF_USER))
        return [Event.model_construct(**json.loads(line)) for (line,) in reversed(found)]

    def ship(self, store: Store) -> int:
        """Put rows that are not in the store there, remove those that need not be here, and return how many went.

        Which rows are in a batch is on the disk before the batch is written, and the key has the digest of its lines:
        whatever dies at any moment, each row is in the store once. Of the workers of a machine one ships at a time;
        for the others there is nothing to do.

        Raises:
            RecommenderError: If the store refuses or does not answer, or as `add`; the rows stay and are tried again.
        """
        with self._shipping.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            return self._events.ship(store) + self._impressions.ship(store)

    def backlog(self) -> int:
        """Return how many events and impressions are not in the store yet, repeated ones among them.

        Raises:
            RecommenderError: As `add`.
        """
        return self._events.backlog() + self._impressions.backlog()

    def keep_shipping(self, store: Store, every_seconds: float) -> None:
        """Start a thread that ships every so many seconds, and tries again where that fails."""
        self._repeat("ship", lambda: self.ship(store), every_seconds)

    def _repeat(self, name: str, work: Callable[[], object], every_seconds: float) -> threading.Thread:
        """Start a thread that does work again and again; an error is logged once for as long as it stays the same."""

        def keep_on() -> None:
            while not self._is_closed.wait(every_seconds):
                try:
                    work()
                    self.problems.pop(name, None)
                except Exception as error:  # noqa: BLE001 - no error of the disk or the store may end the thread
                    problem = str(error) or type(error).__name__
                    if self.problems.get(name) != problem:
                        logger.warning("Could not {} what the journal holds, and will try again: {}", name, problem)
                    self.problems[name] = problem

        thread = threading.Thread(target=keep_on, name=name, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Write the impressions that are queued, and stop.

        Raises:
            RecommenderError: As `flush`.
        """
        self._is_closed.set()
        self._flushing.join()
        try:
            self.flush()
        finally:
            self._events.database.close()
            self._impressions.database.close()


def _line(record: Event) -> str:
    return record.model_dump_json(exclude_none=True)
