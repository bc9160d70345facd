"""The one place that chooses: which adapter stands behind each port, and what every service is built from.

Entry points call ``open_app`` and hand the ``App`` down; tests call it with a directory of their own. Every store is
embedded until a server is named for it. Whoever opens an embedded store holds the data directory's lock.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from campaignctl.adapters.ad_platforms.lazily import LazyPlatforms
from campaignctl.adapters.cache.in_process import InProcessCache
from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.events import EventLimits
from campaignctl.domain.platforms import Platform
from campaignctl.errors import ConfigurationError, SchemaMismatch
from campaignctl.ports.event_log import TopicSpec
from campaignctl.services.access import AccessService
from campaignctl.services.accounts import AccountService
from campaignctl.services.api_keys import ApiKeyService
from campaignctl.services.audit import AuditService
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.clock_skew import ClockComparison
from campaignctl.services.conflicts import ConflictService
from campaignctl.services.credentials import CredentialVault
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.erasure import ErasureService, LogRetention
from campaignctl.services.event_export import EventExportService
from campaignctl.services.event_intake import EventIntake
from campaignctl.services.fetch_accounts import AccountFetcher
from campaignctl.services.fetching import FetchService
from campaignctl.services.freshness import FreshnessService
from campaignctl.services.health import Check, HealthService
from campaignctl.services.idempotency import IdempotencyService
from campaignctl.services.ingestion import Ingestor
from campaignctl.services.insight_answers import InsightRules
from campaignctl.services.insights import InsightService
from campaignctl.services.jobs import JobService
from campaignctl.services.lag import LagService
from campaignctl.services.letter_listing import LetterListing
from campaignctl.services.letter_purge import LetterPurge
from campaignctl.services.letter_replay import LetterReplayService
from campaignctl.services.members import MemberService
from campaignctl.services.pacing import PacingService
from campaignctl.services.passwords import PasswordHashing
from campaignctl.services.positions import Positions
from campaignctl.services.rates import RateService
from campaignctl.services.reaggregation import ReaggregationService
from campaignctl.services.reconciliation import ReconciliationService
from campaignctl.services.restatements import RestatementService
from campaignctl.services.schema import PlannedMigrations, SchemaService
from campaignctl.services.startup import Startup
from campaignctl.services.topics import TopicDifference, topic_differences
from campaignctl.services.unmapped import UnmappedService
from campaignctl.services.verification import VerificationService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaignctl.adapters.ad_platforms.client import Surroundings
    from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
    from campaignctl.config import Settings
    from campaignctl.ports.ad_platforms import AccountAccess, AdPlatform
    from campaignctl.ports.cache import Cache
    from campaignctl.ports.clock import Clock, ServerClock
    from campaignctl.ports.event_log import EventLog
    from campaignctl.ports.metadata import MetadataStore
    from campaignctl.ports.schema import MigrationTarget

SCHEMA_WAIT_S = 60.0
_DAY_MS = 86_400_000
_SCHEMA_EVERY_S = 15.0
_CLOCK_EVERY_S = 60.0
_CACHE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class App:
    """The open stores and the services over them."""

    settings: "Settings"
    clock: "Clock"
    event_log: "EventLog"
    analytics: "ClickHouseAnalytics"
    metadata: "MetadataStore"
    cache: "Cache"
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
    rates: RateService
    idempotency: IdempotencyService
    insights: InsightService
    intake: EventIntake
    jobs: JobService
    reaggregation: ReaggregationService
    accounts: AccountService
    fetching: FetchService
    fetcher: AccountFetcher
    positions: Positions
    dead_letters: DeadLetters
    letter_listing: LetterListing
    letter_purge: LetterPurge
    letter_replays: LetterReplayService
    conflicts: ConflictService
    event_export: EventExportService
    verification: VerificationService
    schema: SchemaService
    lag: LagService
    freshness: FreshnessService
    restatements: RestatementService
    reconciliation: ReconciliationService
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


def check_schema(schema: SchemaService, event_log: "EventLog", topics: Iterable[TopicSpec]) -> None:
    """Raise ``SchemaMismatch`` unless both databases and the topics are as this program needs them."""
    schema.check()
    for spec in topics:
        if event_log.topic(spec.name) is None:
            raise SchemaMismatch(
                f"the event log lacks the topic {spec.name}", hint="create it with: campaignctl init-schema"
            )


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
def open_stores(settings: "Settings", *, clock: "Clock | None" = None, is_serving: bool = False) -> Iterator[App]:
    """As ``open_app``, whatever the schema's state: for commands that plan, check or bring about the schema.

    ``is_serving``: somebody waits for every call, so that the event log is given seconds instead of half a minute.
    """
    clock = clock or SystemClock()
    with ExitStack() as stack:
        event_log, housekeeping = _event_log(settings, clock, is_serving=is_serving)
        stack.callback(event_log.close)
        metadata, metadata_schema, metadata_clock = _metadata(settings, clock)
        stack.callback(metadata.close)
        analytics = _analytics(settings)
        stack.callback(analytics.close)
        cache, cache_check = _cache(settings)
        stack.callback(cache.close)
        schema = SchemaService((metadata_schema, analytics))
        vault = CredentialVault([_secrets_key(settings), *settings.secrets.ring])
        # A client hands renewed credentials back to the service that is built over the clients.
        platforms = _platforms(settings, clock, lambda access: accounts.keep_credentials(access))  # noqa: PLW0108  later
        stack.callback(platforms.close)
        accounts = AccountService(metadata, vault, platforms, clock)
        app = _build(settings, clock, event_log, analytics, metadata, cache, schema, housekeeping, accounts, platforms)
        servers = {"PostgreSQL": metadata_clock, "ClickHouse": None if settings.embedded_analytics else analytics}
        clocks = {name: server for name, server in servers.items() if server is not None}
        app = replace(app, server_clocks=clocks)
        app.health.add(Check("schema", app.check_schema, interval_s=_SCHEMA_EVERY_S))
        if cache_check is not None:
            app.health.add(cache_check)
        if clocks:
            check = ClockComparison(clock, clocks).check
            app.health.add(Check("clock", check, needed=False, interval_s=_CLOCK_EVERY_S))
        yield app


def _event_log(
    settings: "Settings", clock: "Clock", *, is_serving: bool
) -> "tuple[EventLog, Callable[[], object] | None]":
    if settings.embedded_event_log:
        from campaignctl.adapters.event_log.embedded import EmbeddedEventLog

        embedded = EmbeddedEventLog(settings.data_dir / "event_log.sqlite", clock)
        return embedded, embedded.apply_retention
    with _extra("servers", "kafka.brokers"):
        from campaignctl.adapters.event_log.kafka import KafkaEventLog
        from campaignctl.adapters.event_log.kafka_config import KafkaSecurity, KafkaTimeouts
    kafka = settings.kafka
    security = KafkaSecurity(
        protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        username=kafka.sasl_username,
        password=kafka.sasl_password.get_secret_value(),
        ca_file=_file(kafka.ssl_ca_file),
        cert_file=_file(kafka.ssl_cert_file),
        key_file=_file(kafka.ssl_key_file),
    )
    log = KafkaEventLog(
        kafka.brokers,
        clock,
        security=security,
        timeouts=KafkaTimeouts(request_s=4.0, delivery_s=5.0) if is_serving else None,
        instance_id=kafka.instance_id or None,
        replication_factor=kafka.replication_factor,
    )
    return log, None


def _metadata(settings: "Settings", clock: "Clock") -> "tuple[MetadataStore, MigrationTarget, ServerClock | None]":
    if settings.embedded_metadata:
        from campaignctl.adapters.metadata.sqlite import SQLiteMetadata

        embedded = SQLiteMetadata(settings.data_dir / "metadata.sqlite", clock)
        return embedded, embedded, None
    with _extra("servers", "postgres.host"):
        from campaignctl.adapters.metadata.postgresql import PostgreSQLMetadata
    postgres = settings.postgres
    server = PostgreSQLMetadata(
        host=postgres.host,
        port=postgres.port,
        database=postgres.database,
        username=postgres.username,
        password=postgres.password.get_secret_value(),
        sslmode=postgres.sslmode,
        clock=clock,
    )
    return server, server, server


def _analytics(settings: "Settings") -> "ClickHouseAnalytics":
    if settings.embedded_analytics:
        from campaignctl.adapters.analytics.embedded import open_embedded_analytics

        return open_embedded_analytics(settings.data_dir / "analytics")
    from campaignctl.adapters.analytics.server import open_clickhouse

    clickhouse = settings.clickhouse
    return open_clickhouse(
        clickhouse.host,
        clickhouse.port,
        clickhouse.database,
        clickhouse.username,
        clickhouse.password.get_secret_value(),
        clickhouse.secure,
    )


def _cache(settings: "Settings") -> "tuple[Cache, Check | None]":
    in_process = InProcessCache(_CACHE_BYTES)
    if settings.embedded_cache:
        return in_process, None
    with _extra("servers", "redis.addr"):
        from campaignctl.adapters.cache.redis import RedisCache
    from campaignctl.adapters.cache.tiered import TieredCache

    redis = settings.redis
    shared = RedisCache(
        redis.addr,
        username=redis.username,
        password=redis.password.get_secret_value(),
        db=redis.db,
        prefix=f"{_installation(settings)}:",
    )
    return TieredCache(in_process, shared), Check("cache", shared.ping, needed=False)


def _platforms(settings: "Settings", clock: "Clock", keep: "Callable[[AccountAccess], None]") -> "LazyPlatforms":
    """A client per platform, made when it is needed; ``keep`` stores credentials that a platform has renewed."""

    def around() -> "Surroundings":
        from campaignctl.adapters.ad_platforms.client import Surroundings

        return Surroundings(clock, random.Random(), on_credentials=keep)  # noqa: S311  spreads retries, guards nothing

    def meta() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.meta import MetaAds

        asked = settings.meta
        return MetaAds(
            base_url=asked.base_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    def google() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.google import GoogleAds

        asked = settings.google
        return GoogleAds(
            base_url=asked.base_url,
            token_url=asked.token_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    def tiktok() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.tiktok import TikTokAds

        asked = settings.tiktok
        return TikTokAds(
            base_url=asked.base_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    def linkedin() -> "AdPlatform":
        from campaignctl.adapters.ad_platforms.linkedin import LinkedInAds

        asked = settings.linkedin
        return LinkedInAds(
            base_url=asked.base_url,
            token_url=asked.token_url,
            api_version=asked.api_version,
            around=around(),
            conversion_actions=asked.conversion_actions,
        )

    clients = {Platform.META: meta, Platform.GOOGLE: google, Platform.LINKEDIN: linkedin, Platform.TIKTOK: tiktok}
    return LazyPlatforms(clients)


@contextmanager
def _extra(name: str, key: str) -> Iterator[None]:
    """What is imported inside comes with an extra; without it the key asks for what is not there."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"{key} names a server, and its client library is not installed ({missing.name} is missing)",
            hint=f"pip install 'campaignctl[{name}]', or leave {key} empty",
        ) from missing


