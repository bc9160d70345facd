"""Which adapter stands behind each port: a store is embedded until a server is named for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from campaignctl.adapters.cache.in_process import InProcessCache
from campaignctl.bootstrap.keys import installation_of, places_key_of
from campaignctl.errors import ConfigurationError
from campaignctl.services.health import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
    from campaignctl.adapters.cache.redis import RedisCache
    from campaignctl.config import Settings
    from campaignctl.ports.cache import Cache
    from campaignctl.ports.clock import Clock, ServerClock
    from campaignctl.ports.event_log import EventLog
    from campaignctl.ports.metadata import MetadataStore
    from campaignctl.ports.places import PlaceMemory
    from campaignctl.ports.schema import MigrationTarget


_CACHE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores, open."""

    event_log: "EventLog"
    analytics: "ClickHouseAnalytics"
    metadata: "MetadataStore"
    cache: "Cache"
    migration_targets: "tuple[MigrationTarget, ...]"
    """What ``init-schema`` brings up to date, in this order."""
    server_clocks: "Mapping[str, ServerClock]"
    """Of the stores that are servers, by name."""
    housekeeping: Callable[[], object] | None
    """What the worker does for the stores now and then; None where servers look after themselves."""
    cache_check: Check | None
    """How the shared cache is; None without one."""
    places: "PlaceMemory | None"
    """Where late events have landed; None where it is not configured to be remembered."""


@contextmanager
def opened(settings: "Settings", clock: "Clock", *, is_serving: bool) -> "Iterator[Stores]":
    """Every store of the configuration; they are closed in reverse order at the end."""
    with ExitStack() as stack:
        event_log, housekeeping = _open_event_log(settings, clock, is_serving=is_serving)
        stack.callback(event_log.close)
        metadata, metadata_schema, metadata_clock = _open_metadata(settings, clock)
        stack.callback(metadata.close)
        analytics = _open_analytics(settings)
        stack.callback(analytics.close)
        cache, cache_check = _open_cache(settings)
        stack.callback(cache.close)
        places = _open_places(settings)
        if places is not None:
            stack.callback(places.close)
        clocks = {"PostgreSQL": metadata_clock, "ClickHouse": None if settings.embedded_analytics else analytics}
        yield Stores(
            event_log,
            analytics,
            metadata,
            cache,
            migration_targets=(metadata_schema, analytics),
            server_clocks={name: server for name, server in clocks.items() if server is not None},
            housekeeping=housekeeping,
            cache_check=cache_check,
            places=places,
        )


def _open_event_log(
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


def _open_metadata(settings: "Settings", clock: "Clock") -> "tuple[MetadataStore, MigrationTarget, ServerClock | None]":
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


def _open_analytics(settings: "Settings") -> "ClickHouseAnalytics":
    if settings.embedded_analytics:
        if settings.clickhouse.cluster:
            raise ConfigurationError(
                "clickhouse.cluster is set, and clickhouse.host is not",
                hint="name a server of the cluster in clickhouse.host, or leave clickhouse.cluster empty",
            )
        from campaignctl.adapters.analytics.embedded import open_embedded_analytics

        return open_embedded_analytics(settings.data_dir / "analytics")
    clickhouse = settings.clickhouse
    place = (clickhouse.host, clickhouse.port, clickhouse.database)
    user = (clickhouse.username, clickhouse.password.get_secret_value())
    ca_file = _trusted("clickhouse.ssl_ca_file", clickhouse.ssl_ca_file)
    if clickhouse.cluster:
        from campaignctl.adapters.analytics.cluster_store import open_cluster

        return open_cluster(
            *place,
            *user,
            clickhouse.secure,
            cluster=clickhouse.cluster,
            replicated=clickhouse.replicated,
            ca_file=ca_file,
        )
    from campaignctl.adapters.analytics.server import open_clickhouse

    return open_clickhouse(*place, *user, clickhouse.secure, ca_file=ca_file)


def _open_cache(settings: "Settings") -> "tuple[Cache, Check | None]":
    in_process = InProcessCache(_CACHE_BYTES)
    if settings.embedded_cache:
        return in_process, None
    from campaignctl.adapters.cache.tiered import TieredCache

    shared = _redis(settings)
    return TieredCache(in_process, shared), Check("cache", shared.ping, needed=False)


def _open_places(settings: "Settings") -> "PlaceMemory | None":
    """A memory on connections of its own: what is slow for thousands of keys says nothing about the cache."""
    if not settings.events.redis_dedup:
        return None
    if settings.embedded_cache:
        raise ConfigurationError(
            "events.redis_dedup is true, and redis.addr is not set",
            hint="name a Redis server in redis.addr, or leave events.redis_dedup false",
        )
    shared = _redis(settings)
    from campaignctl.adapters.cache.places import RedisPlaces

    return RedisPlaces(shared, places_key_of(settings))


def _redis(settings: "Settings") -> "RedisCache":
    with _extra("servers", "redis.addr"):
        from campaignctl.adapters.cache.redis import RedisCache

    redis = settings.redis
    return RedisCache(
        redis.addr,
        username=redis.username,
        password=redis.password.get_secret_value(),
        db=redis.db,
        tls=redis.secure,
        tls_ca_file=_trusted("redis.ssl_ca_file", redis.ssl_ca_file),
        prefix=f"{installation_of(settings)}:",
    )


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


def _trusted(key: str, name: str) -> str:
    """The file of an authority's certificates, or nothing; the libraries speak of a missing one without its name."""
    if name and not Path(name).is_file():
        raise ConfigurationError(f"{key}: {name} is not there", hint="name a PEM file that this user may read")
    return name


def _file(name: str) -> Path | None:
    return Path(name) if name else None
