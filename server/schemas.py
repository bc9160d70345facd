"""The shapes of the API as its OpenAPI document shows them.

Nothing is validated or encoded with these models: bodies are read by ``server.bodies`` and the domain, answers are
encoded from values. Tests compare real answers with them.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import models_json_schema

from campaignctl.domain.campaigns import BudgetPeriod, CampaignStatus, LinkLevel
from campaignctl.domain.events import RejectReason
from campaignctl.domain.jobs import JobKind, JobStatus
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Role
from campaignctl.services.health import Status
from server.schemas_system import FreshnessOut, SystemOut

Amount = Annotated[float, WithJsonSchema({"type": "number", "description": "Exact, with at most 6 decimal places."})]
AmountIn = Annotated[
    float | str,
    WithJsonSchema({"type": ["number", "string"], "description": "A decimal, as a number or in a string."}),
]
RatioOrNull = Annotated[
    float | None, WithJsonSchema({"type": ["number", "null"], "description": "A fraction; null where undefined."})
]
AmountOrNull = Annotated[
    float | None, WithJsonSchema({"type": ["number", "null"], "description": "Null where it cannot be told."})
]
CountOrNull = Annotated[int | None, WithJsonSchema({"type": ["integer", "null"]})]
Url = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]


class _In(BaseModel):
    """A body: members that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid")


class FieldProblem(BaseModel):
    field: str = Field(description="The member or parameter; a dot separates levels.")
    message: str


class Problem(BaseModel):
    """RFC 9457."""

    type: Url = Field(description="Names the kind of problem; `code` is its last part.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What is wrong with this request.")
    code: str = Field(description="Stable and searchable.")
    request_id: str = Field(description="Finds the request in the server's log.")
    errors: list[FieldProblem] = Field(default=[], description="What is wrong, member by member; left out when empty.")
    hint: str = Field(default="", description="What to do next; left out when empty.")


class Registration(_In):
    email: str = Field(max_length=254, examples=["ada@example.com"])
    password: str = Field(max_length=128, description="At least 12 characters; neither common nor the address.")
    name: str | None = Field(default=None, max_length=200)


class Login(_In):
    email: str
    password: str


class RefreshToken(_In):
    refresh_token: str


class Logout(_In):
    refresh_token: str | None = None


class PasswordChange(_In):
    current_password: str
    new_password: str = Field(max_length=128)


class PasswordReset(_In):
    token: str
    new_password: str = Field(max_length=128)


class UserOut(BaseModel):
    id: int
    email: str
    name: str
    role: Role
    created_at: datetime


class Tokens(BaseModel):
    access_token: str
    token_type: str = Field(pattern="^bearer$")
    expires_in: int = Field(description="Seconds the access token lives.")
    refresh_token: str = Field(description="Good for one refresh; using it twice ends the session.")


class PlatformLinkIn(_In):
    platform: Platform
    account_id: str = Field(min_length=1, max_length=128)
    external_id: str = Field(min_length=1, max_length=128, description="The native campaign, or campaign group.")
    level: LinkLevel = LinkLevel.CAMPAIGN
    valid_from: date | None = Field(default=None, description="The first day that belongs to the campaign.")
    valid_to: date | None = Field(default=None, description="The last day that belongs to the campaign.")


class CampaignIn(_In):
    name: str = Field(min_length=1, max_length=200)
    platforms: list[PlatformLinkIn] = Field(default=[], max_length=1_000)
    budget: AmountIn | None = None
    budget_period: BudgetPeriod = BudgetPeriod.TOTAL
    currency: str = Field(default="USD", min_length=3, max_length=3, description="A code of ISO 4217.")
    timezone: str = Field(default="UTC", description="An IANA time zone.")
    start_date: date | None = None
    end_date: date | None = None
    status: CampaignStatus = CampaignStatus.ACTIVE


class PlatformLinkOut(BaseModel):
    platform: Platform
    account_id: str
    external_id: str
    level: LinkLevel
    valid_from: date | None
    valid_to: date | None


class CampaignOut(BaseModel):
    id: int
    name: str
    platforms: list[PlatformLinkOut]
    budget: AmountOrNull
    budget_period: BudgetPeriod
    currency: str
    timezone: str
    start_date: date | None
    end_date: date | None
    status: CampaignStatus
    created_at: datetime
    updated_at: datetime


