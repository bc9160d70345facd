"""Analytics on a ClickHouse cluster: the contract on two shards, where rows lie, which server is asked, how tables are made.

The servers are those of ``tests/support/clickhouse_cluster``: what a queue for ``ON CLUSTER`` and replication do is not
seen here.
"""

import json
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from campaignctl.adapters.analytics.cluster import ACROSS, ClusterServer
from campaignctl.adapters.analytics.cluster_store import ClickHouseCluster, open_cluster
from campaignctl.errors import ConfigurationError, SchemaMismatch, Unavailable
from campaignctl.ports.analytics import OffsetRange, SqlConsole
from campaignctl.services.schema import SchemaService
from tests.contracts.analytics_cluster import ClusterHarness, clients_of
from tests.contracts.analytics_contract import AnalyticsContract
from tests.contracts.analytics_rows import FIRST_DAY, TOPIC, event_rows, row
from tests.contracts.analytics_server import open_place
from tests.contracts.console_contract import ConsoleContract
from tests.contracts.reports_contract import ReportsContract
from tests.services import places
from tests.support.clickhouse_cluster import NAME, Node, running_nodes, running_zookeeper
from tests.support.deployment import deployed, needs_servers, own_places
from tests.support.program import Program
from tests.support.services import unset

pytestmark = pytest.mark.skipif(bool(unset("CA_TEST_CLICKHOUSE_HOST")), reason=unset("CA_TEST_CLICKHOUSE_HOST"))

DAY = (FIRST_DAY - datetime(1970, 1, 1).date()).days
WINDOW_MS = 7 * 86_400_000
COUNT = "SELECT count() AS n FROM {table:Identifier}"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Node]]:
    with running_nodes(tmp_path_factory.mktemp("shards"), (1, 2)) as running:
        yield running


@pytest.fixture
def harness(nodes: Sequence[Node]) -> Iterator[ClusterHarness]:
    made = ClusterHarness(nodes)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def console(nodes: Sequence[Node]) -> Iterator[SqlConsole]:
    made = ClusterHarness(nodes)
    made.open().append_events(event_rows([row(n) for n in range(3)]), "three")
    yield made.open()
    made.remove()


class TestAnalyticsOnACluster(AnalyticsContract):
    """See ``AnalyticsContract``."""


class TestReportsOnACluster(ReportsContract):
    """See ``ReportsContract``."""


class TestConsoleOnACluster(ConsoleContract):
    """See ``ConsoleContract``."""


def opened(node: Node, database: str, *, replicated: bool = False, cluster: str = NAME) -> ClickHouseCluster:
    return open_cluster(places.HOST, node.http_port, database, "default", "", cluster=cluster, replicated=replicated)


def rows_of(server: ClusterServer, table: str) -> int:
    """How many rows the server's own table has."""
    return int(server.own.read(COUNT, {"table": table}).integers("n")[0])


def test_a_partition_lies_on_one_shard_with_its_sums(harness: ClusterHarness) -> None:
    store = harness.open()
    for partition in range(5):
        rows = [row(n, campaign_id=partition + 1) for n in range(partition + 1)]
        for _ in range(2):
            store.append_events(event_rows(rows, partition=partition), f"batch of {partition}")
    first, second = clients_of(store).servers()
    assert (rows_of(first, "events"), rows_of(second, "events")) == (1 + 3 + 5, 2 + 4)
    for server, campaigns in ((first, {1, 3, 5}), (second, {2, 4})):
        found = server.own.read("SELECT DISTINCT campaign_id AS c FROM rollup_1d ORDER BY c", {})
        assert set(found.integers("c").tolist()) == campaigns
    assert store.raw_rows_by_campaign() == {n: n for n in range(1, 6)}


def test_copies_in_another_shard_are_found_and_removed_there_only(harness: ClusterHarness) -> None:
    """Partitions 0 and 1 hold the same campaign, as after the topic got more of them: parts have the same names."""
    store = harness.open()
    store.append_events(event_rows([row(n) for n in range(4)], partition=0), "before")
    copies = [row(n) | {"times_ms": row(n)["times_ms"] + 1_000} for n in range(2)]
    store.append_events(event_rows(copies, partition=1), "after")
    assert store.campaigns_elsewhere(TOPIC, 1, 0) == [1]
    assert [len(seen) for seen in store.landed_elsewhere(TOPIC, 1, [1], 0)] == [4]
    nothing = OffsetRange(TOPIC, 1, 0, 1_000)
    assert store.find_by_id([(1, "event-3"), (1, "event-9")], nothing).event_id == ["event-3"]
    instant = (1, "event-1", row(1)["event_time_us"])
    assert store.find_by_instant([instant], nothing).event_id == ["event-1"]
    assert store.newest_offset(TOPIC, 0) == 3 and store.newest_offset(TOPIC, 1) == 1
    counted = store.recount({1: [DAY]}, WINDOW_MS, 1)
    assert (counted.rows_read, counted.copies) == (6, 2)
    repeated = store.repeated_rows(1, 0, 0, 1)
    later = [one.place for one in repeated if one.partition == 1]
    assert len(repeated) == 4 and {part.partition(":")[2] for part, _ in later} == {"202608_1_1_0"}
    store.remove_rows(1, later)
    first, second = clients_of(store).servers()
    assert (rows_of(first, "events"), rows_of(second, "events")) == (4, 0)
    store.reconcile_rollup({1: [DAY]}, WINDOW_MS, "made right", 1)
    assert store.rollup_differences(1, 0) == []
    store.remove_campaign(1)
    assert [rows_of(server, table) for server in (first, second) for table in ("events", "rollup_1d")] == [0] * 4


