"""The PostgreSQL server below the metadata store: a pool of connections, transactions with deadlines, and locks.

Writers run side by side. Where the shared statements rely on one writer at a time, a lock is taken before them; an
update under a condition needs none, because PostgreSQL judges the condition again after it has waited for the row.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from campaignctl.adapters.metadata.database import Row, Value
from campaignctl.adapters.metadata.postgresql_connection import DeadlineConnection, NoAnswerError, Reachability
from campaignctl.adapters.metadata.postgresql_errors import (
    Address,
    all_busy,
    closed,
    connect_failure,
    no_answer,
    own_error,
    translated,
)
from campaignctl.adapters.metadata.postgresql_statements import postgresql_statements
from campaignctl.errors import CampaignctlError, Unavailable
from campaignctl.ports.clock import Clock

ACQUIRE_S = 0.5
"""How long a call waits for a free connection."""
ANSWER_S = 1.5
"""How long the server may take for one statement, a wait for a lock included."""
_MORE_S = 2.5
"""What a transaction's other statements may take besides one slow answer."""

_CONNECT_S = 2.0
"""How long the first connection may take: name service, TLS and signing in, perhaps far away. libpq knows no less."""
_FIRST_LOOK_S = 0.05
_MIGRATION_S = 600.0
_LOCK_RETRY_S = 0.05
_MIGRATION_SETTINGS = ("SET LOCAL statement_timeout = '10min'", "SET LOCAL lock_timeout = '10s'")
_CLOSE_S = 2.5
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_T = TypeVar("_T")

_LOCK_BEFORE = {
    "find_organization": "lock_organization_ids",
    "fetch_limiting_login_attempt": "lock_login_bucket",
    "find_unfinished_job": "lock_new_jobs",
}
"""In a transaction that writes: the lock to be taken before the statement, with the same parameters."""

# Failures are raised here, in the product's words; the pool's own lines would reach the terminal besides.
logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


class PostgreSQLTransaction:
    """Statements on one connection, within one transaction."""

    def __init__(self, connection: DeadlineConnection, *, writing: bool) -> None:
        self._connection = connection
        self._writing = writing

    def all(self, statement: str, /, **parameters: Value) -> list[Row]:
        return cast("list[Row]", self._execute(statement, parameters).fetchall())

    def one(self, statement: str, /, **parameters: Value) -> Row | None:
        return self._execute(statement, parameters).fetchone()

    def run(self, statement: str, /, **parameters: Value) -> int:
        return self._execute(statement, parameters).rowcount

    def all_over(self, statement: str, /, **parameters: Value | Sequence[Value]) -> list[Row]:
        """As ``all``, with arrays among the parameters."""
        return cast("list[Row]", self._execute(statement, parameters).fetchall())

    def run_over(self, statement: str, /, **parameters: Value | Sequence[Value]) -> int:
        """As ``run``, with arrays among the parameters."""
        return self._execute(statement, parameters).rowcount

    def take(self, lock: str, /, **parameters: Value) -> None:
        """A lock until the end of the transaction, by the name of its statement."""
        self._connection.execute(postgresql_statements()[lock], parameters)

    def execute(self, text: str, /) -> None:
        """A migration's statement, as it stands in its file."""
        self._connection.execute(text)

    def _execute(self, statement: str, parameters: Mapping[str, Any]) -> psycopg.Cursor[dict[str, Any]]:
        if self._writing and statement in _LOCK_BEFORE:
            self.take(_LOCK_BEFORE[statement], **parameters)
        return self._connection.execute(postgresql_statements()[statement], parameters)


