"""Analytics on the servers of a ClickHouse cluster."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.cluster import SQL, ClusterClients, ClusterServer, Replica, find_replicas, inserting
from campaignctl.adapters.analytics.cluster_form import ClusterForm
from campaignctl.adapters.analytics.failures import is_no_table, store_failures
from campaignctl.adapters.analytics.landed import WRITTEN_TABLES
from campaignctl.adapters.analytics.migration_claims import MigrationClaims
from campaignctl.adapters.analytics.migrations import load_migrations
from campaignctl.adapters.analytics.server import QUESTION_S, READERS, ServerConnections, require_plain_name
from campaignctl.adapters.analytics.server_failures import Server
from campaignctl.adapters.analytics.verification import REPEATED_ROWS
from campaignctl.adapters.sql_files import load_statements
from campaignctl.errors import ConfigurationError, SchemaMismatch
from campaignctl.ports.clusters import ClusterState
from campaignctl.ports.schema import AppliedMigration, Migration

_SCHEMA = load_statements("clickhouse", "queries", "schema.sql")
_CLUSTER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ANSWERING = {"max_execution_time": QUESTION_S}
# The answer of ON CLUSTER comes when all servers are done; what is not done by then goes on by itself.
_TO_ALL: dict[str, str | int] = {"distributed_ddl_task_timeout": 50, "distributed_ddl_output_mode": "throw"}
_PLACE, _PLACE_IN_CLUSTER = "_part AS part,", "concat(toString(_shard_num), ':', _part) AS part,"


def open_cluster(
    host: str,
    port: int,
    database: str,
    username: str,
    password: str,
    secure: bool = False,  # noqa: FBT001  # one of the parts of an address
    *,
    cluster: str,
    replicated: bool,
    ca_file: str = "",
    readers: int = READERS,
) -> "ClickHouseCluster":
    """The store on the ``cluster`` that the server knows by this name; as ``open_clickhouse`` for the rest.

    Questions go through the named server, a partition's rows to the server of its shard, under the same user.
    ``replicated`` says whether shards have (or may come to have) several replicas, kept equal by a Keeper.
    """
    require_plain_name(database)
    if not _CLUSTER_NAME.fullmatch(cluster):
        raise ConfigurationError("clickhouse.cluster may hold letters, digits, dots, hyphens and underscores only")
    form = ClusterForm(cluster, database, replicated)

    def connections(to: Server, of: str) -> ServerConnections:
        return ServerConnections(to, of, username, password, ca_file, readers)

    configured = connections(Server(host, port, secure), database)

    def open_servers() -> list[ClusterServer]:
        with store_failures():
            replicas = find_replicas(configured, cluster)
        sizes = {shard: sum(one.shard == shard for one in replicas) for shard in {one.shard for one in replicas}}
        _refuse_copies(form, sizes)
        return [
            ClusterServer(
                replica,
                cluster,
                connections(Server(replica.host, replica.port, secure), form.local_database),
                connections(Server(replica.host, replica.port, secure), database),
                inserting=inserting(replicated=replicated, replicas=sizes[replica.shard]),
                answering=_ANSWERING,
            )
            for replica in replicas
        ]

    clients = ClusterClients(configured.open, open_servers, readers=readers, answering=_ANSWERING)
    return ClickHouseCluster(clients, form, find=lambda: find_replicas(configured, cluster))


class ClickHouseCluster(ClickHouseAnalytics):
    """The whole analytics store over the servers of a cluster. May be used by several threads.

    Migrations are led by the first replica of the first shard, which has their lock: all servers must be there for one.
    """

    _repeated_rows = REPEATED_ROWS.replace(_PLACE, _PLACE_IN_CLUSTER)

    def __init__(self, clients: ClusterClients, form: ClusterForm, *, find: Callable[[], Sequence[Replica]]) -> None:
        super().__init__(clients, migration_lock=self._migrating)
        self._servers = clients.servers
        self._form = form
        self._find = find

    def ping(self) -> None:
        """Raise ``Unavailable`` unless every shard answers."""
        with store_failures():
            self._clients.read(SQL["every_shard"], {"cluster": self._form.cluster})

    def migrations(self) -> Sequence[Migration]:
        return tuple(
            Migration(one.number, one.name, one.checksum, self._formed(one.statements)) for one in load_migrations()
        )

    def applied(self) -> Mapping[int, AppliedMigration]:
        self._servers()  # a cluster that is not known, or not as it is said to be, has no schema
        try:
            return super().applied()
        except SchemaMismatch as error:
            if is_no_table(error.__cause__):  # of a shard that is new, or to which a first init-schema did not get
                return {}
            raise

    def apply(self, migration: Migration, /) -> None:
        record = {"number": migration.number, "name": migration.name, "checksum": migration.checksum}
        statements = [*self._formed([_SCHEMA["create_list"]]), *migration.statements]
        with store_failures():
            for server in self._led():
                with server.own.writer() as client:
                    for statement in statements:
                        client.command(statement, settings=_TO_ALL)
            with self._servers()[0].own.writer() as client:
                client.command(_SCHEMA["record"], parameters=record)

    def missing_windows(self) -> Sequence[str]:
        where = {"cluster": self._form.cluster, "database": self._form.local_database}
        with store_failures():
            table = self._clients.read(SQL["windows"], where)
            answering = sum(replica.answers for replica in self._find())
        made: dict[str, list[str]] = {name: [] for name in WRITTEN_TABLES}
        for name, text in zip(table.strings("name"), table.strings("create_table_query"), strict=True):
            made[name].append(text)
        return [name for name, texts in made.items() if len(texts) < answering or not all(map(self._remembers, texts))]

    def remove_rows(self, campaign_id: int, places: Sequence[tuple[str, int]], /) -> None:
        for number, shard in self._clients.shards().items():
            prefix = f"{number}:"
            there = [(part.removeprefix(prefix), offset) for part, offset in places if part.startswith(prefix)]
            if there:
                self._remove_rows(shard, campaign_id, there)

    def cluster_state(self) -> ClusterState:
        where = {"cluster": self._form.cluster, "database": self._form.local_database}
        with store_failures():
            replicas = self._find()
            table = self._clients.read(SQL["read_only_tables"], where)
        read_only = dict(zip(table.integers("place").tolist(), table.integers("tables").tolist(), strict=True))
        return ClusterState(
            name=self._form.cluster,
            shards=len({one.shard for one in replicas}),
            replicas=len(replicas),
            away=tuple(str(one) for one in replicas if not one.answers),
            read_only={str(one): read_only[n] for n, one in enumerate(replicas, start=1) if n in read_only},
        )

    def _has_list(self) -> bool:
        if not super()._has_list():
            return False
        (engine,) = self._clients.read(SQL["list_engine"], {}).strings("engine")
        if engine != "Distributed":
            raise SchemaMismatch(
                f"the database {self._form.database} was made for one server, and clickhouse.cluster is set",
                hint="name another database in clickhouse.database, or leave clickhouse.cluster empty",
            )
        return True

    @contextmanager
    def _migrating(self, wait_s: float) -> Iterator[None]:
        with store_failures():
            servers = self._servers()
            for server in servers:
                server.require_answer()
            for server in servers:
                server.make_databases(self._form.databases)
        with MigrationClaims(servers[0].own).held(wait_s):
            yield

    def _led(self) -> Sequence[ClusterServer]:
        """The servers that statements of migrations are sent to."""
        return self._servers()[:1] if self._form.replicated else self._servers()

    def _formed(self, statements: Sequence[str]) -> tuple[str, ...]:
        return tuple(formed for one in statements for formed in self._form.of(one))

    def _remembers(self, create_table: str) -> bool:
        """Whether the table remembers tokens, of its own engine's setting and for long enough."""
        kind = "" if self._form.replicated else "non_"
        found = re.search(rf"\b{kind}replicated_deduplication_window = ([0-9]+)", create_table)
        return found is not None and int(found[1]) > 0


def _refuse_copies(form: ClusterForm, sizes: Mapping[int, int]) -> None:
    for shard, replicas in sizes.items():
        if replicas > 1 and not form.replicated:
            raise ConfigurationError(
                f"shard {shard} of cluster {form.cluster} has {replicas} replicas, which nothing would keep equal",
                hint="set clickhouse.replicated to true",
            )
