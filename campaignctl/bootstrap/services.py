"""The services, each built from what it needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.bootstrap.app import App, check_schema, limits_of, topics_of
from campaignctl.bootstrap.keys import jwt_key_of
from campaignctl.bootstrap.platforms import definition_actions, vocabularies
from campaignctl.bootstrap.stores import Stores
from campaignctl.domain.platforms import Platform
from campaignctl.services.access import AccessService
from campaignctl.services.accounts import AccountService
from campaignctl.services.api_keys import ApiKeyService
from campaignctl.services.audit import AuditService
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.conflicts import ConflictService
from campaignctl.services.conversions import ConversionService
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.erasure import ErasureService, LogRetention
from campaignctl.services.event_erasure import EventErasureService
from campaignctl.services.event_export import EventExportService
from campaignctl.services.event_intake import EventIntake
from campaignctl.services.explanation import ExplanationService
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
from campaignctl.services.platform_tally import PlatformTally
from campaignctl.services.positions import Positions
from campaignctl.services.rates import RateService
from campaignctl.services.reaggregation import ReaggregationService
from campaignctl.services.reconciliation import ReconciliationService
from campaignctl.services.restatements import RestatementService
from campaignctl.services.row_verification import RowVerification
from campaignctl.services.schema import SchemaService
from campaignctl.services.startup import Startup
from campaignctl.services.unmapped import UnmappedService
from campaignctl.services.verification import VerificationService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaignctl.config import Settings
    from campaignctl.ports.ad_platforms import AdPlatform
    from campaignctl.ports.clock import Clock
    from campaignctl.ports.metadata import MetadataStore


def build_app(
    settings: "Settings",
    clock: "Clock",
    stores: Stores,
    schema: SchemaService,
    accounts: AccountService,
    platforms: "Mapping[Platform, AdPlatform]",
    platform_tally: PlatformTally,
) -> App:
    kafka, events = settings.kafka, settings.events
    event_log, analytics, metadata, cache = stores.event_log, stores.analytics, stores.metadata, stores.cache
    jwt_key, hashing, limits, topics = jwt_key_of(settings), PasswordHashing(), limits_of(settings), topics_of(settings)
    key = jwt_key.encode()
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
    positions = Positions(event_log, topic=kafka.events_topic, group=kafka.group_id, key=key, clock=clock)
    letters = DeadLetters(event_log, topic=kafka.dead_letter_topic)
    campaigns, jobs = CampaignService(metadata), JobService(metadata)
    rules = InsightRules(
        max_rate_age_days=settings.currency.max_rate_age_days,
        retention_days=events.retention_days,
        lookback_days=settings.lookback_days,
    )
    insights = InsightService(analytics, analytics, metadata, cache, clock, rules=rules, cursor_key=key)
    kept = LogRetention(event_log, topic=kafka.events_topic, dead_letter_topic=kafka.dead_letter_topic)
    return App(
        settings=settings,
        clock=clock,
        event_log=event_log,
        analytics=analytics,
        metadata=metadata,
        cache=cache,
        places=stores.places,
        server_clocks=stores.server_clocks,
        housekeeping=stores.housekeeping,
        limits=limits,
        access=_access(settings, clock, metadata, jwt_key, hashing),
        members=MemberService(metadata, clock, hashing, password_min_length=settings.auth.password_min_length),
        api_keys=ApiKeyService(metadata, clock),
        audit=AuditService(metadata, clock),
        campaigns=campaigns,
        erasure=ErasureService(campaigns, metadata, insights, kept, clock),
        event_erasure=EventErasureService(
            campaigns, metadata, analytics, kept, clock, retention_days=events.retention_days
        ),
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
        conversions=ConversionService(metadata, accounts, jobs, vocabularies(settings)),
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
            watch=platform_tally,
        ),
        platform_tally=platform_tally,
        positions=positions,
        dead_letters=letters,
        letter_listing=LetterListing(letters, metadata),
        letter_purge=LetterPurge(letters, event_log),
        letter_replays=LetterReplayService(letters, metadata, jobs),
        conflicts=ConflictService(analytics, metadata, window_days=events.dedup_window_days),
        event_export=EventExportService(analytics, campaigns, metadata),
        verification=_verification(settings, clock, stores, letters),
        row_verification=RowVerification(
            stores.analytics,
            stores.analytics,
            stores.metadata,
            window_days=settings.events.dedup_window_days,
            retention_days=settings.events.retention_days,
            clock=clock,
        ),
        schema=schema,
        lag=lag,
        freshness=FreshnessService(analytics, analytics, metadata, clock),
        reconciliation=ReconciliationService(analytics, analytics, metadata, cache, clock, rules=rules),
        explanation=ExplanationService(
            analytics,
            metadata,
            cache,
            clock,
            rules=rules,
            definition_actions=definition_actions(settings, metadata.actions_of_definition),
        ),
        pacing=PacingService(campaigns, insights, clock),
        unmapped=UnmappedService(analytics, metadata),
        restatements=RestatementService(analytics, metadata, clock, lookback_days=settings.lookback_days),
        health=HealthService([Check(name, probe) for name, probe in probes.items()], clock),
        startup=Startup(probes, lambda: check_schema(schema, event_log, topics), clock),
    )


def _access(
    settings: "Settings", clock: "Clock", metadata: "MetadataStore", jwt_key: str, hashing: PasswordHashing
) -> AccessService:
    jwt, auth = settings.jwt, settings.auth
    return AccessService(
        metadata,
        clock,
        jwt_key=jwt_key,
        issuer=jwt.issuer,
        audience=jwt.audience,
        access_ttl_s=jwt.access_ttl_s,
        refresh_ttl_s=jwt.refresh_ttl_s,
        registration=auth.registration,
        password_min_length=auth.password_min_length,
        hashing=hashing,
    )


def _verification(settings: "Settings", clock: "Clock", stores: Stores, letters: DeadLetters) -> VerificationService:
    kafka, events = settings.kafka, settings.events
    return VerificationService(
        stores.analytics,
        stores.analytics,
        stores.event_log,
        letters,
        stores.metadata,
        lambda campaigns: Ingestor(
            stores.analytics,
            campaigns,
            partition_of=partition_for_key,
            limits=limits_of(settings),
            window_days=events.dedup_window_days,
            clock=clock,
        ),
        topic=kafka.events_topic,
        group=kafka.group_id,
        window_days=events.dedup_window_days,
        clock=clock,
    )


def _discard(answer: object) -> None:
    """A probe asks for the sake of asking."""
