"""Every section and key, with its default, its bounds and a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from campaignctl.config.values import (
    Address,
    CommaList,
    Days,
    Duration,
    Host,
    Port,
    Url,
    address,
    format_duration,
    network,
    strong_key,
)

MASK = "********"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


class ServerSettings(_Section):
    host: Host = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8080, ge=0, le=65_535, description="Port the API listens on; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=64, description="API processes; embedded stores allow one.")
    streams_per_user: int = Field(
        default=5, ge=1, le=1_000, description="Live insight streams a user or API key may have open in a process."
    )
    streams: int = Field(default=200, ge=1, le=2_000, description="Live insight streams open in a process.")
    metrics_port: int | None = Field(
        default=None, ge=0, le=65_535, description="Port of its own for /metrics; none by default."
    )
    drain_s: int = Field(
        default=0,
        ge=0,
        le=15,
        description="Seconds that requests are still taken after SIGTERM, with /health/ready 503.",
    )
    trusted_proxies: CommaList = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            network(proxy)
        return proxies


class PostgresSettings(_Section):
    host: Host = Field(default="", description="PostgreSQL server for metadata; empty keeps metadata in SQLite.")
    port: Port = Field(default=5432, description="PostgreSQL port.")
    database: str = Field(default="campaign_analytics", min_length=1, description="PostgreSQL database.")
    username: str = Field(default="", description="PostgreSQL user.")
    password: SecretStr = Field(default=SecretStr(""), description="PostgreSQL password.")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="PostgreSQL TLS mode, in libpq's words."
    )


class ClickHouseSettings(_Section):
    host: Host = Field(default="", description="ClickHouse server for analytics; empty runs the engine in the process.")
    port: Port = Field(default=8123, description="ClickHouse HTTP port (8123, or 8443 with TLS).")
    database: str = Field(default="campaign_analytics", min_length=1, description="ClickHouse database.")
    username: str = Field(default="default", description="ClickHouse user.")
    password: SecretStr = Field(default=SecretStr(""), description="ClickHouse password.")
    secure: bool = Field(default=False, description="Speak HTTPS to ClickHouse.")
    ssl_ca_file: str = Field(
        default="", description="PEM file of ClickHouse's authority, with secure; empty trusts the usual ones."
    )
    cluster: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="Cluster of that server, as its remote_servers name it, to spread the tables over; empty: none.",
    )
    replicated: bool = Field(
        default=True,
        description="Whether the cluster's tables are replicated, by ZooKeeper or Keeper; false: one server a shard.",
    )

    @field_validator("port")
    @classmethod
    def _http_port(cls, port: int) -> int:
        if port in (9000, 9440):
            raise ValueError(f"{port} is ClickHouse's native port; campaignctl speaks HTTP: use 8123, or 8443 with TLS")
        return port


class RedisSettings(_Section):
    addr: Address = Field(default="", description="Redis cache as host:port; empty caches in the process.")
    username: str = Field(default="", description="Redis user.")
    password: SecretStr = Field(default=SecretStr(""), description="Redis password.")
    db: int = Field(default=0, ge=0, le=15, description="Redis database number.")
    secure: bool = Field(default=False, description="Speak TLS to Redis.")
    ssl_ca_file: str = Field(
        default="", description="PEM file of Redis's authority, with secure; empty trusts the system's."
    )


class KafkaSettings(_Section):
    brokers: CommaList = Field(default=(), description="Kafka brokers as host:port; none uses the embedded event log.")
    events_topic: str = Field(
        default="campaign-events", min_length=1, max_length=249, description="Topic of the events."
    )
    dead_letter_topic: str = Field(
        default="campaign-events-dlq",
        min_length=1,
        max_length=249,
        description="Topic of the records that broke a rule.",
    )
    group_id: str = Field(
        default="campaignctl-worker", min_length=1, max_length=249, description="Consumer group of the workers."
    )
    events_partitions: int = Field(
        default=4, ge=1, le=1_024, description="Partitions of the events topic when it is made."
    )
    dead_letter_partitions: int = Field(
        default=1, ge=1, le=1_024, description="Partitions of the dead-letter topic when it is made."
    )
    retention_days: Days = Field(default=7, description="Days the log keeps a record before it may be removed.")
    max_record_bytes: int = Field(
        default=8_388_608,
        ge=2_097_152,
        le=1_073_741_824,
        description="Largest record the topics take when they are made; above events.max_record_bytes on purpose.",
    )
    replication_factor: int = Field(
        default=-1,
        ge=-1,
        le=32,
        description="Copies of each partition when a topic is made; -1 leaves it to the broker.",
    )
    instance_id: str = Field(
        default="", max_length=249, description="Stable name of this worker; empty joins the group anew at each start."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to speak to the brokers."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", ""] = Field(
        default="", description="How to sign in to the brokers, with a SASL_ protocol."
    )
    sasl_username: str = Field(default="", description="User of the brokers, with a SASL_ protocol.")
    sasl_password: SecretStr = Field(default=SecretStr(""), description="Password of that user.")
    ssl_ca_file: str = Field(default="", description="PEM file of the brokers' authority; empty trusts the system's.")
    ssl_cert_file: str = Field(default="", description="PEM file of this client's certificate, where brokers ask.")
    ssl_key_file: str = Field(default="", description="PEM file of that certificate's key.")

    @field_validator("brokers")
    @classmethod
    def _addresses(cls, brokers: tuple[str, ...]) -> tuple[str, ...]:
        for broker in brokers:
            address(broker)
        return brokers

    @model_validator(mode="after")
    def _two_topics(self) -> "KafkaSettings":
        if self.events_topic == self.dead_letter_topic:
            raise ValueError("events_topic and dead_letter_topic must be two different topics")
        return self


class JwtSettings(_Section):
    key: SecretStr = Field(default=SecretStr(""), description="Signs access tokens; made once in data_dir when empty.")
    issuer: str = Field(
        default="campaignctl", min_length=1, description="Issuer written into access tokens and demanded of them."
    )
    audience: str = Field(
        default="campaignctl-api", min_length=1, description="Audience written into access tokens and demanded."
    )
    access_ttl: Duration = Field(
        default=timedelta(minutes=15), description="How long an access token lives (900, 15m)."
    )
    refresh_ttl: Duration = Field(default=timedelta(days=30), description="How long a refresh token lives (30d).")

    _strong = field_validator("key")(strong_key)

    @model_validator(mode="after")
    def _ordered(self) -> "JwtSettings":
        if not timedelta(0) < self.access_ttl <= self.refresh_ttl:
            raise ValueError("access_ttl must be at least 1 s and not longer than refresh_ttl")
        return self

    @property
    def access_ttl_s(self) -> int:
        return int(self.access_ttl.total_seconds())

    @property
    def refresh_ttl_s(self) -> int:
        return int(self.refresh_ttl.total_seconds())


class EventsSettings(_Section):
    retention_days: Days = Field(default=400, description="Days raw events are kept; older ones are refused.")
    max_record_bytes: int = Field(
        default=262_144, ge=1_024, le=1_048_576, description="Largest event; a larger one is too_large."
    )
    dedup_window_days: Days = Field(
        default=7, description="Days of log time in which any copy of an event is recognised at once."
    )
    flush_rows: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Records of one batch that the worker lands; none: 50000 on a server, 20000 on the engine inside.",
    )
    flush_age_ms: int = Field(
        default=1_500,
        ge=1,
        le=60_000,
        description="Milliseconds after which a smaller batch lands while more waits to be read (up to 5000 where that"
        " has lain in the log for 50 s); else within 200 ms.",
    )
    stop_at_bad_percent: int = Field(
        default=50,
        ge=0,
        le=100,
        description="Bad records among the latest at which a partition stops that was good before; 0 never.",
    )
    stop_after_records: int = Field(
        default=1_000, ge=1, le=1_000_000, description="Records that make such a share; fewer never stop anything."
    )
    drift_check_hours: int = Field(
        default=24, ge=0, le=8_784, description="Hours in which all sums are compared with the raw records; 0: never."
    )

    redis_dedup: bool = Field(
        default=False,
        description="Remember in Redis where late events landed, so that sending many again costs the store less.",
    )

    @model_validator(mode="after")
    def _window_within_retention(self) -> "EventsSettings":
        if self.dedup_window_days > self.retention_days:
            raise ValueError("dedup_window_days must not be longer than retention_days")
        return self


class CurrencySettings(_Section):
    max_rate_age_days: int = Field(
        default=7, ge=0, le=366, description="Days before a date in which an older rate still serves."
    )


class AuthSettings(_Section):
    registration: Literal["open", "invite", "closed"] = Field(
        default="open", description="Who may register: open, invite or closed."
    )
    password_min_length: int = Field(default=12, ge=8, le=128, description="Fewest characters of a password.")


class SecretsSettings(_Section):
    key: SecretStr = Field(
        default=SecretStr(""), description="Encrypts ad-platform credentials at rest; made once in data_dir when empty."
    )
    previous_keys: SecretStr = Field(
        default=SecretStr(""), description="Earlier values of key, comma-separated: they still open what they sealed."
    )

    _strong = field_validator("key")(strong_key)

    @property
    def ring(self) -> tuple[str, ...]:
        """The earlier keys."""
        return tuple(key.strip() for key in self.previous_keys.get_secret_value().split(",") if key.strip())


class _PlatformSection(_Section):
    base_url: Url
    api_version: str
    lookback_days: int
    conversion_actions: CommaList = Field(
        default=(), description="Conversion actions that count; none counts the platform's own figure."
    )


class MetaSettings(_PlatformSection):
    base_url: Url = Field(default="https://graph.facebook.com", description="Where Meta's Marketing API is.")
    api_version: str = Field(default="v25.0", min_length=1, description="Version of Meta's Marketing API.")
    lookback_days: int = Field(default=28, ge=1, le=365, description="Days after which a Meta day is final.")


class GoogleSettings(_PlatformSection):
    base_url: Url = Field(default="https://googleads.googleapis.com", description="Where the Google Ads API is.")
    token_url: Url = Field(
        default="https://oauth2.googleapis.com/token", description="Where Google's access tokens are renewed."
    )
    api_version: str = Field(default="v25", min_length=1, description="Version of the Google Ads API.")
    lookback_days: int = Field(default=30, ge=1, le=365, description="Days after which a Google Ads day is final.")


class LinkedInSettings(_PlatformSection):
    base_url: Url = Field(default="https://api.linkedin.com/rest", description="Where LinkedIn's Marketing API is.")
    token_url: Url = Field(
        default="https://www.linkedin.com/oauth/v2/accessToken", description="Where LinkedIn's tokens are renewed."
    )
    api_version: str = Field(
        default="202601", min_length=1, description="Version of LinkedIn's Marketing API (YYYYMM)."
    )
    lookback_days: int = Field(default=7, ge=1, le=365, description="Days after which a LinkedIn day is final.")


class TikTokSettings(_PlatformSection):
    base_url: Url = Field(
        default="https://business-api.tiktok.com/open_api", description="Where TikTok's Business API is."
    )
    api_version: str = Field(default="v1.3", min_length=1, description="Version of TikTok's Business API.")
    lookback_days: int = Field(default=7, ge=1, le=365, description="Days after which a TikTok day is final.")


class FetchSettings(_Section):
    recent_every: Duration = Field(
        default=timedelta(minutes=30),
        description="Between two fetches of an account's newest days (30m); 0 fetches on request only.",
    )
    keep_answers_days: Days = Field(
        default=35, description="Days the platforms' answers are kept, to derive figures from them again."
    )


class LogSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe message that is logged."
    )
    format: Literal["console", "json"] = Field(
        default="console", description="One line for people, or one JSON object a line."
    )


@dataclass(frozen=True, slots=True)
class Key:
    """A configuration key as documentation and ``config show`` present it."""

    name: str
    """``data_dir`` or ``section.key``."""
    env: str
    description: str
    secret: bool
    choices: tuple[str, ...]
    """The words allowed, where only some are."""


class Settings(BaseSettings):
    """The effective configuration; immutable."""

    model_config = SettingsConfigDict(
        env_prefix="CA_",
        env_nested_delimiter="_",
        env_nested_max_split=1,  # without it CA_SERVER_METRICS_PORT is ignored without a word
        env_ignore_empty=True,
        extra="forbid",
        hide_input_in_errors=True,  # or a validation error prints the secret
        frozen=True,
    )

    data_dir: Path = Field(
        default=Path(".campaignctl"), description="Home of the embedded stores, of made keys and of the log file."
    )
    server: ServerSettings = ServerSettings()
    postgres: PostgresSettings = PostgresSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    redis: RedisSettings = RedisSettings()
    kafka: KafkaSettings = KafkaSettings()
    jwt: JwtSettings = JwtSettings()
    events: EventsSettings = EventsSettings()
    currency: CurrencySettings = CurrencySettings()
    auth: AuthSettings = AuthSettings()
    secrets: SecretsSettings = SecretsSettings()
    meta: MetaSettings = MetaSettings()
    google: GoogleSettings = GoogleSettings()
    linkedin: LinkedInSettings = LinkedInSettings()
    tiktok: TikTokSettings = TikTokSettings()
    fetch: FetchSettings = FetchSettings()
    log: LogSettings = LogSettings()

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # load_settings brings the others, and remembers which value came from where

    @field_validator("data_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()

    @property
    def embedded_metadata(self) -> bool:
        return not self.postgres.host

    @property
    def embedded_analytics(self) -> bool:
        return not self.clickhouse.host

    @property
    def embedded_cache(self) -> bool:
        return not self.redis.addr

    @property
    def embedded_event_log(self) -> bool:
        return not self.kafka.brokers

    @property
    def embedded(self) -> bool:
        """Whether any store lives in the data directory, so that one process at a time owns it."""
        return self.embedded_metadata or self.embedded_analytics or self.embedded_event_log

    @property
    def lookback_days(self) -> dict[str, int]:
        """Per platform, the days after which its reports are final."""
        return {name: getattr(self, name).lookback_days for name in ("meta", "google", "linkedin", "tiktok")}

    def origin(self, key: str) -> str:
        """Where the key's value came from: ``default``, the file's path, ``CA_...`` or ``command line``."""
        return self._origins.get(key, "default")

    def value(self, key: str) -> object:
        """The key's effective value; a secret stays wrapped."""
        current: object = self
        for part in key.split("."):
            current = getattr(current, part)
        return current

    def shown(self, key: str) -> object:
        """The key's value as it may be shown to anyone: secrets masked, durations and paths as text."""
        value = self.value(key)
        match value:
            case SecretStr():
                return MASK if value.get_secret_value() else ""
            case timedelta():
                return format_duration(value)
            case Path():
                return str(value)
            case tuple():
                return list(value)
        return value


def env_name(key: str) -> str:
    """``server.port`` -> ``CA_SERVER_PORT``."""
    return "CA_" + key.replace(".", "_").upper()


def keys() -> Iterator[Key]:
    """Every configuration key, in the order of the documentation."""
    for section, field in Settings.model_fields.items():
        if not _is_section(field):
            yield _key_of(section, field)
            continue
        for name, inner in field.annotation.model_fields.items():  # type: ignore[union-attr]
            yield _key_of(f"{section}.{name}", inner)


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _key_of(name: str, field: FieldInfo) -> Key:
    choices = tuple(word for word in get_args(field.annotation) if isinstance(word, str))
    return Key(name, env_name(name), field.description or "", field.annotation is SecretStr, choices)
