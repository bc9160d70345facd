"""The servers of a ClickHouse cluster, and which of them is asked for what.

A partition of the log always goes to the same shard: its number modulo the number of shards, in the order of the
cluster's definition. Of a shard's replicas one works, the first that answers; it takes the inserts, and the Distributed
tables read from it. So what was written is read at once, and the others only have to be there when it is away.

The log's tokens are a shard's, not a replica's: a batch that was sent to one replica and is repeated on another is the
same batch. An insert returns when most replicas of the shard have it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from campaignctl.adapters.analytics.clients import Clients, Connect, Settings, Shard
from campaignctl.adapters.analytics.failures import code_of, short_message
from campaignctl.adapters.analytics.native import Table
from campaignctl.adapters.analytics.server import ServerConnections
from campaignctl.adapters.sql_files import load_statements
from campaignctl.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SQL = load_statements("clickhouse", "queries", "cluster.sql")
_LANDED_IN = ("events", "rollup_1d", "report_slices", "report_coverage")
_LEFT_OUT = re.compile(r"NOT IN (?P<list>\{(?P<name>\w+):Array\(Tuple\([^{}]*\)\)\})")
_LONG_LIST = 500
_MIB = 1024 * 1024

ACROSS: Settings = {
    # Parts of a question that read a table are answered by all shards together.
    "distributed_product_mode": "global",
    # Always the first replica that answers, and that is no second behind, also after it did not answer for a while.
    "load_balancing": "in_order",
    "distributed_replica_max_ignored_errors": 1_000,
    "max_replica_delay_for_distributed_queries": 1,
    # No second replica when the first is slow: it might be behind. An engine that asks so may also end, with all it
    # serves, when a shard refuses connections (26.7.2).
    "use_hedged_requests": 0,
    "prefer_localhost_replica": 0,
    # A question reaches the shards as text that holds its parameters.
    "max_query_size": 256 * _MIB,
    "max_ast_elements": 10_000_000,
    "max_expanded_ast_elements": 10_000_000,
}
"""Settings of all that is asked of Distributed tables."""

_HERE: Settings = {"prefer_localhost_replica": 1}
# A server that lost its Keeper says so after some seconds, and another replica can be asked.
_REPLICATED: Settings = {"insert_keeper_max_retries": 5}
_MOST_REPLICAS: Settings = {"insert_quorum": "auto", "insert_quorum_timeout": 30_000}
_CATCHING_UP: Settings = {"receive_timeout": 10}
_OUT_OF_REPLICATION: Mapping[int | None, str] = {
    159: "has not caught up",
    225: "has no Keeper",
    242: "takes no rows",
    999: "lost its Keeper",
}
"""What the engine's errors say of a replica whose place another one can take."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One server of the cluster."""

    shard: int
    """Its number in the cluster's definition, from 1."""
    number: int
    host: str
    port: int
    """Of HTTP."""
    answers: bool
    """Whether it answered the server that was asked for the cluster."""

    def __str__(self) -> str:
        return f"replica {self.number} of shard {self.shard} ({self.host})"


def find_replicas(asked: ServerConnections, cluster: str) -> list[Replica]:
    """The cluster's servers in the order of its definition.

    Each tells its own port of HTTP; for one that does not answer the asked server's is taken.

    Raises ``ConfigurationError`` when the server knows no such cluster.
    """
    found = Table(asked.outside(SQL["replicas"], {"cluster": cluster}, fmt="Native"))
    if not found.rows:
        raise ConfigurationError(
            f"{asked.server} knows no cluster {cluster}",
            hint="set clickhouse.cluster to a name that its remote_servers have (system.clusters lists them)",
        )
    kind = "https_port" if asked.server.secure else "http_port"
    told = Table(asked.outside(SQL["http_ports"], {"cluster": cluster, "kind": kind}, fmt="Native"))
    ports = dict(zip(told.integers("place").tolist(), told.integers("port").tolist(), strict=True))
    columns = (found.integers("shard_num").tolist(), found.integers("replica_num").tolist(), found.strings("host_name"))
    return [
        Replica(shard, number, host, ports.get(place, asked.server.port), place in ports)
        for place, (shard, number, host) in enumerate(zip(*columns, strict=True), start=1)
    ]


def inserting(*, replicated: bool, replicas: int) -> Settings:
    """Settings of inserts into a shard that has so many replicas: most of them must have the rows."""
    return {**(_REPLICATED if replicated else {}), **(_MOST_REPLICAS if replicas > 1 else {})}