class CampaignPage(BaseModel):
    items: list[CampaignOut]
    next_cursor: str | None


class EventIn(BaseModel):
    """One event; further members are ignored."""

    event_id: str = Field(min_length=1, max_length=128, description="The deduplication key within the campaign.")
    campaign_id: int = Field(gt=0)
    platform: str = Field(description="meta, google, linkedin or tiktok, in any case.")
    event_time: datetime | int = Field(description="RFC 3339 with an offset, or epoch milliseconds.")
    event_type: str | None = Field(default=None, description="impression, click, conversion, metrics or adjustment.")
    region: str | None = Field(default=None, description="ISO 3166-1 alpha-2 or 3166-2.")
    ad_group_id: str | None = None
    ad_id: str | None = None
    device: str | None = None
    impressions: int | None = None
    clicks: int | None = None
    conversions: AmountIn | None = None
    spend: AmountIn | None = None
    revenue: AmountIn | None = None
    currency: str | None = None


class RejectedEvent(BaseModel):
    index: int = Field(description="The record's place in the request, from 0; blank lines are no records.")
    code: RejectReason
    message: str


class AcceptedEvents(BaseModel):
    accepted: int = Field(description="Records that will be counted; copies of others among them.")
    rejected: list[RejectedEvent]
    position: str = Field(description="For `after` of the insights routes: wait until these events are counted.")


LetterId = Annotated[str, Field(pattern="^[0-9]{1,18}-[0-9]{1,18}$")]


class DeadLetterOut(BaseModel):
    """A record that was refused, with its original bytes: as `value`, or as `value_base64` where they are no UTF-8."""

    id: LetterId
    code: str = Field(description="The reason code.", examples=[RejectReason.INVALID_VALUE])
    message: str
    source: str = Field(pattern="^(kafka|http)$", description="How the record came.")
    value: str | None = Field(description="The original bytes as text; null where they are not valid UTF-8.")
    value_base64: str | None = Field(description="The original bytes in base 64; null where `value` has them.")
    topic: str | None = Field(description="Of a record that came by the log; so are partition and offset.")
    partition: int | None
    offset: int | None
    request_id: str | None = Field(description="Of a record that came by HTTP; so is index.")
    index: int | None = Field(description="The record's place in the request.")
    campaign_id: int | None = Field(description="The campaign it named, where that could be read.")
    length: int | None = Field(description="Bytes of the record, where only its beginning is kept; else null.")
    sha256: str | None = Field(description="Of the whole record, where only its beginning is kept; else null.")
    at: datetime = Field(description="When it was refused.")
    replay_of: str | None = Field(description="The id of the letter whose record this is, produced again.")
    replayed_at: datetime | None = Field(description="When it was last produced again; null when it never was.")


class DeadLetterPage(BaseModel):
    items: list[DeadLetterOut]
    next_cursor: str | None


class CountedEventOut(BaseModel):
    """An event as it counts."""

    event_time: datetime
    event_type: str
    platform: Platform
    region: str
    ad_group_id: str
    ad_id: str
    device: str
    currency: str
    impressions: int
    clicks: int
    conversions: Amount
    spend: Amount
    revenue: Amount
    at: datetime = Field(description="When the log took its record.")
    partition: int
    offset: int


class ConflictOut(BaseModel):
    """A copy that says something else, and the event that counts in its place."""

    campaign_id: int
    event_id: str
    at: datetime = Field(description="When the log took the copy.")
    partition: int
    offset: int
    value: str | None = Field(description="The copy's original bytes as text; null where they are not valid UTF-8.")
    value_base64: str | None = Field(description="Those bytes in base 64; null where `value` has them.")
    counted: CountedEventOut | None = Field(description="Null when its raw record has passed retention.")


class ConflictPage(BaseModel):
    items: list[ConflictOut]
    next_cursor: str | None


class ReplayIn(_In):
    """Which letters: `ids`, or the filters of the listing (none of them means all letters)."""

    ids: list[LetterId] | None = Field(default=None, min_length=1, max_length=1_000)
    reason: RejectReason | None = None
    campaign_id: int | None = Field(default=None, ge=1, lt=2**63)
    since: datetime | None = None
    until: datetime | None = None
    again: bool = Field(default=False, description="Whether letters that were replayed before are replayed too.")


class RateIn(_In):
    date: date
    currency: str
    base: str
    rate: AmountIn = Field(description="1 `currency` = `rate` `base`.")


