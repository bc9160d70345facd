"""A few connections to one analytics store: one that writes, some that read.

Calls on one connection wait for each other, so a long question must not have a batch wait behind it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from queue import Empty, LifoQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from campaignctl.adapters.analytics.native import Table
from campaignctl.adapters.sql_files import as_asked, parameters_of
from campaignctl.errors import Unavailable

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Settings = Mapping[str, str | int | float]
Connect = Callable[[Settings], "Client"]
"""Opens a connection whose statements run under the settings."""
Note = Callable[[str, str, Mapping[str, object]], None]
"""Is told of a statement as its file has it, of its text as it is asked, and of its parameters."""

_note: ContextVar[Note | None] = ContextVar("note", default=None)

# One thread a question: a second one costs more than it brings for what a campaign's answer has to read. What hundreds
# of campaigns' answer reads takes a server's several threads half the time (``wide``).
_ANSWERING: Settings = {
    "max_threads": 1,
    "max_execution_time": 8,
    "max_rows_to_group_by": 1_000_000,
    "group_by_overflow_mode": "throw",
    "max_memory_usage": 768 * 1024 * 1024,
    "max_bytes_before_external_group_by": 192 * 1024 * 1024,
    "max_bytes_ratio_before_external_group_by": 0,
    "use_query_condition_cache": 0,
    "optimize_use_projections": 0,  # there are none, and looking for them takes a tenth of a small statement's time
}
_LANDING: Settings = {"max_threads": 1, "max_insert_threads": 1}
_WAIT_S = 10.0

# One insert is one block, whatever the defaults of the engine's version: a block that was split in another way when it
# is sent again is another block to the deduplication log. The blocks of a view are merged already.
_ONE_BLOCK: Settings = {
    "async_insert": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_block_size": 1_000_000,
    "min_insert_block_size_rows": 1_000_000,
    "min_insert_block_size_bytes": 0,
    "max_partitions_per_insert_block": 10_000,
    "optimize_on_insert": 0,
}


@contextmanager
def reads_noted(note: Note) -> Iterator[None]:
    """While it is entered, ``note`` is told of every statement that this thread reads by."""
    before = _note.set(note)
    try:
        yield
    finally:
        _note.reset(before)


class Shard(Protocol):
    """Where the rows of some partitions lie: what is written is there whole, what is read is as it is now."""

    def reader(self) -> AbstractContextManager["Client"]: ...

    def writer(self) -> AbstractContextManager["Client"]: ...

    def read(self, statement: str, parameters: Mapping[str, object], *, settings: Settings | None = None) -> Table: ...

    def read_without_limits(self, statement: str, parameters: Mapping[str, object]) -> Table: ...

    def insert(self, table: str, block: bytes, token: str) -> None: ...


class Clients:
    """Opens connections when they are first needed. May be used by several threads.

    ``answering`` are settings of the connections that read, beside the usual ones.
    """

    wide: Settings | None = None
    """In place of the connection's, for a statement that reads hundreds of thousands of rows."""

    def __init__(self, connect: Connect, *, readers: int, answering: Settings | None = None) -> None:
        self._connect = connect
        self._answering = {**_ANSWERING, **(answering or {})}
        self._idle: LifoQueue[Client | None] = LifoQueue()
        self._lock = Lock()
        self._writer: Client | None = None
        self._opened: list[Client] = []
        self._closed = False
        for _ in range(readers):
            self._idle.put(None)

    @contextmanager
    def reader(self) -> Iterator["Client"]:
        """A connection for questions; ``Unavailable`` when all of them stay busy."""
        try:
            client = self._idle.get(timeout=_WAIT_S)
        except Empty:
            raise Unavailable("the analytics store is busy", service="analytics") from None
        try:
            if client is None:
                client = self._open(self._answering)
            yield client
        finally:
            self._idle.put(client)

    @contextmanager
    def writer(self) -> Iterator["Client"]:
        """The connection for inserts and migrations."""
        with self._lock:
            if self._writer is None:
                self._writer = self._open(_LANDING)
            yield self._writer

    @contextmanager
    def own(self, settings: Settings) -> Iterator["Client"]:
        """A connection of one's own, closed afterwards."""
        client = self._connect(settings)
        try:
            yield client
        finally:
            client.close()

    def read(
        self,
        statement: str,
        parameters: Mapping[str, object],
        *,
        settings: Settings | None = None,
        asked: Collection[str] | None = None,
    ) -> Table:
        """One statement's answer; ``settings`` in place of those of the connection.

        ``asked`` says which of the statement's conditional lines belong to it; None: it has none.
        """
        text = statement if asked is None else as_asked(statement, asked)
        if (note := _note.get()) is not None:
            note(statement, text, parameters)
        named = {name: parameters[name] for name in parameters_of(text) if name in parameters}
        with self.reader() as client:
            given = dict(settings) if settings else None
            sent = self._as_sent(text, named)
            return Table(client.raw_query(sent, parameters=named, settings=given, fmt="Native"))

    def insert(self, table: str, block: bytes, token: str) -> None:
        """Insert one block in Native format under a token."""
        with self.writer() as client:
            client.raw_insert(table, insert_block=block, fmt="Native", settings=_under(token))

    def read_without_limits(self, statement: str, parameters: Mapping[str, object]) -> Table:
        """For whoever inserts: neither the limits of questions nor a wait for a free connection apply."""
        with self.writer() as client:
            return Table(client.raw_query(statement, parameters=dict(parameters), fmt="Native"))

    def _as_sent(self, statement: str, _parameters: Mapping[str, object]) -> str:
        """The statement's text for what it is asked with."""
        return statement

    def of_partition(self, _partition: int) -> Shard:
        """Where the partition's rows are written, and are read by who writes them."""
        return self

    def shards(self) -> Mapping[int, Shard]:
        """All that hold rows, by their numbers from 1: one server is one."""
        return {1: self}

    def close(self) -> None:
        with self._lock:
            self._closed = True
            while self._opened:
                self._opened.pop().close()

    def _open(self, settings: Settings) -> "Client":
        if self._closed:
            raise Unavailable("the analytics store is closed", service="analytics")
        client = self._connect(settings)
        self._opened.append(client)
        return client


def _under(token: str) -> dict[str, Any]:
    return {**_ONE_BLOCK, "insert_deduplication_token": token}