def test_of_many_that_migrate_at_once_one_does_it(harness: ClusterHarness, nodes: Sequence[Node]) -> None:
    through_both = [harness.place, harness.place.replace(str(nodes[0].http_port), str(nodes[1].http_port))]
    stores = [open_place(place) for place in through_both * 2]
    for store in stores:
        with pytest.raises(SchemaMismatch, match="lacks 0001"):
            SchemaService([store]).check()
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda store: SchemaService([store]).apply(wait_s=60)[0].pending, stores))
    known = stores[0].migrations()
    assert sorted(map(len, done)) == [0] * 3 + [len(known)]
    for store in stores:
        SchemaService([store]).check()
        store.close()


def test_a_migration_that_stopped_on_the_way_is_done_again(harness: ClusterHarness) -> None:
    """One server has everything, the other lacks a table: nothing was recorded, or the shard is new."""
    store = harness.open()
    harness.everywhere("DROP TABLE rollup_1d SYNC")
    (_, second) = clients_of(store).servers()
    with second.own.writer() as client:
        client.command("DROP TABLE schema_migrations SYNC")
    assert store.applied() == {}
    assert store.missing_windows() == ["rollup_1d"]
    assert len(SchemaService([store]).apply(wait_s=10)[0].pending) == len(store.migrations())
    assert store.missing_windows() == []


def test_one_server_without_its_table_is_found(harness: ClusterHarness) -> None:
    store = harness.open()
    (_, second) = clients_of(store).servers()
    with second.own.writer() as client:
        client.command("DROP TABLE event_conflicts SYNC")
    assert store.missing_windows() == ["event_conflicts"]


def test_a_database_of_one_server_is_refused(harness: ClusterHarness, nodes: Sequence[Node]) -> None:
    alone = open_place(f"clickhouse://{places.HOST}:{nodes[0].http_port}/{harness.database}_one")
    SchemaService([alone]).apply(wait_s=10)
    store = opened(nodes[0], f"{harness.database}_one")
    with pytest.raises(SchemaMismatch, match="was made for one server"):
        SchemaService([store]).apply(wait_s=10)
    with alone._clients.writer() as client:
        client.command(f"DROP DATABASE {harness.database}_one SYNC")
    store.close()
    alone.close()


def test_names_that_no_cluster_has(nodes: Sequence[Node]) -> None:
    store = opened(nodes[0], "x", cluster="nowhere")
    with pytest.raises(ConfigurationError, match="knows no cluster nowhere"):
        SchemaService([store]).check()
    store.close()
    with pytest.raises(ConfigurationError, match="cluster may hold"):
        opened(nodes[0], "x", cluster="no`where")


def test_a_shard_that_is_away_takes_nothing_and_the_others_do(harness: ClusterHarness, nodes: Sequence[Node]) -> None:
    store = harness.open()
    store.append_events(event_rows([row(0)], partition=1), "before")
    nodes[1].kill()
    try:
        with pytest.raises(Unavailable):
            store.ping()
        with pytest.raises(Unavailable):
            store.append_events(event_rows([row(1)], partition=1), "during")
        with pytest.raises(Unavailable):
            store.raw_rows_by_campaign()
        store.append_events(event_rows([row(2)], partition=0), "other shard")
        state = store.cluster_state()
        assert state is not None and (state.shards, state.replicas) == (2, 2)
        assert state.away == (f"replica 1 of shard 2 ({places.HOST})",)
    finally:
        nodes[1].start()
    deadline_s = time.monotonic() + 20
    while True:
        try:
            store.ping()
            store.append_events(event_rows([row(1)], partition=1), "during")
            break
        except Unavailable:
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
    assert store.raw_rows_by_campaign() == {1: 3}


