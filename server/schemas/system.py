"""How it is doing: health, lag and freshness."""

from datetime import datetime

from pydantic import BaseModel, Field

from campaignctl.domain.platforms import Platform
from campaignctl.services.health import Status


class HealthCheck(BaseModel):
    status: Status
    latency_ms: float
    detail: str | None = None


class HealthOut(BaseModel):
    status: Status
    checks: dict[str, HealthCheck]


class LiveOut(BaseModel):
    status: str = Field(pattern="^ok$")
    checks: dict[str, HealthCheck]


class PartitionLagOut(BaseModel):
    partition: int
    committed: int | None = Field(description="The next offset to apply; null when the workers never committed.")
    end: int = Field(description="The offset that the next record gets.")
    lag_records: int = Field(ge=0, description="Records that are not applied.")
    lag_seconds: float = Field(ge=0, description="The age of the oldest of them.")


class LagOut(BaseModel):
    topic: str
    group: str
    lag_records: int = Field(ge=0, description="The sum over the partitions.")
    lag_seconds: float = Field(ge=0, description="The greatest of the partitions.")
    partitions: list[PartitionLagOut]


class RatesOut(BaseModel):
    window_seconds: float | None = Field(description="How long was watched: a minute at most.")
    appended_per_second: float | None = Field(description="Records that the event log took.")
    applied_per_second: float | None = Field(description="Records that the workers applied.")


class DependencyOut(BaseModel):
    status: Status
    latency_ms: float
    detail: str | None = None


class DeadLettersOut(BaseModel):
    records: int = Field(ge=0, description="Records in the dead-letter topic.")


class SystemOut(BaseModel):
    version: str
    lag: LagOut | None
    rates: RatesOut
    dependencies: dict[str, DependencyOut]
    dead_letters: DeadLettersOut | None


class PlatformFreshnessOut(BaseModel):
    campaign_id: int
    campaign_name: str
    platform: Platform
    last_event_at: datetime | None = Field(description="The newest event's time; null when none has come.")
    last_report_at: datetime | None = Field(description="The last fetch that succeeded.")
    age_seconds: float | None = Field(description="Of the newer of both.")


class FreshnessOut(BaseModel):
    items: list[PlatformFreshnessOut]
    truncated: bool = Field(description="Whether there are more rows than were given.")
