"""The SQLite file below the embedded log: opening it, sharing commits between threads, and its errors in our words."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from campaignctl.adapters.sql_files import load_statements
from campaignctl.errors import CampaignctlError, ConfigurationError, SchemaMismatch, StorageFull, Unavailable

Row = sqlite3.Row
Connection = sqlite3.Connection
T = TypeVar("T")

SCHEMA_VERSION = 1
QUERIES = load_statements("event_log", "queries.sql")

_APPLICATION_ID = 0x4341454C  # "CAEL", so that another program's file is never taken for a log
# With SQLite's 4 KiB pages an arbitrary record takes 0.29 ms to read instead of 0.15; appending is alike.
_PAGE_BYTES = 16_384
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_NOT_WRITABLE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class LogFile:
    """One log file, for all threads of a process; several processes may have it open.

    ``write`` runs an operation in a transaction and returns when it is durable; operations of several threads that come
    at once share one transaction and one fsync. Every method raises the product's errors only.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._closed = False
        self._waiting: list[_Ticket[Any]] = []
        self._writing = False
        self._written = threading.Condition()
        self._changed = threading.Condition()
        self._changes = 0
        with self.errors():
            _create_private(path)
            self._writer = self.connect()
            try:
                self._prepare()
            except BaseException:
                self._writer.close()
                raise

    def connect(self) -> Connection:
        """A connection of one's own, for reading; it may be closed from another thread."""
        with self.errors():
            connection = sqlite3.connect(
                self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = Row
            try:
                connection.execute("PRAGMA synchronous = FULL")
            except sqlite3.Error:
                connection.close()
                raise
            return connection

    @contextmanager
    def reading(self, connection: Connection) -> Iterator[Connection]:
        """All statements inside see one state of the file."""
        with self.errors():
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def write(self, operation: Callable[[Connection], T]) -> T:
        """Run the operation in a transaction; when this returns, what it wrote survives ``kill -9`` and power loss.

        Whatever the operation raises is raised here. It must check before it writes, because operations that share its
        transaction are committed all the same; a failure of the store undoes them all and is raised by each.
        """
        ticket = _Ticket(operation)
        with self._written:
            self._waiting.append(ticket)
        # The first thread to get the turn commits for all who wait: no thread of its own, and no hop for a lone writer.
        with self._turn(ticket) as is_mine:
            if is_mine:
                with self._written:
                    batch, self._waiting = self._waiting, []
                self._commit(batch)
        return ticket.take()

    @contextmanager
    def _turn(self, ticket: "_Ticket[T] | None" = None) -> Iterator[bool]:
        """Use of the writing connection, by one thread at a time; False when the ticket was served in the meantime."""
        with self._written:
            while self._writing and not (ticket and ticket.done):
                self._written.wait()
            is_mine = not (ticket and ticket.done)
            if is_mine:
                self._writing = True
        try:
            yield is_mine
        finally:
            if is_mine:
                with self._written:
                    self._writing = False
                    self._written.notify_all()

    def _commit(self, batch: "list[_Ticket[Any]]") -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")  # on a closed file: an error, as any other
            for ticket in batch:
                ticket.run(self._writer)
            self._writer.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            for ticket in batch:  # each waiting thread raises an error of its own
                ticket.error = self._own_error(error)
            if not isinstance(error, sqlite3.Error):
                raise
        finally:
            for ticket in batch:
                ticket.done = True
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _own_error(self, error: BaseException) -> CampaignctlError:
        if isinstance(error, sqlite3.Error):
            return self._translate(error)
        return Unavailable("The write to the event log was interrupted.", service="event_log")

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # SQLite may have rolled back by itself, or the connection is closed
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def release_free_pages(self, max_pages: int) -> None:
        """Give free pages back to the file system, beyond a quarter of the file, which new records will use again."""
        with self._turn(), self.errors():
            free, pages = _pragma(self._writer, "freelist_count"), _pragma(self._writer, "page_count")
            surplus = min(free - pages // 4, max_pages)
            if surplus > 0:
                # Not execute(): it takes one step only of a statement without columns, and a step is a page.
                self._writer.executescript(f"PRAGMA incremental_vacuum({surplus})")

    def changes(self) -> int:
        """A number that rises with each transaction of this process."""
        return self._changes

    def wait_for_change(self, seen: int, timeout_s: float) -> bool:
        """Wait until ``changes()`` is no longer ``seen``; False when the time ran out."""
        with self._changed:
            return self._changed.wait_for(lambda: self._changes != seen, timeout_s)

    def close(self) -> None:
        """Also waits for the write under way. Safe to call twice."""
        with self._turn(), self.errors():
            self._closed = True
            self._writer.close()
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors, and the operating system's, into the product's."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._translate(error) from error
        except OSError as error:
            raise self._cannot_use(str(error.strerror)) from error

    def _translate(self, error: sqlite3.Error) -> CampaignctlError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if self._closed:
            return self._closed_error()
        if code in _FULL:
            return StorageFull(
                f"The event log {self.path} cannot be written: the disk is full or failing ({error}).",
                service="event_log",
                retry_after_s=5.0,
                hint="Free space on that disk; nothing that was acknowledged is lost, and writing goes on by itself.",
            )
        if code in _BUSY:
            return Unavailable(
                f"The event log {self.path} was locked for {self._busy_timeout_s:g} s by another process.",
                service="event_log",
                hint="Look for a stopped campaignctl process, or a backup or SQLite tool that has the file open.",
            )
        if code in _NOT_WRITABLE:
            return self._cannot_use(str(error))
        if code in _DAMAGED:
            return Unavailable(
                f"{self.path} is damaged or no event log ({error}).",
                service="event_log",
                code="event_log_damaged",
                hint="Restore it from a backup, or move it away to start with an empty log.",
            )
        return Unavailable(f"The event log {self.path} failed: {error}.", service="event_log")

    def _cannot_use(self, reason: str) -> Unavailable:
        return Unavailable(
            f"The event log {self.path} cannot be opened or written: {reason}.",
            service="event_log",
            hint="Make sure the directory exists and that this user may write it and the files in it.",
        )

    def _closed_error(self) -> Unavailable:
        return Unavailable(f"The event log {self.path} has been closed.", service="event_log")

    def _prepare(self) -> None:
        """Make an empty file a log, or make sure that an old one is a log this program understands."""
        if not self._is_ready():
            # Only an empty file takes these two.
            self._writer.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            self._writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._switch_to_wal()
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            if not self._is_ready():  # asked again: five processes may open a new file at once
                for statement in load_statements("event_log", "schema.sql").values():
                    self._writer.execute(statement)
                self._writer.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._writer.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _is_ready(self) -> bool:
        """False for an empty file. Changes nothing, so that a file of another program stays as it is."""
        if self._writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            return False
        version = _pragma(self._writer, "user_version")  # read later than the tables, which came with it
        if _pragma(self._writer, "application_id") != _APPLICATION_ID:
            raise ConfigurationError(
                f"{self.path} is an SQLite file, but no event log.", hint="Move it away, or name another data_dir."
            )
        if version != SCHEMA_VERSION:
            raise SchemaMismatch(
                f"The event log {self.path} has the schema version {version}; this program knows {SCHEMA_VERSION}.",
                hint="Use the campaignctl that wrote it, or a newer one.",
            )
        return True

    def _switch_to_wal(self) -> None:
        # While several processes open a new file at once SQLite answers "locked" here without waiting.
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                mode = self._writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                break
        if mode != "wal":
            raise self._cannot_use("its file system has no shared memory for files, which a network share often lacks")


class _Ticket(Generic[T]):
    """An operation that waits for its transaction, and what came of it."""

    def __init__(self, operation: Callable[[Connection], T]) -> None:
        self._operation = operation
        self._result: list[T] = []
        self.error: CampaignctlError | None = None
        self.done = False

    def run(self, connection: Connection) -> None:
        try:
            self._result.append(self._operation(connection))
        except CampaignctlError as error:
            self.error = error

    def take(self) -> T:
        if self.error is not None:
            raise self.error
        return self._result[0]


def _create_private(path: Path) -> None:
    """Make the file, if it is not there, for this user only; SQLite gives its side files the same mode.

    One that is there is not opened beside SQLite: closing it would end the locks of this process's connections to it.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _pragma(connection: Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
