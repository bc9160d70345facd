"""Listing a campaign's events, page by page along the order in which the table keeps them."""

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.conflicts import counted_events_of
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.conflicts import CountedEvent
from campaignctl.ports.event_listing import EventPlace

_SQL = load_statements("clickhouse", "queries", "event_listing.sql")
_DAY_US = 86_400_000_000


class ListedEvents:
    """An ``EventListing`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def list_events(
        self, campaign_id: int, first_day: int, last_day: int, after: EventPlace | None, limit: int, /
    ) -> list[CountedEvent]:
        found: list[CountedEvent] = []
        while len(found) < limit:
            wanted = limit - len(found)
            rows = self._rows(campaign_id, first_day, last_day, after, wanted)
            for one in rows:
                place = EventPlace(one.event_time_us, one.event_id)
                if place != after:  # else the same row again; LIMIT BY would read all of the days for a page
                    found.append(one)
                after = place
            if len(rows) < wanted:
                break
        return found

    def _rows(
        self, campaign_id: int, first_day: int, last_day: int, after: EventPlace | None, limit: int
    ) -> list[CountedEvent]:
        behind = after or EventPlace(-1, "")
        # An event's UTC time is less than a day away from its local day: so much of the table is looked at.
        from_us = max((first_day - 1) * _DAY_US, behind.event_time_us, 0)
        parameters = {
            "campaign": campaign_id,
            "first_day": first_day,
            "last_day": last_day,
            "from_us": from_us,
            "until_us": (last_day + 2) * _DAY_US,
            "after_us": behind.event_time_us,
            "after_id": behind.event_id,
            "limit": limit,
        }
        with store_failures():
            return counted_events_of(self._clients.read(_SQL["list_events"], parameters))
