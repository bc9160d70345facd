"""Which server of a cluster is asked for what, and that nothing is asked otherwise where there is no cluster."""

import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.cluster import ClusterClients, ClusterServer, ClusterShard, with_lists_sent_once
from campaignctl.adapters.analytics.migrations import load_migrations
from campaignctl.adapters.analytics.verification import REPEATED_ROWS
from campaignctl.adapters.sql_files import load_statements
from campaignctl.errors import Unavailable
from tests.contracts.analytics_rows import event_rows, row

QUESTIONS = load_statements("clickhouse", "queries", "insights.sql")


@dataclass
class Recorded:
    """A connection that keeps what it is told."""

    told: list[tuple[str, str]]
    settings: Mapping[str, Any]
    refuses: Sequence[int] = ()
    """The engine's error that each call fails with; none when empty."""

    def command(self, cmd: str, parameters: object = None, settings: Mapping[str, Any] | None = None) -> None:
        self._refuse()
        self.told.append(("command", cmd))

    def raw_query(self, query: str, **_options: object) -> bytes:
        self.told.append(("query", query))
        return b""

    def raw_insert(self, table: str, *, settings: Mapping[str, Any], **_block: object) -> None:
        self._refuse()
        self.told.append((f"insert {settings['insert_deduplication_token']}", table))

    def _refuse(self) -> None:
        for code in self.refuses:
            raise DatabaseError(f"Code: {code}. DB::Exception: it is so. (NAME) (version 26.7)", code=code)

    def close(self) -> None:
        pass


@dataclass
class FakeReplica:
    shard: int
    number: int

    def __str__(self) -> str:
        return f"replica {self.number} of shard {self.shard}"


class FakeServer:
    """A server of a cluster whose connections are recorded."""

    def __init__(self, shard: int, number: int) -> None:
        self.replica = FakeReplica(shard, number)
        self.is_away = False
        self.told: list[tuple[str, str]] = []
        self.refuses: list[int] = []
        self.own = Clients(lambda settings: cast(Any, Recorded(self.told, settings, self.refuses)), readers=1)
        self.across = Clients(lambda settings: cast(Any, Recorded(self.told, settings)), readers=1)

    def require_answer(self) -> None:
        if self.is_away:
            raise Unavailable(f"server {self.replica.shard}.{self.replica.number} is away", service="analytics")

    def close(self) -> None:
        self.own.close()
        self.across.close()


@dataclass
class FakeCluster:
    places: Sequence[tuple[int, int]]
    told: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.servers = [FakeServer(*place) for place in self.places]
        self.clients = ClusterClients(
            lambda settings: cast(Any, Recorded(self.told, settings)),
            lambda: cast(Sequence[ClusterServer], self.servers),
            readers=1,
        )


def test_a_partition_goes_to_its_number_modulo_the_shards() -> None:
    cluster = FakeCluster([(1, 1), (2, 1), (3, 1)])
    for partition in range(7):
        cluster.clients.of_partition(partition).insert("events", b"", str(partition))
    landed = [[token for token, _ in server.told] for server in cluster.servers]
    assert landed == [["insert 0", "insert 3", "insert 6"], ["insert 1", "insert 4"], ["insert 2", "insert 5"]]
    assert cluster.told == []


def test_shards_are_counted_in_the_order_of_their_numbers() -> None:
    cluster = FakeCluster([(7, 1), (2, 1)])
    cluster.clients.of_partition(0).insert("events", b"", "t")
    assert [len(server.told) for server in cluster.servers] == [0, 1]


def test_another_replica_stands_in_for_the_first_until_it_is_back() -> None:
    cluster = FakeCluster([(1, 1), (1, 2), (2, 1)])
    first, second, other = cluster.servers
    landed = []
    for first.is_away in (False, True, False):
        cluster.clients.of_partition(2).insert("events", b"", "t")
        landed.append((len(first.told), len(second.told)))
    assert landed == [(1, 0), (1, 1), (2, 1)] and other.told == []
    first.is_away = second.is_away = True
    with pytest.raises(Unavailable, match=r"server 1\.1 is away; server 1\.2 is away"):
        cluster.clients.of_partition(2).insert("events", b"", "t")


def test_a_replica_catches_up_before_the_writer_of_a_partition_reads() -> None:
    cluster = FakeCluster([(1, 1), (1, 2), (2, 1)])
    shard = cluster.clients.of_partition(0)
    shard.read("SELECT 1", {})
    assert cluster.servers[0].told == [
        *[("command", "SYSTEM SYNC REPLICA {table:Identifier} LIGHTWEIGHT")] * 4,
        ("query", "SELECT 1"),
    ]
    cluster.clients.of_partition(1).read("SELECT 1", {})
    assert cluster.servers[2].told == [("query", "SELECT 1")]  # it has nobody to catch up with


