"""What insights answer."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from server.schemas.fields import AmountOrNull, CountOrNull, RatioOrNull


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
