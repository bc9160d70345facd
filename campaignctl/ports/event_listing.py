"""The events of a campaign as they count, one after the other."""

from dataclasses import dataclass
from typing import Protocol

from campaignctl.ports.conflicts import CountedEvent


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where an event stands among a campaign's: by its own time, then by its id."""

    event_time_us: int
    event_id: str


class EventListing(Protocol):
    def list_events(
        self, campaign_id: int, first_day: int, last_day: int, after: EventPlace | None, limit: int, /
    ) -> list[CountedEvent]:
        """Up to ``limit`` events of the inclusive days, in order of their places, behind one of these.

        Days are those of the campaign's own zone, counted from 1970-01-01. Each event comes once, also where its row
        is there twice.
        """
        ...
