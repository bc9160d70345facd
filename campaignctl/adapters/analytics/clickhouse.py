"""Analytics on ClickHouse: the same statements over HTTP and in the process."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.conflicts import ListedConflicts
from campaignctl.adapters.analytics.console import Console
from campaignctl.adapters.analytics.erasure import ErasedRows
from campaignctl.adapters.analytics.event_listing import ListedEvents
from campaignctl.adapters.analytics.evidence import Evidence
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.analytics.landed import LandedEvents
from campaignctl.adapters.analytics.landed_reports import LandedReports
from campaignctl.adapters.analytics.migrations import MigrationLock, SchemaTables, alone
from campaignctl.adapters.analytics.newest import NewestEvents
from campaignctl.adapters.analytics.questions import EventSums
from campaignctl.adapters.analytics.report_answers import ReportAnswers
from campaignctl.adapters.analytics.verification import VerifiedEvents
from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.clusters import ClusterState
from campaignctl.ports.disks import Disk

_SQL = load_statements("clickhouse", "queries", "schema.sql")

if TYPE_CHECKING:
    from campaignctl.ports.analytics import EventStore, FreshnessStore, InsightStore, SqlConsole
    from campaignctl.ports.clusters import ClusterStore
    from campaignctl.ports.conflicts import ConflictStore
    from campaignctl.ports.erasures import RemovalStore
    from campaignctl.ports.event_listing import EventListing
    from campaignctl.ports.evidence import EvidenceStore
    from campaignctl.ports.reports import ReportStore
    from campaignctl.ports.schema import MigrationTarget
    from campaignctl.ports.verification import VerificationStore


class ClickHouseAnalytics(
    LandedEvents,
    ListedConflicts,
    ListedEvents,
    VerifiedEvents,
    ErasedRows,
    LandedReports,
    EventSums,
    ReportAnswers,
    Evidence,
    NewestEvents,
    Console,
    SchemaTables,
):
    """The whole analytics store over one set of connections. May be used by several threads."""

    def __init__(self, clients: Clients, *, migration_lock: MigrationLock = alone) -> None:
        super().__init__(clients)
        self._clients = clients
        self._lock = migration_lock

    def ping(self) -> None:
        """Raise ``Unavailable`` unless the store answers."""
        with store_failures():
            self._clients.read("SELECT 1", {})

    def server_time(self) -> datetime:
        with store_failures():
            table = self._clients.read(_SQL["server_time"], {})
        return datetime.fromtimestamp(table.integers("now_ms").tolist()[0] / 1000, UTC)

    def server_version(self) -> str:
        with store_failures():
            table = self._clients.read(_SQL["server_version"], {})
        return f"ClickHouse {table.strings('version')[0]}"

    def disks(self) -> list[Disk]:
        with store_failures():
            table = self._clients.read(_SQL["disks"], {})
        sizes = zip(table.integers("free_bytes").tolist(), table.integers("total_bytes").tolist(), strict=True)
        return [Disk(name, *room) for name, room in zip(table.strings("name"), sizes, strict=True)]

    def cluster_state(self) -> ClusterState | None:
        """None: it is one server, or the engine in this process."""
        return None

    def close(self) -> None:
        self._clients.close()


if TYPE_CHECKING:

    def _lands(adapter: ClickHouseAnalytics) -> EventStore:
        return adapter

    def _is_verified(adapter: ClickHouseAnalytics) -> VerificationStore:
        return adapter

    def _removes(adapter: ClickHouseAnalytics) -> RemovalStore:
        return adapter

    def _lists(adapter: ClickHouseAnalytics) -> ConflictStore:
        return adapter

    def _lists_events(adapter: ClickHouseAnalytics) -> EventListing:
        return adapter

    def _answers(adapter: ClickHouseAnalytics) -> InsightStore:
        return adapter

    def _reports(adapter: ClickHouseAnalytics) -> ReportStore:
        return adapter

    def _tells_evidence(adapter: ClickHouseAnalytics) -> EvidenceStore:
        return adapter

    def _tells_freshness(adapter: ClickHouseAnalytics) -> FreshnessStore:
        return adapter

    def _tells_of_its_cluster(adapter: ClickHouseAnalytics) -> ClusterStore:
        return adapter

    def _is_asked(adapter: ClickHouseAnalytics) -> SqlConsole:
        return adapter

    def _migrates(adapter: ClickHouseAnalytics) -> MigrationTarget:
        return adapter
