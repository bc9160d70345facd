"""A ClickHouse cluster of two servers for the analytics contract: each test has databases of its own, and drops them."""

import uuid
from collections.abc import Sequence

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.cluster import ClusterClients
from campaignctl.services.schema import SchemaService
from tests.contracts.analytics_rows import PARTITION, Row, event_rows
from tests.contracts.analytics_server import CLUSTER_SCHEME, open_place
from tests.services import places
from tests.support.clickhouse_cluster import NAME, Node


class ClusterHarness:
    kind = "cluster"

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.database = f"ca_test_{uuid.uuid4().hex}"
        self.place = f"{CLUSTER_SCHEME}{places.HOST}:{nodes[0].http_port}/{NAME}/{self.database}"
        self._store: ClickHouseAnalytics | None = None

    def open(self) -> ClickHouseAnalytics:
        if self._store is None:
            self._store = open_place(self.place)
            SchemaService([self._store]).apply(wait_s=10)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def remove(self) -> None:
        """Drop what the test has made."""
        for name in (self.database, f"{self.database}_local"):
            self.everywhere(f"DROP DATABASE IF EXISTS {name} SYNC")
        self.close()

    def cut_off(self, store: ClickHouseAnalytics, rows: Sequence[Row], token: str) -> None:
        self.everywhere("DETACH TABLE rollup_1d_of_events")
        store.append_events(event_rows(rows), token)
        self.everywhere("ATTACH TABLE rollup_1d_of_events")

    def drift(self, store: ClickHouseAnalytics, day: int, impressions: int) -> None:
        columns = "campaign_id, day, platform, region, currency, events, impressions"
        with clients_of(store).of_partition(PARTITION).writer() as client:
            client.command(
                f"INSERT INTO rollup_1d ({columns}) VALUES (1, {day}, 'meta', 'ZZ', 'USD', 1, {impressions})"
            )

    def forget_window(self, _store: ClickHouseAnalytics, table: str) -> None:
        self.everywhere(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0")

    def merge(self, _store: ClickHouseAnalytics) -> None:
        for table in ("events", "rollup_1d"):
            self.everywhere(f"OPTIMIZE TABLE {table} FINAL")

    def everywhere(self, statement: str) -> None:
        """Run a statement on each server, about its own tables."""
        for shard in clients_of(self.open()).shards().values():
            with shard.writer() as client:
                client.command(statement)


def clients_of(store: ClickHouseAnalytics) -> ClusterClients:
    clients = store._clients
    assert isinstance(clients, ClusterClients)
    return clients
