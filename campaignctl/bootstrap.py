"""The one place that chooses: which adapter stands behind each port, and what every service is built from.

Entry points call ``open_app`` and hand the ``App`` down; tests call it with a directory of their own. Whoever opens the
embedded stores holds the data directory's lock.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.adapters.cache.in_process import InProcessCache
from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.events import EventLimits
from campaignctl.errors import ConfigurationError, SchemaMismatch
from campaignctl.ports.event_log import TopicSpec
from campaignctl.services.access import AccessService
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.event_intake import EventIntake
from campaignctl.services.health import Check, HealthService
from campaignctl.services.idempotency import IdempotencyService
from campaignctl.services.insights import InsightService
from campaignctl.services.positions import Positions
from campaignctl.services.rates import RateService
from campaignctl.services.schema import PlannedMigrations, SchemaService

if TYPE_CHECKING:
    from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
    from campaignctl.config import Settings
    from campaignctl.ports.cache import Cache
    from campaignctl.ports.clock import Clock

SCHEMA_WAIT_S = 60.0
_DAY_MS = 86_400_000
_SCHEMA_EVERY_S = 15.0
_CACHE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class App:
    """The open stores and the services over them."""

    settings: "Settings"
    clock: "Clock"
    event_log: EmbeddedEventLog
    analytics: "ClickHouseAnalytics"
    metadata: SQLiteMetadata
    cache: "Cache"
    limits: EventLimits
    access: AccessService
    campaigns: CampaignService
    rates: RateService
    idempotency: IdempotencyService
    insights: InsightService
    intake: EventIntake
    positions: Positions
    dead_letters: DeadLetters
    schema: SchemaService
    health: HealthService

    @property
    def topics(self) -> tuple[TopicSpec, TopicSpec]:
        """The topics as configured: events, dead letters."""
        kafka = self.settings.kafka
        retention_ms = kafka.retention_days * _DAY_MS
        return (
            TopicSpec(kafka.events_topic, kafka.events_partitions, retention_ms, _TOPIC_RECORD_BYTES),
            TopicSpec(kafka.dead_letter_topic, kafka.dead_letter_partitions, retention_ms, _TOPIC_RECORD_BYTES),
        )

    def missing_topics(self) -> list[TopicSpec]:
        return [spec for spec in self.topics if self.event_log.topic(spec.name) is None]

    def init_schema(self, wait_s: float) -> list[PlannedMigrations]:
        """Bring both databases and the topics to this program's version; answers the migrations this call applied."""
        applied = self.schema.apply(wait_s)
        for spec in self.topics:
            self.event_log.ensure_topic(spec)
        return applied

    def check_schema(self) -> None:
        """Raise ``SchemaMismatch`` unless ``init_schema`` has nothing left to do."""
        self.schema.check()
        missing = self.missing_topics()
        if missing:
            raise SchemaMismatch(
                f"the event log lacks the topic {missing[0].name}", hint="create it with: campaignctl init-schema"
            )


# A record over events.max_record_bytes must reach the worker, so that it is refused with its reason. 8 MiB is the
# largest body that POST /events takes.
_TOPIC_RECORD_BYTES = 8 * 1024 * 1024


@contextmanager
def open_app(settings: "Settings", *, clock: "Clock | None" = None, create: bool = False) -> Iterator[App]:
    """Open every store and build the services; everything is closed in reverse order at the end.

    ``create`` brings a new or older schema up to date; without it a schema that is not this program's is a
    ``SchemaMismatch``. The caller holds the lock of the data directory.
    """
    with open_stores(settings, clock=clock) as app:
        if create:
            app.init_schema(wait_s=SCHEMA_WAIT_S)
        else:
            app.check_schema()
        yield app


@contextmanager
def open_stores(settings: "Settings", *, clock: "Clock | None" = None) -> Iterator[App]:
    """As ``open_app``, whatever the schema's state: for commands that plan, check or bring about the schema."""
    _refuse_servers(settings)
    clock = clock or SystemClock()
    directory = DataDirectory(settings.data_dir)
    with ExitStack() as stack:
        event_log = EmbeddedEventLog(settings.data_dir / "event_log.sqlite", clock)
        stack.callback(event_log.close)
        metadata = SQLiteMetadata(settings.data_dir / "metadata.sqlite", clock)
        stack.callback(metadata.close)
        analytics = open_embedded_analytics(settings.data_dir / "analytics")
        stack.callback(analytics.close)
        cache = InProcessCache(_CACHE_BYTES)
        stack.callback(cache.close)
        app = _build(settings, clock, event_log, analytics, metadata, cache, _jwt_key(settings, directory))
        app.health.add(Check("schema", app.check_schema, interval_s=_SCHEMA_EVERY_S))
        yield app


def _build(
    settings: "Settings",
    clock: "Clock",
    event_log: EmbeddedEventLog,
    analytics: "ClickHouseAnalytics",
    metadata: SQLiteMetadata,
    cache: "Cache",
    jwt_key: str,
) -> App:
    kafka, events, jwt = settings.kafka, settings.events, settings.jwt
    limits = EventLimits(max_record_bytes=events.max_record_bytes, retention_days=events.retention_days)
    positions = Positions(event_log, topic=kafka.events_topic, group=kafka.group_id, key=jwt_key.encode(), clock=clock)
    return App(
        settings=settings,
        clock=clock,
        event_log=event_log,
        analytics=analytics,
        metadata=metadata,
        cache=cache,
        limits=limits,
        access=AccessService(
            metadata,
            clock,
            jwt_key=jwt_key,
            issuer=jwt.issuer,
            audience=jwt.audience,
            access_ttl_s=jwt.access_ttl_s,
            refresh_ttl_s=jwt.refresh_ttl_s,
            registration=settings.auth.registration,
            password_min_length=settings.auth.password_min_length,
        ),
        campaigns=CampaignService(metadata),
        rates=RateService(metadata),
        idempotency=IdempotencyService(metadata),
        insights=InsightService(
            analytics,
            metadata,
            cache,
            clock,
            max_rate_age_days=settings.currency.max_rate_age_days,
            cursor_key=jwt_key.encode(),
        ),
        intake=EventIntake(
            event_log,
            metadata,
            positions,
            topic=kafka.events_topic,
            dead_letter_topic=kafka.dead_letter_topic,
            limits=limits,
            clock=clock,
        ),
        positions=positions,
        dead_letters=DeadLetters(event_log, topic=kafka.dead_letter_topic),
        schema=SchemaService((metadata, analytics)),
        health=HealthService(
            (
                Check("metadata", lambda: _discard(metadata.organizations())),
                Check("analytics", analytics.ping),
                Check("event_log", lambda: _discard(event_log.watermarks(kafka.events_topic))),
            ),
            clock,
        ),
    )


def _discard(answer: object) -> None:
    """A probe asks for the sake of asking."""


def _jwt_key(settings: "Settings", directory: DataDirectory) -> str:
    return settings.jwt.key.get_secret_value() or directory.secret("jwt.key", 48)


def _refuse_servers(settings: "Settings") -> None:
    """This version has the embedded stores alone; a server that is named would silently not be used."""
    named = {
        "postgres.host": settings.embedded_metadata,
        "clickhouse.host": settings.embedded_analytics,
        "redis.addr": settings.embedded_cache,
        "kafka.brokers": settings.embedded_event_log,
    }
    for key, embedded in named.items():
        if not embedded:
            raise ConfigurationError(
                f"{key} names a server, and this version runs on its embedded stores only",
                hint=f"leave {key} empty",
                code="not_available_yet",
            )
