"""Parts that merges have replaced do not pile up in the engine within this process, however busy it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignctl.adapters.analytics import outdated_parts
from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.adapters.analytics.outdated_parts import OutdatedParts
from tests.support.waiting import eventually

# The engine itself would not look for an hour.
TABLES = {
    "monthly": "CREATE TABLE monthly (day Date, n UInt64) ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY n "
    "SETTINGS merge_tree_clear_old_parts_interval_seconds = 3600",
    "whole": "CREATE TABLE whole (day Date, n UInt64) ENGINE = MergeTree ORDER BY n "
    "SETTINGS merge_tree_clear_old_parts_interval_seconds = 3600",
}
INSERT = "INSERT INTO {table:Identifier} SELECT toDate('2026-10-01'), number FROM numbers(10)"
OUTDATED = "SELECT count() AS parts FROM system.parts WHERE table = {table:String} AND NOT active"
ROWS = "SELECT count() AS found FROM {table:Identifier}"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClickHouseAnalytics]:
    monkeypatch.setattr(outdated_parts, "_EVERY_S", 3600.0)  # the store's own does nothing meanwhile
    opened = open_embedded_analytics(tmp_path / "analytics")
    yield opened
    opened.close()


def clients_of(store: ClickHouseAnalytics) -> Clients:
    return store._clients


def count(store: ClickHouseAnalytics, statement: str, table: str) -> int:
    return int(store.run_sql(statement, {"table": table}, max_rows=1, timeout_s=10.0).rows[0][0])  # type: ignore[call-overload,no-any-return]


def merged(store: ClickHouseAnalytics, table: str, parts: int) -> None:
    """The table with so many parts that a merge has replaced by one."""
    with clients_of(store).writer() as client:
        client.command(TABLES[table])
        client.command(f"SYSTEM STOP MERGES {table}")
        for _ in range(parts):
            client.command(INSERT, parameters={"table": table})
        client.command(f"SYSTEM START MERGES {table}")
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    assert count(store, ROWS, table) == 10 * parts


@pytest.mark.parametrize("table", TABLES)
def test_what_was_replaced_goes_and_every_row_stays(store: ClickHouseAnalytics, table: str) -> None:
    merged(store, table, 40)
    assert count(store, OUTDATED, table) >= 40
    OutdatedParts(clients_of(store)).remove()
    assert count(store, OUTDATED, table) == 0
    assert count(store, ROWS, table) == 400


def test_an_open_store_looks_after_them_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outdated_parts, "_EVERY_S", 0.05)
    store = open_embedded_analytics(tmp_path / "analytics")
    try:
        merged(store, "whole", 40)
        eventually(lambda: count(store, OUTDATED, "whole") < 30, "the parts to go", within_s=20)
        assert count(store, ROWS, "whole") == 400
    finally:
        store.close()
