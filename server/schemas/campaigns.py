"""Campaigns, and the native campaigns they claim."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from campaignctl.domain.campaigns import BudgetPeriod, CampaignStatus, LinkLevel
from campaignctl.domain.platforms import Platform
from server.schemas.fields import AmountIn, AmountOrNull, In


class PlatformLinkIn(In):
    platform: Platform
    account_id: str = Field(min_length=1, max_length=128)
    external_id: str = Field(min_length=1, max_length=128, description="The native campaign, or campaign group.")
    level: LinkLevel = LinkLevel.CAMPAIGN
    valid_from: date | None = Field(default=None, description="The first day that belongs to the campaign.")
    valid_to: date | None = Field(default=None, description="The last day that belongs to the campaign.")


class CampaignIn(In):
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
