"""Every analytics store, against the contract. A server joins by another parameter of ``harness``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.ports.analytics import SqlConsole
from campaignctl.services.schema import SchemaService
from tests.contracts.analytics_contract import AnalyticsContract, Harness, Store
from tests.contracts.analytics_rows import Row, event_rows, row
from tests.contracts.analytics_server import ServerHarness
from tests.contracts.console_contract import ConsoleContract
from tests.contracts.reports_contract import ReportsContract


class EmbeddedHarness:
    kind = "embedded"

    def __init__(self, directory: Path) -> None:
        self.place = str(directory / "analytics")
        self._store: ClickHouseAnalytics | None = None

    def open(self) -> ClickHouseAnalytics:
        if self._store is None:
            self._store = open_embedded_analytics(Path(self.place))
            SchemaService([self._store]).apply(wait_s=10)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def remove(self) -> None:
        """Nothing to do: the directory is the test's own."""

    def cut_off(self, store: Store, rows: Sequence[Row], token: str) -> None:
        self._command("DETACH TABLE rollup_1d_of_events")
        store.append_events(event_rows(rows), token)
        self._command("ATTACH TABLE rollup_1d_of_events")

    def drift(self, store: Store, day: int, impressions: int) -> None:
        columns = "campaign_id, day, platform, region, currency, events, impressions"
        self._command(f"INSERT INTO rollup_1d ({columns}) VALUES (1, {day}, 'meta', 'ZZ', 'USD', 1, {impressions})")

    def forget_window(self, store: Store, table: str) -> None:
        self._command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0")

    def merge(self, store: Store) -> None:
        for table in ("events", "rollup_1d"):
            self._command(f"OPTIMIZE TABLE {table} FINAL")

    def _command(self, statement: str) -> None:
        with self.open()._clients.writer() as client:
            client.command(statement)


@pytest.fixture(
    params=[pytest.param(EmbeddedHarness, marks=pytest.mark.embedded), ServerHarness], ids=lambda kind: kind.kind
)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    made = request.param(tmp_path)
    yield made
    made.close()
    made.remove()


class TestAnalytics(AnalyticsContract):
    """See ``AnalyticsContract``."""


class TestReports(ReportsContract):
    """See ``ReportsContract``."""


@pytest.fixture(
    scope="class",  # not longer: a process has one embedded engine, and the other tests open theirs
    params=[pytest.param(EmbeddedHarness, marks=pytest.mark.embedded), ServerHarness],
    ids=lambda kind: kind.kind,
)
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlConsole]:
    made = request.param(tmp_path_factory.mktemp("console"))
    store = made.open()
    store.append_events(event_rows([row(n) for n in range(3)]), "three")
    yield store
    made.close()
    made.remove()


class TestConsole(ConsoleContract):
    """See ``ConsoleContract``."""