class PostgreSQLServer:
    """A database on a server; nothing connects before the first call. ``check`` runs once, before a transaction.

    A call fails with ``Unavailable`` in about two seconds when the server is frozen, and at once while it is known to
    fail; the first call after it is back, or at most half a second later, is served.
    """

    def __init__(
        self,
        address: Address,
        clock: Clock,
        *,
        password: str,
        sslmode: str,
        pool_size: int,
        acquire_s: float,
        answer_s: float,
        check: Callable[[], None],
    ) -> None:
        self._address = address
        self._clock = clock
        self._acquire_s = acquire_s
        self._answer_s = answer_s
        self._check = check
        self._checked = False
        self._lock = threading.Lock()
        self._closed = False
        self._reach = Reachability()
        self._all_fresh_from_s = 0.0
        settings: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "dbname": address.database,
            "user": address.username or None,
            "password": password or None,
            "sslmode": sslmode,
            "application_name": "campaignctl",
            "connect_timeout": int(_CONNECT_S),
            "options": _server_settings(answer_s),
            "gssencmode": "disable",
            "autocommit": True,
            "row_factory": dict_row,
            "on_failure": self._connect_failed,
            "on_success": self._reach.answered,
        }
        # reconnect_timeout: the pool would wait longer and longer between attempts, up to minutes after the server is
        # back; this way the next call starts the next attempt.
        self._pool: ConnectionPool[DeadlineConnection] = ConnectionPool(
            connection_class=DeadlineConnection,
            kwargs={name: value for name, value in settings.items() if value is not None},
            min_size=0,
            max_size=pool_size,
            open=False,
            reconnect_timeout=0.0,
        )

    @contextmanager
    def reading(self) -> Iterator[PostgreSQLTransaction]:
        self._check_once()
        with self._transaction(_READ) as tx:
            yield tx

    def ask(self, statement: str, /, **parameters: Value | Sequence[Value]) -> list[Row]:
        self._check_once()
        text = postgresql_statements()[statement]  # without BEGIN it is a transaction by itself, with a view of its own
        connection, rows = self._first(lambda one: one.execute(text, parameters).fetchall(), self._answer_s)
        self._pool.putconn(connection)
        self._reach.answered()
        return cast("list[Row]", rows)

    def changes(self) -> tuple[int, int] | None:
        return None  # only the server knows what others committed

    @contextmanager
    def writing(self) -> Iterator[PostgreSQLTransaction]:
        self._check_once()
        with self._transaction(_WRITE) as tx:
            yield tx

    @contextmanager
    def migrating(self) -> Iterator[PostgreSQLTransaction]:
        """As ``writing``, whatever the schema, and with the time that a migration may need."""
        with self._transaction(_WRITE, answer_s=_MIGRATION_S) as tx:
            for setting in _MIGRATION_SETTINGS:
                tx.execute(setting)
            tx.take("lock_migrating_transaction")
            yield tx

    @contextmanager
    def looking(self) -> Iterator[PostgreSQLTransaction | None]:
        """As ``reading``, whatever the schema; None when the database was never migrated."""
        with self._transaction(_READ) as tx:
            yield tx if tx.one("find_migrations_table") is not None else None

    @contextmanager
    def migration_lock(self, wait_s: float) -> Iterator[None]:
        """A lock that belongs to a connection: free again the moment its holder dies."""
        deadline_s = self._clock.monotonic_s() + wait_s
        connection = self._lend()
        try:
            while not self._try_migration_lock(connection):
                if self._clock.monotonic_s() >= deadline_s:
                    raise Unavailable(
                        f"another process has been migrating the metadata store for more than {wait_s:g} s",
                        service="metadata",
                        hint="wait for the other init-schema to end, then run it again",
                    )
                self._clock.sleep(_LOCK_RETRY_S)
            try:
                yield
            finally:
                self._release_migration_lock(connection)
        finally:
            connection.close()
            self._pool.putconn(connection)

    def close(self) -> None:
        """Close what is not lent at the moment; what is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
        self._pool.close(_CLOSE_S)

    def _try_migration_lock(self, connection: DeadlineConnection) -> bool:
        connection.allow(answer_s=self._answer_s, total_s=self._answer_s)
        with translated(), self._noting_silence():
            row = connection.execute(postgresql_statements()["try_migration_lock"]).fetchone()
        return row is not None and bool(row["held"])

    def _release_migration_lock(self, connection: DeadlineConnection) -> None:
        """Free for the next one at once: a server frees the lock of a closed connection when it comes to it."""
        connection.allow(answer_s=self._answer_s, total_s=self._answer_s)
        with suppress(psycopg.Error):  # a connection that is broken holds nothing for long
            connection.execute(postgresql_statements()["release_migration_lock"])

    def _check_once(self) -> None:
        if not self._checked:
            self._check()
            self._checked = True

    @contextmanager
    def _transaction(self, begin: str, *, answer_s: float | None = None) -> Iterator[PostgreSQLTransaction]:
        connection = self._begin(begin, answer_s or self._answer_s)
        try:
            with translated(), self._noting_silence():
                yield PostgreSQLTransaction(connection, writing=begin == _WRITE)
                connection.execute("COMMIT")
            self._reach.answered()
        except BaseException:
            connection.roll_back()
            raise
        finally:
            self._pool.putconn(connection)

    def _begin(self, begin: str, answer_s: float) -> DeadlineConnection:
        """A connection with a transaction begun on it."""
        connection, _ = self._first(lambda one: one.execute(begin), answer_s)
        return connection

    def _first(self, ask: Callable[[DeadlineConnection], _T], answer_s: float) -> tuple[DeadlineConnection, _T]:
        """A connection, and what the first question on it was answered; the question must bear to be asked twice.

        Nothing was asked of the server before, so a connection that turns out to be broken (the server was started
        again meanwhile) is replaced unnoticed, once, and all that are as old with it.
        """
        for is_last in (False, True):
            connection = self._lend()
            try:
                connection.allow(answer_s=answer_s, total_s=answer_s + _MORE_S)
                with self._noting_silence():
                    return connection, ask(connection)
            except psycopg.Error as error:
                is_broken = connection.closed and not isinstance(error, NoAnswerError)
                connection.close()
                self._pool.putconn(connection)
                if is_last or not is_broken:
                    raise own_error(error) from error
                self._discard_as_old_as(connection)
            except BaseException:
                connection.close()
                self._pool.putconn(connection)
                raise
        raise AssertionError("the second attempt returns or raises")

    def _lend(self) -> DeadlineConnection:
        self._reach.admit()
        try:
            with self._lock:
                if self._closed:
                    raise closed()
                self._pool.open()
            return self._wait_for_connection()
        except PoolClosed:
            raise closed() from None

    def _wait_for_connection(self) -> DeadlineConnection:
        """A connection of the pool: a short wait while the server answers, else until it was tried to connect."""
        if self._reach.answers:
            try:
                return self._pool.getconn(self._acquire_s)
            except PoolTimeout:
                raise (self._reach.call_failed() or all_busy()) from None
        failed_before = self._reach.failed_connects
        deadline_s = time.monotonic() + _CONNECT_S
        while time.monotonic() < deadline_s:
            try:
                return self._pool.getconn(_FIRST_LOOK_S)
            except PoolTimeout:
                if self._reach.failed_connects > failed_before:
                    raise (self._reach.call_failed() or all_busy()) from None
        raise self._reach.call_failed(no_answer) or no_answer()

    def _discard_as_old_as(self, connection: DeadlineConnection) -> None:
        with self._lock:
            if connection.opened_at_s < self._all_fresh_from_s:
                return
            self._all_fresh_from_s = time.monotonic()
        self._pool.drain()

    def _connect_failed(self, error: psycopg.Error) -> None:
        text, address = type(error)(str(error)), self._address

        def why() -> CampaignctlError:
            return connect_failure(text, address)

        self._reach.connect_failed(why)

    @contextmanager
    def _noting_silence(self) -> Iterator[None]:
        try:
            yield
        except NoAnswerError:
            self._reach.call_failed(no_answer)
            raise


def _server_settings(answer_s: float) -> str:
    settings_s = {
        "lock_timeout": answer_s * 2 / 3,  # the server says that it is busy before it is taken for frozen
        "statement_timeout": answer_s + 0.5,  # ends what nobody waits for any more
        "idle_in_transaction_session_timeout": 10,  # frees the locks of a client that froze
    }
    return " ".join(f"-c {name}={round(value_s * 1000)}" for name, value_s in settings_s.items())
