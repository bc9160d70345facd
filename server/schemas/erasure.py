"""Erasing single events."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from server.schemas.fields import In

EventId = Annotated[str, Field(min_length=1, max_length=128)]


class EraseEventsIn(In):
    event_ids: list[EventId] = Field(min_length=1, max_length=1_000, description="As the events name themselves.")
    reason: str | None = Field(default=None, max_length=500, description="Why, for the receipt.")
    dry_run: bool = Field(default=False, description="Answer what would go, and change nothing.")


class LogRemains(BaseModel):
    """When each topic has let go of what it has now; null where it keeps records for ever."""

    event_log: datetime | None
    dead_letters: datetime | None


class EventErasurePlan(BaseModel):
    campaign_id: int
    event_ids: int = Field(description="Ids asked for, each once.")
    events: int = Field(description="Raw rows that are there of them.")
    conflicts: int
    days: list[date] = Field(description="Days of the campaign's zone whose sums are counted again.")
    sums_kept_of_days: list[date] = Field(description="Days whose raw records have begun to expire: their sums stay.")
    remains_until: LogRemains