@pytest.mark.parametrize("code", [159, 225, 242, 999])
def test_a_replica_that_lost_its_keeper_is_stood_in_for(code: int) -> None:
    cluster = FakeCluster([(1, 1), (1, 2)])
    first, second = cluster.servers
    first.refuses.append(code)
    shard = cluster.clients.of_partition(0)
    shard.insert("events", b"", "t")
    shard.read("SELECT 1", {})
    assert first.told == []
    assert (second.told[0], second.told[-1]) == (("insert t", "events"), ("query", "SELECT 1"))
    second.refuses.append(code)
    with pytest.raises(Unavailable, match=r"replica.*it is so; .*it is so"):
        shard.insert("events", b"", "t")


def test_any_other_failure_is_the_caller_s() -> None:
    cluster = FakeCluster([(1, 1), (1, 2)])
    cluster.servers[0].refuses.append(252)
    with pytest.raises(DatabaseError):
        cluster.clients.of_partition(0).insert("events", b"", "t")
    assert cluster.servers[1].told == []


def test_what_is_removed_is_removed_on_every_shard() -> None:
    cluster = FakeCluster([(1, 1), (1, 2), (2, 1)])
    ClickHouseAnalytics(cluster.clients).remove_campaign(5)
    assert [len(server.told) for server in cluster.servers] == [3, 0, 3]
    assert all(text.startswith("ALTER TABLE") and "ON CLUSTER" not in text for _, text in cluster.servers[0].told)


def test_the_servers_are_looked_up_once() -> None:
    found: list[int] = []

    def open_servers() -> Sequence[ClusterServer]:
        found.append(1)
        return cast(Sequence[ClusterServer], [FakeServer(1, 1)])

    clients = ClusterClients(lambda settings: cast(Any, Recorded([], settings)), open_servers, readers=1)
    assert [type(clients.of_partition(n)) for n in range(3)] == [ClusterShard] * 3
    assert found == [1]
    clients.close()


def test_long_lists_of_what_is_left_out_are_sent_as_tables() -> None:
    for statement in (QUESTIONS["sums_of_rollup"], QUESTIONS["sums_of_events"]):
        few, many = ({"left_out": [(1, "meta", day) for day in range(days)]} for days in (0, 1_000))
        assert with_lists_sent_once(statement, few) == statement
        sent = with_lists_sent_once(statement, many)
        assert "GLOBAL NOT IN (SELECT arrayJoin({left_out:Array(Tuple(" in sent
        (list_,) = re.findall(r"\{left_out:[^{}]*\}", statement)
        assert sent == statement.replace(f"NOT IN {list_}", f"GLOBAL NOT IN (SELECT arrayJoin({list_}))")
    for statement in QUESTIONS.values():
        assert with_lists_sent_once(statement, {"left_out": []}) == statement


def test_without_a_cluster_every_statement_is_the_one_of_its_file() -> None:
    told: list[tuple[str, str]] = []
    opened: list[Mapping[str, Any]] = []

    @contextmanager
    def alone(_wait_s: float) -> Any:
        yield

    def connect(settings: Mapping[str, Any]) -> Any:
        opened.append(settings)
        return Recorded(told, settings)

    store = ClickHouseAnalytics(Clients(connect, readers=1), migration_lock=alone)
    assert store.migrations() == load_migrations()
    for migration in store.migrations():
        store.apply(migration)
    store.append_events(event_rows([row(0)]), "t")
    store.remove_campaign(1)
    store.remove_rows(1, [("part", 0)])
    store.repeated_rows(1, 0, 0, 1)
    schema, erasure = (load_statements("clickhouse", "queries", name) for name in ("schema.sql", "erasure.sql"))
    verification = load_statements("clickhouse", "queries", "verification.sql")
    migrated = [
        ("command", text)
        for one in load_migrations()
        for text in (schema["create_list"], *one.statements, schema["record"])
    ]
    removed = [("command", erasure[name]) for name in ("remove_events", "remove_rollup", "remove_conflicts")]
    assert told == [
        *migrated,
        ("insert t", "events"),
        *removed,
        ("command", verification["remove_rows"]),
        ("query", REPEATED_ROWS),
    ]
    assert verification["repeated_rows"] == REPEATED_ROWS
    assert store.cluster_state() is None
    assert not any("load_balancing" in one or "insert_quorum" in one for one in opened)