def test_a_client_that_is_killed_takes_no_server_with_it(nodes: Sequence[Node]) -> None:
    """Its kernel resets the connection when an answer was unread: the drills that kill clients stand on this."""
    node = nodes[0]
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nSELECT 1"
    for port, sent in [(node.http_port, request[:end]) for end in range(1, len(request))] + [(node.native_port, b"")]:
        with socket.create_connection((places.HOST, port), timeout=10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(sent)
            time.sleep(0.005)  # the server is at the rest when the reset comes, not before the first byte
    assert node.process is not None and node.process.poll() is None
    opened(node, "default").ping()


def test_of_replicas_the_first_that_answers_works(tmp_path: Path) -> None:
    with running_nodes(tmp_path, (1, 1)) as (first, second):
        alone = opened(second, "x")
        with pytest.raises(ConfigurationError, match="shard 1 of cluster test_shards has 2 replicas"):
            clients_of(alone).servers()
        alone.close()
        store = opened(second, "x", replicated=True)
        (shard,) = clients_of(store).shards().values()

        def working() -> int:
            return int(shard._working().replica.number)  # type: ignore[attr-defined]

        ports = [server._connections[0].server.port for server in clients_of(store).servers()]
        assert ports == [first.http_port, second.http_port]
        assert working() == 1
        first.kill()
        with pytest.raises(Unavailable):
            clients_of(store).servers()[0].own.read("SELECT 1", {})
        assert working() == 2
        second.kill()
        with pytest.raises(Unavailable):
            clients_of(store).servers()[1].own.read("SELECT 1", {})
        with pytest.raises(Unavailable, match=r"refused; .*refused"):
            working()
        second.start()
        first.start()
        time.sleep(1)
        assert working() == 1
        store.close()


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Node]]:
    directory = tmp_path_factory.mktemp("replicated")
    with (
        running_zookeeper(directory / "zookeeper") as port,
        running_nodes(directory, (1, 2), zookeeper_port=port) as running,
    ):
        yield running


def test_replicated_tables_can_be_made_as_they_are_said(replicas: Sequence[Node]) -> None:
    """Each statement is ON CLUSTER, which is understood; what the queue then runs on every server is run here by hand."""
    store = opened(replicas[0], "ads", replicated=True)
    servers, everywhere = clients_of(store).servers(), f" ON CLUSTER `{NAME}`"
    made = [*store._form.databases, *(text for one in store.migrations() for text in one.statements)]
    for server in servers:
        for statement in made:
            assert statement.count(everywhere) == 1
            with pytest.raises(ClickHouseError, match="Replicated DDL queries are disabled"):
                server._connections[0].outside(statement)
            for _ in range(2):
                server._connections[0].outside(statement.replace(everywhere, ""))
    assert store.missing_windows() == []
    tables = servers[0].own.read(
        "SELECT table, zookeeper_path, replica_name FROM system.replicas WHERE database = 'ads_local' ORDER BY table",
        {},
    )
    names = ["event_conflicts", "events", "report_coverage", "report_natives", "report_slices", "rollup_1d"]
    assert tables.strings("table") == names
    assert tables.strings("zookeeper_path") == [f"/clickhouse/tables/{NAME}/1/ads_local/{name}" for name in names]
    assert set(tables.strings("replica_name")) == {"node-0"}
    engines = servers[1].across.read(
        "SELECT engine FROM system.tables WHERE database = currentDatabase() ORDER BY name", {}
    )
    assert engines.strings("engine") == ["Distributed"] * 6
    assert store.raw_rows_by_campaign() == {}
    state = store.cluster_state()
    assert list(state.read_only.values()) == [6, 6]  # no server of the library takes part
    with pytest.raises(Unavailable, match=r"replica 1 of shard 2 .* takes no rows: Table is in readonly mode"):
        store.append_events(event_rows([row(0)]), "cannot be taken here")
    store.close()


