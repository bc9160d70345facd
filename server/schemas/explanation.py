"""Where a number comes from."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.insight_rules import Rule
from campaignctl.domain.insights import Finality, Metric, RowSource, Source
from campaignctl.domain.platforms import Platform
from server.schemas.fields import Amount, AmountOrNull
from server.schemas.insights import InsightWarning


class AskedOut(BaseModel):
    """The question, complete."""

    platforms: list[Platform] = Field(description="Empty for all.")
    regions: list[str] = Field(description="Empty for all.")
    timezone: str
    currency: str
    source: Source
    as_of: datetime | None


class MetricFactsOut(BaseModel):
    meaning: str
    formula: str
    unit: str
    stream: str = Field(description="What events count; empty for a ratio.")
    platforms: dict[Platform, str] = Field(description="What each platform's reports count; empty for a ratio.")


class TermOut(MetricFactsOut):
    """A sum that the number is made of."""

    metric: Metric
    role: str = Field(description="`value`, or of a ratio `dividend` and `divisor`.")
    value: AmountOrNull


class PartAmountOut(BaseModel):
    metric: Metric
    currency: str | None = Field(description="Of money; else null.")
    value: AmountOrNull


class ConvertedOut(BaseModel):
    """All that is in one other currency, converted once."""

    metric: Metric
    day: date
    currency: str
    amount: Amount
    base: str
    rate: AmountOrNull = Field(description="1 `currency` = `rate` `base`; null where no rate stands for the day.")
    rate_date: date | None = Field(description="The rate's own day, which may be some days before.")
    value: AmountOrNull = Field(description="The amount in `base`, rounded half-even to 6 places.")


class LogRangeOut(BaseModel):
    """Where in the event log the events lie."""

    topic_id: int = Field(description="Which incarnation of the topic.")
    partition: int
    first_offset: int
    last_offset: int
    events: int
    last_taken_at: datetime = Field(description="When the log took the newest of them.")


class StreamOut(BaseModel):
    """The events of the day, whether they count or a report stands in their place."""

    events: int
    events_in_sums: int | None = Field(
        description="How many the sums by day hold; null where the number is made of raw records."
    )
    expired: bool = Field(description="Whether raw records of the day may be gone: then only sums are left.")
    first_event_at: datetime | None
    last_event_at: datetime | None
    amounts: list[PartAmountOut]
    log: list[LogRangeOut]


class StandingRowOut(BaseModel):
    region: str = Field(description="Empty for the day's total.")
    currency: str
    definition: str | None = Field(description="The version of the definition of conversions.")
    fetched_at: datetime
    amounts: list[PartAmountOut] = Field(description="A value is null where the platform does not give the metric.")


class TotalVersionOut(BaseModel):
    """A version of the day's total."""

    version: int
    stands: bool
    fetched_at: datetime
    landed_at: datetime = Field(description="Since when it is there.")
    currency: str
    definition: str | None
    amounts: list[PartAmountOut] | None = Field(description="Null: the platform had no row of the day any more.")


class NativeReportOut(BaseModel):
    account_id: str
    level: LinkLevel
    external_id: str
    timezone: str = Field(description="Of the account's days.")
    covered_at: datetime | None = Field(description="When a fetch last covered the day; null: never.")
    covered_by_country_at: datetime | None = Field(description="Null too where countries were not asked about.")
    seen: bool = Field(description="Whether any fetch had a row of it, of any day.")
    rows: list[StandingRowOut] = Field(description="What stands.")
    versions: list[TotalVersionOut] = Field(description="The newest first, at most 50.")


class PartOut(BaseModel):
    """What one platform gives to the number."""

    platform: Platform
    source: RowSource | None = Field(description="`stream` or `report`; null where neither has anything to say.")
    rule: Rule
    why: str
    amounts: list[PartAmountOut] = Field(description="As they take part, before anything is converted.")
    finality: Finality
    why_final: str
    expected_final_at: datetime | None
    stream: StreamOut
    natives: list[NativeReportOut] = Field(description="The native campaigns linked on the day, at most 100.")
    natives_left_out: int


class DefinitionOut(BaseModel):
    version: str
    platform: Platform
    actions: list[str] | None = Field(description="The platform's names that add up; null where not known any more.")


class StatementOut(BaseModel):
    """A statement that was run: `campaignctl query` runs it again."""

    file: str
    name: str
    sql: str
    params: dict[str, str]


class ExplanationOut(BaseModel):
    campaign_id: int
    date: date
    metric: str
    asked: AskedOut
    value: AmountOrNull = Field(description="As the totals of insights have it.")
    source: RowSource
    finality: Finality
    null_because: list[InsightWarning] = Field(description="Why the value is null; empty when it is not.")
    definition: MetricFactsOut
    terms: list[TermOut]
    conversions: list[ConvertedOut]
    max_rate_age_days: int
    platforms: list[PartOut]
    definitions: list[DefinitionOut] = Field(description="What conversions of the reports that stand were counted by.")
    conflicts: int = Field(
        description="Copies of the day's events, of any platform and region, that differ from what counted."
    )
    warnings: list[InsightWarning]
    statements: list[StatementOut]
