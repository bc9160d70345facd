"""A campaign's pacing."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from campaignctl.domain.campaigns import BudgetPeriod, CampaignStatus
from campaignctl.domain.pacing import PROJECTION_METHOD, RECENT_DAYS, STALE_AFTER, STOPPED_AFTER_DAYS, TOLERATED_PERCENT
from server.schemas.fields import AmountOrNull
from server.schemas.insights import InsightWarning

_STALE_HOURS = int(STALE_AFTER.total_seconds()) // 3_600


class PacingDays(BaseModel):
    total: int | None = Field(description="Of the period; null without an end.")
    elapsed: int = Field(description="Full days that are over.")
    left: int | None = Field(description="Today and the days after it.")


class PacingFlags(BaseModel):
    """Null where it cannot be told."""

    stopped: bool | None = Field(
        description=f"An active campaign without spend in the last {STOPPED_AFTER_DAYS} full days."
    )
    stale: bool = Field(description=f"An active campaign of which nothing has come for {_STALE_HOURS} hours.")
    overspending: bool | None = Field(
        description=f"More is spent than the budget, or over {TOLERATED_PERCENT} % more than expected by now."
    )
    underspending: bool | None = Field(description=f"Over {TOLERATED_PERCENT} % less is spent than expected by now.")


class PacingOut(BaseModel):
    campaign_id: int
    at: datetime = Field(description="The moment that the answer is of.")
    status: CampaignStatus
    timezone: str
    currency: str
    budget_period: BudgetPeriod
    start_date: date = Field(description="The first day of the period.")
    end_date: date | None = Field(description="Its last day; null for a total budget without an end.")
    days: PacingDays
    budget: AmountOrNull = Field(description="What of the budget falls on the period.")
    spend: AmountOrNull = Field(description="Of the period to date, as insights have it.")
    remaining: AmountOrNull = Field(description="Budget less spend; below 0 when more is spent.")
    percent: AmountOrNull = Field(description="Spend of the budget, in percent.")
    expected: AmountOrNull = Field(description="By now, if every day of the period had the same.")
    daily: AmountOrNull = Field(description=f"The average of the last {RECENT_DAYS} full days at most.")
    projected: AmountOrNull = Field(description=f"At the end of the period: {PROJECTION_METHOD}.")
    projection_method: str
    flags: PacingFlags
    last_data_at: datetime | None = Field(description="The newest event or fetch.")
    warnings: list[InsightWarning]