class RateOut(BaseModel):
    date: date
    currency: str
    base: str
    rate: Amount


class RatePage(BaseModel):
    items: list[RateOut]
    next_cursor: str | None


class RatesStored(BaseModel):
    stored: int = Field(description="How many rates the request held.")


class Metrics(BaseModel):
    impressions: CountOrNull
    clicks: CountOrNull
    conversions: AmountOrNull
    spend: AmountOrNull
    revenue: AmountOrNull
    ctr: RatioOrNull
    cpc: RatioOrNull
    cpm: RatioOrNull
    cpa: RatioOrNull
    cvr: RatioOrNull
    roas: RatioOrNull


class InsightRow(Metrics):
    """One bucket of time, for one combination of the group-by values, whose members stand beside the metrics."""

    model_config = ConfigDict(extra="allow")

    period_start: str
    period_end: str
    partial: bool
    source: str
    finality: str


class Freshness(BaseModel):
    platform: str
    last_event_at: datetime | None
    last_report_at: datetime | None
    data_through: date | None
    finality: str | None
    expected_final_at: datetime | None


class InsightWarning(BaseModel):
    model_config = ConfigDict(extra="allow")

    code: str
    message: str


class EarlierRow(Metrics):
    """What the bucket of the same number in the earlier range has of the same group."""

    model_config = ConfigDict(extra="allow")

    period_start: str
    period_end: str
    partial: bool
    change: dict[str, RatioOrNull] = Field(description="Of the five metrics, from then to now.")


class Comparison(BaseModel):
    kind: str
    start_date: date
    end_date: date
    totals: Metrics
    change: dict[str, RatioOrNull]
    rows: list[EarlierRow | None] = Field(
        description="Beside each row of the page, in its order; null where the earlier range has fewer buckets."
    )


class InsightsOut(BaseModel):
    start_date: date
    end_date: date
    granularity: str
    timezone: str
    week_start: str
    currency: str
    source: str
    group_by: list[str]
    rows: list[InsightRow]
    totals: Metrics
    comparison: Comparison | None
    next_cursor: str | None
    freshness: list[Freshness]
    warnings: list[InsightWarning]


class CampaignInsights(InsightsOut):
    campaign_id: int


class SeveralInsights(InsightsOut):
    campaign_ids: list[int]


class ReaggregateIn(_In):
    start_date: date | None = Field(default=None, description="First day, in the campaign's zone; default: the oldest.")
    end_date: date | None = Field(default=None, description="Last day, inclusive; default: the newest.")
    dry_run: bool = Field(default=False, description="Count and compare, and change nothing.")
    reason: str | None = Field(default=None, max_length=500, description="Why, for the receipt.")


class JobProgress(BaseModel):
    done: int
    total: CountOrNull = Field(description="Null while nobody knows.")
    unit: str = Field(description="What is counted, in the plural.")


class JobProblem(BaseModel):
    code: str
    message: str


class JobOut(BaseModel):
    job_id: int
    kind: JobKind
    status: JobStatus
    campaign_id: CountOrNull
    params: dict[str, Any] = Field(description="What was asked.")
    progress: JobProgress
    result: dict[str, Any] | None = Field(description="The receipt, once it is finished.")
    error: JobProblem | None = Field(description="Why it failed.")
    created_by: CountOrNull = Field(description="The user who asked; null for the operator of the machine.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    items: list[JobOut]
    next_cursor: str | None


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


_SHOWN: tuple[type[BaseModel], ...] = (
    SystemOut,
    FreshnessOut,
    Problem,
    Registration,
    Login,
    RefreshToken,
    Logout,
    PasswordChange,
    PasswordReset,
    UserOut,
    Tokens,
    CampaignIn,
    CampaignOut,
    CampaignPage,
    EventIn,
    AcceptedEvents,
    DeadLetterOut,
    DeadLetterPage,
    ReplayIn,
    ConflictPage,
    RateIn,
    RatePage,
    RatesStored,
    CampaignInsights,
    SeveralInsights,
    ReaggregateIn,
    JobOut,
    JobPage,
    HealthOut,
    LiveOut,
)


def component_schemas(others: Sequence[type[BaseModel]] = ()) -> dict[str, Any]:
    """Every model by name, ``others`` too, for ``components.schemas`` of the document."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in (*_SHOWN, *others)], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas
