"""The shape of exported events in the OpenAPI document (see ``server.schemas``)."""

from datetime import datetime

from pydantic import BaseModel

from campaignctl.domain.platforms import Platform
from server.schemas import Amount


class ExportedEvent(BaseModel):
    """An event as it counts: with every member, in the form that POST /events takes."""

    event_id: str
    campaign_id: int
    platform: Platform
    event_time: datetime
    event_type: str
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


class ExportedEventPage(BaseModel):
    items: list[ExportedEvent]
    next_cursor: str | None


SHOWN = (ExportedEventPage,)
