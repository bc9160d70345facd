"""A ClickHouse server over HTTP.

Nothing is connected when the store is opened: a server that is away makes each call ``Unavailable``, and calls work
once it is there. All threads share one pool of connections. A call ends by itself, whatever the server does: 1 s to
connect, 5 s to answer a question, 60 s to take an insert. After a server did not answer, one call in each half second
asks it for a sign of life, for a second at most; the others fail at once.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.httputil import get_pool_manager_options
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError, ProtocolError

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.clients import Clients, Settings
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.analytics.form_fields import split_arrays
from campaignctl.adapters.analytics.migration_claims import MigrationClaims
from campaignctl.adapters.analytics.server_failures import Server, explained, native_port
from campaignctl.adapters.sql_files import load_statements
from campaignctl.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CONNECT_S = 1
SIGN_OF_LIFE_S = 1
QUESTION_S = 4
"""How long a question may run: who asks does not wait longer, and gets the last answer instead."""
ANSWER_S = 1
"""How long after the end of its time a statement may still be silent."""
ASK_AGAIN_S = 0.5
"""While the server is silent one call in each such time asks it; also the longest that its return goes unnoticed."""
INSERT_S = 60
READERS = 16
WIDE: Settings = {"max_threads": 4}
"""For a statement that reads hundreds of thousands of rows; the engine takes fewer where there are fewer rows."""
_DATABASE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SQL = load_statements("clickhouse", "queries", "lock.sql")
_OK, _HTTP_1_1 = 200, 11
# What an exception about the answer's shape may be: a driver that talks to something else than ClickHouse.
_NOT_UNDERSTOOD = (ValueError, LookupError)


def open_clickhouse(
    host: str,
    port: int,
    database: str,
    username: str,
    password: str,
    secure: bool = False,  # noqa: FBT001  # one of the parts of an address
    *,
    ca_file: str = "",
    readers: int = READERS,
) -> ClickHouseAnalytics:
    """The store on a server's ``database``, which ``migration_lock`` makes when there is none.

    ``port`` is that of HTTP, or with ``secure`` that of HTTPS; ``ca_file`` names certificates to trust in place of the
    system's. Up to ``readers`` questions run at a time. Nothing is connected yet.

    Raises ``ConfigurationError`` for a name of a database that would have to be quoted.
    Calls raise ``Unavailable`` while the server is away (the outcome of an insert is then unknown), and
    ``ConfigurationError`` when what is there refuses the user, speaks something else or is too old.
    """
    require_plain_name(database)
    connections = ServerConnections(Server(host, port, secure), database, username, password, ca_file, readers)
    clients = Clients(connections.open, readers=readers, answering={"max_execution_time": QUESTION_S})
    clients.wide = WIDE
    claims = MigrationClaims(clients)

    @contextmanager
    def migrating(wait_s: float) -> Iterator[None]:
        with store_failures():
            connections.ensure_database()
        with claims.held(wait_s):
            yield

    return ClickHouseAnalytics(clients, migration_lock=migrating)


def require_plain_name(database: str) -> None:
    """Raise ``ConfigurationError`` for a name of a database that would have to be quoted."""
    if not _DATABASE.fullmatch(database):
        raise ConfigurationError("clickhouse.database may hold letters, digits, hyphens and underscores only")


@dataclass(slots=True)
class ServerConnections:
    """What all connections to one database of a server share."""

    server: Server
    database: str
    username: str
    password: str = field(repr=False)
    ca_file: str
    readers: int
    _lock: Lock = field(default_factory=Lock)
    _clients: dict[int, HttpClient] = field(default_factory=dict)
    _open: int = 0
    _answers: bool = False
    _failure: tuple[Exception, bool] | None = None
    """What the last call failed for, and whether it was the console's."""
    _ask_again_at_s: float = 0.0
    _pool: Any = None

    def __post_init__(self) -> None:
        # Given to the driver, so that no proxy of the environment is used for what is likely a neighbour.
        self._pool = _WholeAnswers(**get_pool_manager_options(maxsize=self.readers + 2, ca_cert=self.ca_file or None))

    def open(self, settings: Settings) -> "Client":
        with self._lock:
            self._open += 1
        return cast("Client", _Connection(self, settings))

    def closed(self) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                self._pool.clear()

    def ensure_database(self) -> None:
        """Make the database when there is none: only then is the right to do so needed."""
        if not self.has_database():
            self.outside(_SQL["create_database"], {"database": self.database})

    def outside(self, statement: str, parameters: Mapping[str, str] | None = None, *, fmt: str | None = None) -> bytes:
        """The answer to a statement that needs no database."""
        with self.failures(console=False):
            client = self.client(INSERT_S)
            return client.raw_query(statement, parameters=dict(parameters or {}), fmt=fmt, use_database=False)

    def has_database(self) -> bool:
        return bool(self.outside(_SQL["has_database"], {"database": self.database}))

    def require_answer(self) -> None:
        """Raise ``Unavailable`` when the server is known to be away, or does not answer what is asked now."""
        with self.failures(console=False):
            self.client(INSERT_S)

    def client(self, timeout_s: int) -> HttpClient:
        """The driver's client whose calls wait up to ``timeout_s`` for a byte. Its making asks the server."""
        if not self._answers:
            self._wait_for_turn()
            self._look_for_life()
        client = self._clients.get(timeout_s)
        if client is None:
            client = self._clients.setdefault(timeout_s, self._connect(timeout_s))
        return client

    @contextmanager
    def failures(self, *, console: bool) -> Iterator[None]:
        try:
            yield
            self._answers, self._failure = True, None
        except (ClickHouseError, HTTPError) as error:
            if getattr(error, "code", None) is None:
                self._answers, self._failure = False, (error, console)
                self._ask_again_at_s = time.monotonic() + ASK_AGAIN_S
            raise explained(error, self.server, console=console) from error

    def _wait_for_turn(self) -> None:
        """Raise what the last call failed for, unless it is worth asking the server again."""
        with self._lock:
            now_s, failure = time.monotonic(), self._failure
            if failure is None or now_s >= self._ask_again_at_s:
                self._ask_again_at_s = now_s + ASK_AGAIN_S
                return
        raise explained(failure[0], self.server, console=failure[1])

    def _look_for_life(self) -> None:
        patience = Timeout(connect=CONNECT_S, read=SIGN_OF_LIFE_S)
        response = self._pool.request("GET", f"{self.server.url}/ping", timeout=patience, retries=False)
        if b"clickhouse-client" in response.data:
            raise native_port(self.server)

    def _connect(self, timeout_s: int) -> HttpClient:
        try:
            client = HttpClient(
                interface="https" if self.server.secure else "http",
                host=self.server.host,
                port=self.server.port,
                username=self.username,
                password=self.password,
                database=None,  # the driver's first questions need none, and there may be none yet
                connect_timeout=CONNECT_S,
                send_receive_timeout=timeout_s,
                query_retries=0,
                pool_mgr=self._pool,
                autogenerate_session_id=False,  # statements of one session would wait for each other
                autogenerate_query_id=False,
                form_encode_query_params=True,
                show_clickhouse_errors=True,
                tz_source="server",
            )
        except _NOT_UNDERSTOOD as error:
            raise explained(error, self.server, console=False) from error
        client.http_retries = 0
        client.database = self.database
        return client