class ClusterServer:
    """Connections to one server of the cluster: to its own tables, and through it to all shards."""

    def __init__(
        self,
        replica: Replica,
        cluster: str,
        own: ServerConnections,
        across: ServerConnections,
        *,
        inserting: Settings,
        answering: Settings,
    ) -> None:
        self.replica = replica
        self._cluster = cluster
        self._connections = own, across
        self._is_itself = False
        self.own = Clients(_under(own.open, inserting), readers=across.readers)
        """Of the server's own tables: the current database is the local one."""
        self.across = Clients(_under(across.open, {**ACROSS, **_HERE}), readers=across.readers, answering=answering)
        """Of all shards; the server's own shard is read from itself."""

    def require_answer(self) -> None:
        """Raise ``Unavailable`` when the server is away.

        Raises ``ConfigurationError`` when it is not the replica that the cluster's definition has there.
        """
        self._connections[0].require_answer()
        if not self._is_itself:
            named = {"cluster": self._cluster}
            table = Table(self._connections[0].outside(SQL["own_replicas"], named, fmt="Native"))
            places = zip(table.integers("shard_num").tolist(), table.integers("replica_num").tolist(), strict=True)
            if (self.replica.shard, self.replica.number) not in places:
                server = self._connections[0].server
                raise ConfigurationError(
                    f"{server} does not take itself for {self.replica} of cluster {self._cluster}",
                    hint="every server of the cluster must have the same remote_servers, and its own address there",
                )
            self._is_itself = True

    def catch_up(self) -> "ClusterServer":
        """Return when the server has all rows that any replica of its shard has taken before."""
        with self.own.writer() as client:
            for table in _LANDED_IN:
                client.command(SQL["catch_up"], parameters={"table": table}, settings=dict(_CATCHING_UP))
        return self

    def make_databases(self, statements: Sequence[str]) -> None:
        """Run what makes both databases, unless they are there."""
        own, across = self._connections
        if not (own.has_database() and across.has_database()):
            for statement in statements:
                own.outside(statement)

    def close(self) -> None:
        self.own.close()
        self.across.close()


class ClusterShard:
    """A ``Shard`` of a cluster."""

    def __init__(self, servers: Sequence[ClusterServer]) -> None:
        self.servers = servers

    @contextmanager
    def reader(self) -> Iterator["Client"]:
        with self._caught_up().across.reader() as client:
            yield client

    @contextmanager
    def writer(self) -> Iterator["Client"]:
        with self._working().own.writer() as client:
            yield client

    def read(self, statement: str, parameters: Mapping[str, object], *, settings: Settings | None = None) -> Table:
        return self._caught_up().across.read(statement, parameters, settings=settings)

    def read_without_limits(self, statement: str, parameters: Mapping[str, object]) -> Table:
        return self._caught_up().across.read_without_limits(statement, parameters)

    def insert(self, table: str, block: bytes, token: str) -> None:
        def try_it(server: ClusterServer) -> ClusterServer:
            server.own.insert(table, block, token)
            return server

        self._first(try_it)

    def _working(self) -> ClusterServer:
        """The first replica that answers."""
        return self._first(lambda server: server)

    def _caught_up(self) -> ClusterServer:
        """The first replica that has all rows which any of them has taken before."""
        return self._first(ClusterServer.catch_up if len(self.servers) > 1 else lambda server: server)

    def _first(self, able: Callable[[ClusterServer], ClusterServer]) -> ClusterServer:
        """The first replica that answers and takes part in replication, as far as that is needed."""
        reasons: list[str] = []
        for server in self.servers:
            try:
                server.require_answer()
            except Unavailable as error:
                reasons.append(error.message)
                continue
            try:
                return able(server)
            except ClickHouseError as error:
                if code_of(error) not in _OUT_OF_REPLICATION:
                    raise
                reasons.append(f"{server.replica} {_OUT_OF_REPLICATION[code_of(error)]}: {short_message(error)}")
        raise Unavailable("; ".join(reasons), service="analytics")


class ClusterClients(Clients):
    """Connections to the configured server, and to the others of its cluster once they are needed."""

    def __init__(
        self,
        connect: Connect,
        open_servers: Callable[[], Sequence[ClusterServer]],
        *,
        readers: int,
        answering: Settings | None = None,
    ) -> None:
        super().__init__(_under(connect, ACROSS), readers=readers, answering=answering)
        self._open_servers = open_servers
        self._found_lock = Lock()
        self._servers: Sequence[ClusterServer] = ()

    def _as_sent(self, statement: str, parameters: Mapping[str, object]) -> str:
        return with_lists_sent_once(statement, parameters)

    def of_partition(self, partition: int, /) -> Shard:
        shards = list(self.shards().values())
        return shards[partition % len(shards)]

    def shards(self) -> Mapping[int, Shard]:
        shards: dict[int, list[ClusterServer]] = {}
        for server in self.servers():
            shards.setdefault(server.replica.shard, []).append(server)
        return {number: ClusterShard(servers) for number, servers in sorted(shards.items())}

    def servers(self) -> Sequence[ClusterServer]:
        """In the order of the cluster's definition, which is looked up once."""
        with self._found_lock:
            if not self._servers:
                self._servers = self._open_servers()
            return self._servers

    def close(self) -> None:
        with self._found_lock:
            for server in self._servers:
                server.close()
        super().close()


def with_lists_sent_once(statement: str, parameters: Mapping[str, object]) -> str:
    """The statement with long lists of what it leaves out sent to the shards as tables, and not as part of its text.

    The text is read by each shard, and more slowly than it is worth: 20,000 tuples cost 4 s so, and 1 s as a table.
    """

    def sent(condition: re.Match[str]) -> str:
        values = parameters[condition["name"]]
        is_long = isinstance(values, list) and len(values) > _LONG_LIST
        return f"GLOBAL NOT IN (SELECT arrayJoin({condition['list']}))" if is_long else condition[0]

    return _LEFT_OUT.sub(sent, statement)


def _under(connect: Connect, always: Settings) -> Connect:
    return lambda settings: connect({**always, **settings})
