"""A ClickHouse server for the analytics contract: each test has a database of its own, and drops it."""

import os
import time
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.cluster_store import open_cluster
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.adapters.analytics.server import open_clickhouse
from campaignctl.services.schema import SchemaService
from tests.contracts.analytics_rows import Row, event_rows
from tests.support.services import clickhouse_place, using

_SCHEME = "clickhouse://"
CLUSTER_SCHEME = "cluster://"


def open_place(place: str) -> ClickHouseAnalytics:
    """The store at a harness's ``place``: ``clickhouse://host:port/database``, ``cluster://...``, or a directory."""
    if place.startswith(CLUSTER_SCHEME):
        address, cluster, database = place.removeprefix(CLUSTER_SCHEME).split("/")
        host, _, port = address.rpartition(":")
        return open_cluster(host, int(port), database, "default", "", cluster=cluster, replicated=False)
    if not place.startswith(_SCHEME):
        return open_embedded_analytics(Path(place))
    address, _, database = place.removeprefix(_SCHEME).partition("/")
    host, _, port = address.rpartition(":")
    username = os.environ.get("CA_TEST_CLICKHOUSE_USERNAME", "default")
    return open_clickhouse(host, int(port), database, username, os.environ.get("CA_TEST_CLICKHOUSE_PASSWORD", ""))


class ServerHarness:
    kind = "clickhouse"

    def __init__(self, _directory: Path | None = None, *, locked: bool = True) -> None:
        """``locked``: hold off tests that do faults to the server, until ``remove``."""
        host, port = clickhouse_place()
        self._use = using("clickhouse") if locked else nullcontext()
        self._use.__enter__()
        self.database = f"ca_test_{uuid.uuid4().hex}"
        self.place = f"{_SCHEME}{host}:{port}/{self.database}"
        self._store: ClickHouseAnalytics | None = None

    def open(self) -> ClickHouseAnalytics:
        if self._store is None:
            self._store = open_place(self.place)
            SchemaService([self._store]).apply(wait_s=10)
            self._wait_for_inserts(self._store)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def remove(self) -> None:
        """Drop what the test has made."""
        try:
            self.command(f"DROP DATABASE IF EXISTS {self.database} SYNC", database="default")
        finally:
            self._use.__exit__(None, None, None)

    def cut_off(self, store: ClickHouseAnalytics, rows: Sequence[Row], token: str) -> None:
        self.command("DETACH TABLE rollup_1d_of_events")
        store.append_events(event_rows(rows), token)
        self.command("ATTACH TABLE rollup_1d_of_events")

    def drift(self, _store: ClickHouseAnalytics, day: int, impressions: int) -> None:
        columns = "campaign_id, day, platform, region, currency, events, impressions"
        self.command(f"INSERT INTO rollup_1d ({columns}) VALUES (1, {day}, 'meta', 'ZZ', 'USD', 1, {impressions})")

    def forget_window(self, _store: ClickHouseAnalytics, table: str) -> None:
        self.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0")

    def merge(self, _store: ClickHouseAnalytics) -> None:
        for table in ("events", "rollup_1d"):
            self.command(f"OPTIMIZE TABLE {table} FINAL")

    def command(self, statement: str, *, database: str = "") -> None:
        store = open_place(self.place.replace(self.database, database or self.database))
        try:
            with store._clients.writer() as client:
                client.command(statement)
        finally:
            store.close()

    def _wait_for_inserts(self, store: ClickHouseAnalytics) -> None:
        """What a killed process had sent whole is still being inserted."""
        running = (
            "SELECT count() FROM system.processes WHERE current_database = {name:String} AND query_kind = 'Insert'"
        )
        deadline_s = time.monotonic() + 60
        while store.run_sql(running, {"name": self.database}, max_rows=1, timeout_s=5).rows != [[0]]:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
