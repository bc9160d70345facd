"""What an entry point works with: the open stores, and the services over them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaignctl.domain.events import EventLimits
from campaignctl.errors import SchemaMismatch
from campaignctl.ports.event_log import TopicSpec
from campaignctl.services.access import AccessService
from campaignctl.services.accounts import AccountService
from campaignctl.services.api_keys import ApiKeyService
from campaignctl.services.audit import AuditService
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.conflicts import ConflictService
from campaignctl.services.conversions import ConversionService
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.erasure import ErasureService
from campaignctl.services.event_erasure import EventErasureService
from campaignctl.services.event_export import EventExportService
from campaignctl.services.event_intake import EventIntake
from campaignctl.services.explanation import ExplanationService
from campaignctl.services.fetch_accounts import AccountFetcher
from campaignctl.services.fetching import FetchService
from campaignctl.services.freshness import FreshnessService
from campaignctl.services.health import HealthService
from campaignctl.services.idempotency import IdempotencyService
from campaignctl.services.insights import InsightService
from campaignctl.services.jobs import JobService
from campaignctl.services.lag import LagService
from campaignctl.services.letter_listing import LetterListing
from campaignctl.services.letter_purge import LetterPurge
from campaignctl.services.letter_replay import LetterReplayService
from campaignctl.services.members import MemberService
from campaignctl.services.pacing import PacingService
from campaignctl.services.platform_tally import PlatformTally
from campaignctl.services.positions import Positions
from campaignctl.services.rates import RateService
from campaignctl.services.reaggregation import ReaggregationService
from campaignctl.services.reconciliation import ReconciliationService
from campaignctl.services.restatements import RestatementService
from campaignctl.services.row_verification import RowVerification
from campaignctl.services.schema import PlannedMigrations, SchemaService
from campaignctl.services.startup import Startup
from campaignctl.services.topics import TopicDifference, topic_differences
from campaignctl.services.unmapped import UnmappedService
from campaignctl.services.verification import VerificationService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
    from campaignctl.config import Settings
    from campaignctl.ports.cache import Cache
    from campaignctl.ports.clock import Clock, ServerClock
    from campaignctl.ports.event_log import EventLog
    from campaignctl.ports.metadata import MetadataStore
    from campaignctl.ports.places import PlaceMemory


_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class App:
    """The open stores and the services over them."""

    settings: "Settings"
    clock: "Clock"
    event_log: "EventLog"
    analytics: "ClickHouseAnalytics"
    metadata: "MetadataStore"
    cache: "Cache"
    places: "PlaceMemory | None"
    """Where late events have landed; None where it is not configured to be remembered."""
    server_clocks: "Mapping[str, ServerClock]"
    """Of the stores that are servers, by name."""
    housekeeping: Callable[[], object] | None
    """What the worker does for the stores now and then; None where servers look after themselves."""
    limits: EventLimits
    access: AccessService
    members: MemberService
    api_keys: ApiKeyService
    audit: AuditService
    campaigns: CampaignService
    erasure: ErasureService
    event_erasure: EventErasureService
    rates: RateService
    idempotency: IdempotencyService
    insights: InsightService
    intake: EventIntake
    jobs: JobService
    reaggregation: ReaggregationService
    accounts: AccountService
    conversions: ConversionService
    fetching: FetchService
    fetcher: AccountFetcher
    platform_tally: PlatformTally
    positions: Positions
    dead_letters: DeadLetters
    letter_listing: LetterListing
    letter_purge: LetterPurge
    letter_replays: LetterReplayService
    conflicts: ConflictService
    event_export: EventExportService
    verification: VerificationService
    row_verification: RowVerification
    schema: SchemaService
    lag: LagService
    freshness: FreshnessService
    restatements: RestatementService
    reconciliation: ReconciliationService
    explanation: ExplanationService
    pacing: PacingService
    unmapped: UnmappedService
    health: HealthService
    startup: Startup

    @property
    def topics(self) -> tuple[TopicSpec, TopicSpec]:
        """The topics as configured: events, dead letters."""
        return topics_of(self.settings)

    def missing_topics(self) -> list[TopicSpec]:
        return [spec for spec in self.topics if self.event_log.topic(spec.name) is None]

    def topic_differences(self) -> list[TopicDifference]:
        """In what the topics that are there are not as configured; nothing ever changes them."""
        return topic_differences(self.event_log, self.topics)

    def init_schema(self, wait_s: float) -> list[PlannedMigrations]:
        """Bring both databases and the topics to this program's version; answers the migrations this call applied."""
        applied = self.schema.apply(wait_s)
        for spec in self.topics:
            self.event_log.ensure_topic(spec)
        return applied

    def check_schema(self) -> None:
        """Raise ``SchemaMismatch`` unless ``init_schema`` has nothing left to do; topics may differ."""
        check_schema(self.schema, self.event_log, self.topics)


def topics_of(settings: "Settings") -> tuple[TopicSpec, TopicSpec]:
    """The topics as configured: events, dead letters."""
    kafka = settings.kafka
    retention_ms = kafka.retention_days * _DAY_MS
    return (
        TopicSpec(kafka.events_topic, kafka.events_partitions, retention_ms, kafka.max_record_bytes),
        TopicSpec(kafka.dead_letter_topic, kafka.dead_letter_partitions, retention_ms, kafka.max_record_bytes),
    )


def limits_of(settings: "Settings") -> EventLimits:
    """What an event may be, as configured."""
    events = settings.events
    return EventLimits(max_record_bytes=events.max_record_bytes, retention_days=events.retention_days)


def check_schema(schema: SchemaService, event_log: "EventLog", topics: Iterable[TopicSpec]) -> None:
    """Raise ``SchemaMismatch`` unless both databases and the topics are as this program needs them."""
    schema.check()
    for spec in topics:
        if event_log.topic(spec.name) is None:
            raise SchemaMismatch(
                f"the event log lacks the topic {spec.name}", hint="create it with: campaignctl init-schema"
            )