class _WholeAnswers(PoolManager):
    """Refuses an answer whose head was cut off.

    Python's reader takes the end of a connection for the end of the head. Without the line that says how long the
    answer is, it would be a good one that is empty: no row has landed, no event is known.
    """

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> BaseHTTPResponse:  # type: ignore[override]  # noqa: FBT001
        response = super().urlopen(method, url, redirect, **kw)
        if response.status == _OK and response.version == _HTTP_1_1 and not _tells_its_length(response):
            response.close()
            raise ProtocolError("the connection was closed within the head of the answer")
        return response


def _tells_its_length(response: BaseHTTPResponse) -> bool:
    return (
        response.headers.get("Transfer-Encoding", "") == "chunked"
        or response.headers.get("Content-Length", "").isdecimal()
    )


class _Connection:
    """The part of the driver's client that the store uses, with the server's peculiarities taken care of."""

    def __init__(self, shared: ServerConnections, settings: Settings) -> None:
        self._shared = shared
        self._settings = dict(settings)
        self._console = "readonly" in self._settings
        self._timeout_s = ANSWER_S + math.ceil(float(settings.get("max_execution_time", INSERT_S - ANSWER_S)))
        self._closed = False

    def raw_query(
        self,
        query: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        fmt: str | None = None,
    ) -> bytes:
        text, fields = split_arrays(query, parameters or {})
        with self._client() as client:
            return client.raw_query(text, parameters=fields, settings=self._under(settings), fmt=fmt)

    def command(self, cmd: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None) -> None:
        # The driver's own puts parameters into the URL, which holds a mebibyte at most.
        self.raw_query(cmd, parameters, settings)

    def raw_insert(self, table: str, *, insert_block: bytes, fmt: str, settings: Settings) -> None:
        with self._client() as client:
            client.raw_insert(table, insert_block=insert_block, fmt=fmt, settings=self._under(settings))

    def query_column_block_stream(
        self, query: str, parameters: Mapping[str, Any], settings: Settings
    ) -> AbstractContextManager[Any]:
        text, fields = split_arrays(query, parameters)
        with self._client() as client:
            return client.query_column_block_stream(text, parameters=fields, settings=self._under(settings))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._shared.closed()

    @contextmanager
    def _client(self) -> Iterator[HttpClient]:
        if self._closed:
            raise Unavailable("the analytics store is closed", service="analytics")
        with self._shared.failures(console=self._console):
            yield self._shared.client(self._timeout_s)

    def _under(self, settings: Settings | None) -> dict[str, Any]:
        return {**self._settings, **(settings or {})}
