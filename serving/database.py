"""An SQLite database that the workers of a machine share: durable commits, and errors that say what to do."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schema.errors import CorruptObject, InvalidSettings, OutOfSpace, RecommenderError, Unavailable
from storage.files import make_folder, sync, try_place

WAIT_SECONDS = 10.0

_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """A database file with a write-ahead log, on a local disk: such a log works on no network file system.

    A transaction that returned is on the disk (``synchronous=FULL``), whatever dies afterwards. Writers of all
    processes wait for each other, readers for nobody. Threads may call every method at once.
    """

    def __init__(self, path: Path, schema: str, setting: str) -> None:
        """Open the database, which is made where it is missing.

        Args:
            path: The file.
            schema: Statements that make what is not there yet.
            setting: Name of the setting that its folder comes from.

        Raises:
            InvalidSettings: If the folder cannot be written to.
            OutOfSpace: If the disk is full.
            CorruptObject: If the file is no database, or a damaged one.
        """
        try_place(path.parent, setting)
        make_folder(path.parent)
        self.path, self._setting = path, setting
        self._writing, self._own = threading.Lock(), threading.local()
        with _only_one(path.parent), self._explained():
            self._writer = self._connect()
            self._writer.executescript(schema)
        sync(path.parent)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to write with; what is written in the block is on the disk after it, or not at all.

        Raises:
            RecommenderError: OutOfSpace, InvalidSettings where it can no longer be written to, CorruptObject where it
                is damaged, Unavailable where others keep it busy for 10 s or the disk fails.
        """
        with self._writing, self._explained():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # SQLite ends some by itself, as when the disk is full
                    self._writer.execute("ROLLBACK")
                raise

    def select(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return rows, by a connection of this thread's own.

        Raises:
            RecommenderError: As `transaction`.
        """
        with self._explained():
            reader: sqlite3.Connection | None = getattr(self._own, "reader", None)
            if reader is None:
                reader = self._own.reader = self._connect()
            return reader.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the connection to write with."""
        with self._writing:
            self._writer.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None:  # a mistake of ours
                raise
            raise self._explain(code & 0xFF, error) from error

    def _explain(self, code: int, error: sqlite3.Error) -> RecommenderError:
        if code == sqlite3.SQLITE_FULL:
            return OutOfSpace(f"no space left for {self.path}: nothing was written. Free some on its disk.")
        if code in _DENIED:
            return InvalidSettings(
                f"{self._setting}: {self.path} cannot be written to ({error}). "
                "Change its rights, or name another folder."
            )
        if code in _DAMAGED:
            return CorruptObject(
                f"{self.path} is damaged ({error}). Stop what uses it and move its folder aside, which lets a new one "
                f"begin; 'sqlite3 {self.path.name} .recover' in the old one shows what had not been shipped."
            )
        return Unavailable(f"{self.path} cannot be used now ({error}). Try again; see that its disk is well.")


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time set up a database, for the change to a write-ahead log waits for nobody."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