def _file(name: str) -> Path | None:
    return Path(name) if name else None


def _build(
    settings: "Settings",
    clock: "Clock",
    event_log: "EventLog",
    analytics: "ClickHouseAnalytics",
    metadata: "MetadataStore",
    cache: "Cache",
    schema: SchemaService,
    housekeeping: Callable[[], object] | None,
    accounts: AccountService,
    platforms: "Mapping[Platform, AdPlatform]",
) -> App:
    kafka, events, jwt = settings.kafka, settings.events, settings.jwt
    jwt_key = _jwt_key(settings)
    hashing = PasswordHashing()
    limits = EventLimits(max_record_bytes=events.max_record_bytes, retention_days=events.retention_days)
    lag = LagService(
        event_log,
        topic=kafka.events_topic,
        dead_letter_topic=kafka.dead_letter_topic,
        group=kafka.group_id,
        clock=clock,
    )
    probes: dict[str, Callable[[], None]] = {
        "metadata": lambda: _discard(metadata.organizations()),
        "analytics": analytics.ping,
        "event_log": lag.look,
    }
    topics = topics_of(settings)
    positions = Positions(event_log, topic=kafka.events_topic, group=kafka.group_id, key=jwt_key.encode(), clock=clock)
    letters = DeadLetters(event_log, topic=kafka.dead_letter_topic)
    campaigns, jobs = CampaignService(metadata), JobService(metadata)
    jobs = JobService(metadata)
    insight_rules = InsightRules(
        max_rate_age_days=settings.currency.max_rate_age_days,
        retention_days=events.retention_days,
        lookback_days=settings.lookback_days,
    )
    insights = InsightService(
        analytics, analytics, metadata, cache, clock, rules=insight_rules, cursor_key=jwt_key.encode()
    )
    kept = LogRetention(event_log, topic=kafka.events_topic, dead_letter_topic=kafka.dead_letter_topic)
    return App(
        settings=settings,
        clock=clock,
        event_log=event_log,
        analytics=analytics,
        metadata=metadata,
        cache=cache,
        server_clocks={},
        housekeeping=housekeeping,
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
            hashing=hashing,
        ),
        members=MemberService(metadata, clock, hashing, password_min_length=settings.auth.password_min_length),
        api_keys=ApiKeyService(metadata, clock),
        audit=AuditService(metadata, clock),
        campaigns=campaigns,
        erasure=ErasureService(campaigns, metadata, insights, kept, clock),
        rates=RateService(metadata),
        idempotency=IdempotencyService(metadata),
        insights=insights,
        intake=EventIntake(
            event_log,
            metadata,
            positions,
            topic=kafka.events_topic,
            dead_letter_topic=kafka.dead_letter_topic,
            limits=limits,
            clock=clock,
        ),
        jobs=jobs,
        reaggregation=ReaggregationService(campaigns, jobs, clock, retention_days=events.retention_days),
        accounts=accounts,
        fetching=FetchService(metadata, jobs),
        fetcher=AccountFetcher(
            metadata,
            analytics,
            event_log,
            positions,
            platforms,
            accounts.access,
            clock,
            topic=kafka.events_topic,
            lookback_days=settings.lookback_days,
        ),
        positions=positions,
        dead_letters=letters,
        letter_listing=LetterListing(letters, metadata),
        letter_purge=LetterPurge(letters, event_log),
        letter_replays=LetterReplayService(letters, metadata, jobs),
        conflicts=ConflictService(analytics, metadata, window_days=events.dedup_window_days),
        event_export=EventExportService(analytics, campaigns, metadata),
        verification=VerificationService(
            analytics,
            analytics,
            event_log,
            letters,
            metadata,
            lambda campaigns: Ingestor(
                analytics,
                campaigns,
                partition_of=partition_for_key,
                limits=limits,
                window_days=events.dedup_window_days,
                clock=clock,
            ),
            topic=kafka.events_topic,
            group=kafka.group_id,
            window_days=events.dedup_window_days,
            retention_days=events.retention_days,
            clock=clock,
        ),
        schema=schema,
        lag=lag,
        freshness=FreshnessService(analytics, analytics, metadata, clock),
        reconciliation=ReconciliationService(analytics, analytics, metadata, cache, clock, rules=insight_rules),
        pacing=PacingService(campaigns, insights, clock),
        unmapped=UnmappedService(analytics, metadata),
        restatements=RestatementService(analytics, metadata, clock, lookback_days=settings.lookback_days),
        health=HealthService([Check(name, probe) for name, probe in probes.items()], clock),
        startup=Startup(probes, lambda: check_schema(schema, event_log, topics), clock),
    )


def _discard(answer: object) -> None:
    """A probe asks for the sake of asking."""


def _installation(settings: "Settings") -> str:
    """Tells installations apart that share a Redis: each counts its campaigns up from 1. Those of one share a key."""
    return hashlib.blake2b(_jwt_key(settings).encode(), digest_size=8, person=b"cache").hexdigest()


def _jwt_key(settings: "Settings") -> str:
    return _kept_secret(settings, "jwt.key", settings.jwt.key.get_secret_value())


def _secrets_key(settings: "Settings") -> str:
    return _kept_secret(settings, "secrets.key", settings.secrets.key.get_secret_value())


def _kept_secret(settings: "Settings", key: str, configured: str) -> str:
    """The configured value; where everything is one machine's own, one that is made once."""
    if configured:
        return configured
    if not settings.embedded_metadata:
        name = "CA_" + key.replace(".", "_").upper()
        raise ConfigurationError(
            f"{key} must be set when postgres.host names a server: every process has to use the same one",
            hint=f"make one with: openssl rand -base64 48, and set {name}",
        )
    return DataDirectory(settings.data_dir).secret(key, 48)
