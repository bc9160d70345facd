"""Events as they are sent, as they count and as they conflict."""

from datetime import datetime

from pydantic import BaseModel, Field

from campaignctl.domain.events import RejectReason
from campaignctl.domain.platforms import Platform
from server.schemas.fields import Amount, AmountIn


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