def test_the_program_on_a_cluster(nodes: Sequence[Node], tmp_path: Path) -> None:
    harness = ClusterHarness(nodes)
    settings = {
        "CA_CLICKHOUSE_HOST": places.HOST,
        "CA_CLICKHOUSE_PORT": str(nodes[1].http_port),
        "CA_CLICKHOUSE_DATABASE": harness.database,
        "CA_CLICKHOUSE_CLUSTER": NAME,
        "CA_CLICKHOUSE_REPLICATED": "false",
        "CA_EVENTS_RETENTION_DAYS": "30000",
    }
    program, now = Program(tmp_path, settings), datetime.now(UTC)
    program.run("init-schema", "--check", expect=2)
    shown = program.run("init-schema", "--dry-run").out
    assert f"ENGINE = Distributed('{NAME}', '{harness.database}_local', 'events');" in shown
    planned = program.run("init-schema", "--dry-run", "-o", "json").json()["items"]
    assert [len(item["statements"]) for item in planned if item["store"] == "analytics"] == [5, 2, 6]
    program.run("init-schema")
    program.run("init-schema", "--check")
    lines = _events(3_000, now)
    with program.serving() as server:
        ids = server.client.create([{"name": f"campaign {number}"} for number in range(6)])
        sent = server.client.send([*lines, *lines[:100]])
        server.client.wait(sent.positions, ids[0])

        def impressions() -> list[int]:
            answers = [server.client.ask(f"/api/v1/campaigns/{one}/insights", {"granularity": "total"}) for one in ids]
            return [int(answer["rows"][0]["impressions"]) for answer in answers]

        assert impressions() == [500] * 6
        servers = clients_of(harness.open()).servers()
        held = [rows_of(one, "events") for one in servers]
        assert all(held) and sum(held) == 3_000
        for one in servers:  # a sum is wrong and a row is gone on each
            with one.own.writer() as client:
                client.command(
                    "INSERT INTO rollup_1d (campaign_id, day, platform, region, currency, events, impressions)"
                    " SELECT campaign_id, day, 'meta', 'IN', 'USD', 1, 1000 FROM events LIMIT 1"
                )
                client.command(
                    "ALTER TABLE events DELETE WHERE koff IN (SELECT min(koff) FROM events) SETTINGS mutations_sync = 2"
                )
        program.run("verify", expect=1)
        program.run("verify", "--repair")
        assert impressions() == [500] * 6
        assert [rows_of(one, "events") for one in servers] == held
        drift = program.run("reaggregate", "--all", "--check", "-o", "json").json()["items"]
        assert [job["result"]["drift_rows"] for job in drift] == [0] * 6
        program.run("campaigns", "delete", "6", "--yes", "--wait")
        assert sum(rows_of(one, "events") for one in servers) == 2_500
    checks = {one["name"]: one for one in program.run("doctor", "-o", "json", expect=None).json()["checks"]}
    assert (checks["cluster"]["status"], checks["windows"]["status"]) == ("ok", "ok")
    assert checks["cluster"]["facts"] == {"name": NAME, "shards": 2, "replicas": 2, "away": 0, "read_only": 0}
    program.run("verify")
    harness.remove()


def _events(count: int, now: datetime) -> list[bytes]:
    """One impression each, of six campaigns by turns."""
    return [
        json.dumps(
            {
                "event_id": str(number),
                "campaign_id": 1 + number % 6,
                "platform": "meta",
                "event_time": (now - timedelta(hours=number % 600)).isoformat(),
                "impressions": 1,
            }
        ).encode()
        for number in range(count)
    ]


@needs_servers
def test_two_workers_take_kafka_s_partitions_to_their_shards(nodes: Sequence[Node], tmp_path: Path) -> None:
    harness = ClusterHarness(nodes)
    with own_places() as places_of_servers:
        settings = places_of_servers | {
            "CA_CLICKHOUSE_PORT": str(nodes[0].http_port),
            "CA_CLICKHOUSE_DATABASE": harness.database,
            "CA_CLICKHOUSE_CLUSTER": NAME,
            "CA_CLICKHOUSE_REPLICATED": "false",
            "CA_KAFKA_EVENTS_PARTITIONS": "4",
        }
        with deployed(tmp_path, settings, workers=2) as (program, client):
            ids = client.create([{"name": f"campaign {number}"} for number in range(6)])
            lines = _events(3_000, datetime.now(UTC))
            sent = client.send([*lines, *lines[:100]])
            client.wait(sent.positions, ids[0])
            answers = [client.ask(f"/api/v1/campaigns/{one}/insights", {"granularity": "total"}) for one in ids]
            assert [int(answer["rows"][0]["impressions"]) for answer in answers] == [500] * 6
            held = []
            for number, server in enumerate(clients_of(harness.open()).servers()):
                found = server.own.read("SELECT DISTINCT kpart FROM events", {}).integers("kpart").tolist()
                assert {partition % len(nodes) for partition in found} <= {number}
                held.append(rows_of(server, "events"))
            assert sum(held) == 3_000
            program.run("verify")
    harness.remove()


def test_questions_are_asked_under_the_cluster_s_settings(harness: ClusterHarness) -> None:
    store = harness.open()
    told = "SELECT name, value FROM system.settings WHERE name IN {names:Array(String)}"
    names = {"names": list(ACROSS)}
    for found in (store._clients.read(told, names), clients_of(store).of_partition(0).read(told, names)):
        values = dict(zip(found.strings("name"), found.strings("value"), strict=True))
        values.pop("prefer_localhost_replica")
        assert values == {name: str(value) for name, value in ACROSS.items() if name != "prefer_localhost_replica"}
