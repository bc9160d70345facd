"""What the platforms report, by itself and beside what was streamed."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.insights import Finality, Metric
from campaignctl.domain.platforms import Platform
from campaignctl.services.reconciliation import Hint
from campaignctl.services.restatements import Cause


class RestatementOut(BaseModel):
    day: date = Field(description="The account's own day.")
    platform: Platform
    account_id: str
    level: LinkLevel
    external_id: str
    metric: Metric
    old: float | None = Field(description="Null where the platform did not give the metric.")
    new: float | None
    old_currency: str | None = Field(description="Of money; else null.")
    currency: str | None
    finality: Finality = Field(description="The day's, when the platform told the new figure.")
    cause: Cause = Field(
        description=(
            "`platform`: it tells another figure. `definition`: the same answer, counted by another definition of "
            "conversions. `unclear`: a later answer, counted by another definition."
        )
    )
    old_definition: str | None = Field(description="What conversions were counted by before; null without a row.")
    definition: str | None = Field(description="And since then.")
    fetched_at: datetime = Field(description="When the platform told the new figure.")
    landed_at: datetime = Field(description="Since when it stands.")


class RestatementsOut(BaseModel):
    campaign_id: int
    start_date: date
    end_date: date
    items: list[RestatementOut]
    truncated: bool = Field(description="Whether there are more than are shown: ask for fewer days.")


class ComparedOut(BaseModel):
    streamed: float | None = Field(description="Null where an amount cannot be converted.")
    reported: float | None = Field(description="Null too where nothing is reported.")
    difference: float | None = Field(description="Streamed less reported.")
    relative: float | None = Field(
        description="The difference as a fraction of what is reported; null where that is 0."
    )
    within: bool | None = Field(description="Null where nothing could be compared.")
    hints: list[Hint] = Field(description="What may be the cause of a difference outside the tolerance.")


class ReconciledDayOut(BaseModel):
    day: date
    platform: Platform
    covered: bool = Field(description="Whether a report is there; else nothing is compared.")
    finality: Finality
    fetched_at: datetime | None = Field(description="When the report was fetched.")
    within: bool | None
    metrics: dict[Metric, ComparedOut]


class ReconciliationOut(BaseModel):
    campaign_id: int
    start_date: date
    end_date: date
    timezone: str
    currency: str
    tolerance: float
    within: bool = Field(description="Whether all that could be compared is within the tolerance.")
    days_compared: int
    days_outside: int
    days_not_covered: int
    unexplained: dict[Metric, float] = Field(description="Differences outside the tolerance without a hint, added up.")
    items: list[ReconciledDayOut]


class FiguresOut(BaseModel):
    impressions: int
    clicks: int
    conversions: float
    spend: float
    revenue: float


class UnmappedNativeOut(FiguresOut):
    external_id: str
    first_day: date = Field(description="With a row, and claimed by nobody.")
    last_day: date
    currency: str = Field(description="The account's own.")


class AccountDayOut(BaseModel):
    day: date
    currency: str
    mapped: FiguresOut
    unmapped: FiguresOut


class UnmappedOut(BaseModel):
    account_id: int
    platform: Platform
    start_date: date
    end_date: date
    level: LinkLevel = Field(description="What is counted: campaigns, or groups where all claims are claims of groups.")
    mixed_levels: bool = Field(
        description="Whether there are claims of both levels: campaigns inside a claimed group then show as unmapped."
    )
    items: list[UnmappedNativeOut]
    days: list[AccountDayOut] = Field(description="Mapped and unmapped add up to what the account reported.")
    truncated: bool = Field(description="Whether there are more than are shown: ask for fewer days.")
