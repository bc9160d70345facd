"""The SQLite file below the metadata store: connections, transactions, the lock of migrations, and errors in our words.

Readers never wait (WAL). Writers queue up in the process for one lock, and between processes for SQLite's own, each for
a bounded time.
"""

import fcntl
import json
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from campaignctl.adapters.metadata.database import Row, Value, statements
from campaignctl.adapters.sql_files import load_statements
from campaignctl.errors import CampaignctlError, Conflict, SchemaMismatch, StorageFull, Unavailable
from campaignctl.ports.clock import Clock

WRITE_WAIT_S = 5.0
"""How long a writer waits for the others before it gives up; a transaction takes milliseconds."""
_LOCK_RETRY_S = 0.02
_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
_SETTINGS = (
    f"PRAGMA busy_timeout = {int(WRITE_WAIT_S * 1000)}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
)
_STATEMENTS = statements() | load_statements("metadata", "queries", "sqlite.sql")

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class SQLiteTransaction:
    """Statements on one connection, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self, statement: str, /, **parameters: Value) -> list[Row]:
        return cast("list[Row]", self._connection.execute(_STATEMENTS[statement], parameters).fetchall())

    def all_over(self, statement: str, /, **parameters: Value | Sequence[Value]) -> list[Row]:
        bound: dict[str, Value] = {
            name: json.dumps(value) if isinstance(value, list | tuple) else cast("Value", value)
            for name, value in parameters.items()
        }
        return self.all(statement, **bound)

    def one(self, statement: str, /, **parameters: Value) -> Row | None:
        # All rows are fetched: SQLite does the work of a statement with RETURNING only as it is read to its end.
        return next(iter(self.all(statement, **parameters)), None)

    def run(self, statement: str, /, **parameters: Value) -> int:
        return self._connection.execute(_STATEMENTS[statement], parameters).rowcount

    def execute(self, text: str, /) -> None:
        """A migration's statement, as it stands in its file."""
        self._connection.execute(text)


class SQLiteFile:
    """The database at ``path``; ``check`` runs once, before the first transaction, and raises if it must not be."""

    def __init__(self, path: Path, clock: Clock, *, check: Callable[[], None]) -> None:
        self._path = path
        self._clock = clock
        self._check = check
        self._checked = False
        self._closed = False
        # Connections are lent, not bound to threads: the server's pool of threads comes and goes.
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        """Commits nothing and keeps no transaction open, so that everybody's commits are others' to it."""
        self._watches = 0
        self._watching = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[SQLiteTransaction]:
        self._check_once()
        with self._transaction("BEGIN") as tx:
            yield tx

    def ask(self, statement: str, /, **parameters: Value) -> list[Row]:
        self._check_once()
        with _translated(self._path), self._connection() as connection:
            return SQLiteTransaction(connection).all(statement, **parameters)

    def changes(self) -> tuple[int, int] | None:
        with self._watching:
            try:
                if self._watch is None:
                    self._watch = self._connect()
                    self._watches += 1  # the number means nothing to another connection
                (version,) = self._watch.execute("PRAGMA data_version").fetchone()
            except (sqlite3.Error, Unavailable):
                self._unwatch()  # whoever reads the tables next is told what is wrong
                return None
        return self._watches, version

    def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            with suppress(sqlite3.Error):
                watch.close()

    @contextmanager
    def writing(self) -> Iterator[SQLiteTransaction]:
        self._check_once()
        with self.migrating() as tx:
            yield tx

    @contextmanager
    def migrating(self) -> Iterator[SQLiteTransaction]:
        """As ``writing``, whatever the schema."""
        if not self._writer.acquire(timeout=WRITE_WAIT_S):
            raise _busy()
        try:
            with self._transaction("BEGIN IMMEDIATE") as tx:
                yield tx
        finally:
            self._writer.release()

    @contextmanager
    def looking(self) -> Iterator[SQLiteTransaction | None]:
        """As ``reading``, whatever the schema; None when the file is not there or was never migrated."""
        if not self._path.exists():
            yield None
            return
        with self._transaction("BEGIN") as tx:
            yield tx if tx.one("find_migrations_table") is not None else None

    def create(self) -> None:
        """Make the file, readable by this user only, unless it is there; and have it keep a write-ahead log.

        A file that is there is not opened beside SQLite: closing it would end the locks of all connections of this
        process, and the next process to leave would take itself for the last and remove the log they write to.
        """
        with _translated(self._path):
            if not self._path.exists():
                self._path.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
                os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _PRIVATE_FILE))
            with self._connection() as connection:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()

    @contextmanager
    def migration_lock(self, wait_s: float) -> Iterator[None]:
        """An flock on a file beside the database: free again the moment its holder dies."""
        lock_path = self._path.with_name(f"{self._path.name}.migrating")
        deadline_s = self._clock.monotonic_s() + wait_s
        with _translated(self._path):
            self._path.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            descriptor = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            while not _try_lock(descriptor):
                if self._clock.monotonic_s() >= deadline_s:
                    raise Unavailable(
                        f"another process has been migrating the metadata store for more than {wait_s:g} s",
                        service="metadata",
                        hint="wait for the other init-schema to end, then run it again",
                    )
                self._clock.sleep(_LOCK_RETRY_S)
            yield
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close what is not lent at the moment; what is lent is closed when it comes back."""
        self._closed = True
        with self._watching:
            self._unwatch()
        while self._idle:
            with suppress(IndexError, sqlite3.Error):
                self._idle.pop().close()

    def _check_once(self) -> None:
        if not self._checked:
            self._check()
            self._checked = True

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[SQLiteTransaction]:
        with _translated(self._path), self._connection() as connection:
            connection.execute(begin)
            try:
                yield SQLiteTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.Error:
            connection.close()  # after an error of the disk nothing it has cached is to be trusted
            raise
        except BaseException:
            self._give_back(connection)
            raise
        else:
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise Unavailable("the metadata store is closed", service="metadata")
        # mode=rw: a mistyped path must not make an empty database.
        uri = f"{self._path.resolve().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=WRITE_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            for setting in _SETTINGS:
                connection.execute(setting)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """No exception of the driver or of the file system leaves the block."""
    try:
        yield
    except sqlite3.Error as error:
        raise _own_error(error, path) from error
    except OSError as error:
        raise StorageFull(
            f"the metadata store in {path.parent} cannot be written: {error.strerror}",
            service="metadata",
            hint="free space on its disk, or make the directory writable for this user",
        ) from error


def _own_error(error: sqlite3.Error, path: Path) -> CampaignctlError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _FULL:
        return StorageFull(
            f"the metadata store {path.name} cannot be written: {error}",
            service="metadata",
            hint=f"free space on the disk of {path.parent}, and see that this user may write there",
        )
    if code in _BUSY:
        return _busy()
    if code in _DAMAGED:
        return Unavailable(
            f"the metadata store {path} is damaged, or no SQLite file: {error}",
            service="metadata",
            hint="restore it from a backup: campaignctl restore",
            code="metadata_damaged",
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return Conflict(f"the metadata store refuses a change that contradicts what it holds: {error}")
    if code == sqlite3.SQLITE_ERROR and "no such" in str(error):
        return SchemaMismatch(
            f"the metadata store does not have this program's schema: {error}", hint="run: campaignctl init-schema"
        )
    return Unavailable(f"the metadata store {path} does not answer: {error}", service="metadata")


def _busy() -> Unavailable:
    return Unavailable(
        f"the metadata store has been busy for more than {WRITE_WAIT_S:g} s", service="metadata", retry_after_s=1.0
    )
