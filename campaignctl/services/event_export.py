"""Exporting events: those of a campaign that count, each once, in the order of their own times.

What is written down can be sent again, to the same campaign or as events of another one. Pages are found anew in the
store: an event that comes meanwhile with a time that was passed already is not among them.
"""

from collections.abc import Sequence
from datetime import date

from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput
from campaignctl.ports.conflicts import CountedEvent
from campaignctl.ports.event_listing import EventListing, EventPlace
from campaignctl.ports.metadata import SecretStore
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.cursors import Cursors, Page

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 5_000
"""Events of a page: of the longest that there can be, 15 MiB."""
_EPOCH = date(1970, 1, 1)
_LAST_DAY = (date(2200, 1, 1) - _EPOCH).days
"""Later than any event can be."""


class EventExportService:
    """For operators."""

    def __init__(self, store: EventListing, campaigns: CampaignService, secrets: SecretStore) -> None:
        self._store = store
        self._campaigns = campaigns
        self._cursors = Cursors("events", lambda: secrets.installation_secret("cursors"))

    def page(
        self,
        campaign_id: int,
        actor: Actor,
        *,
        start: date | None = None,
        end: date | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[CountedEvent]:
        """The first events of the inclusive days of the campaign's own zone, or those behind the cursor."""
        campaign = self._campaigns.get(campaign_id, actor)
        actor.require(Role.OPERATOR)
        if start and end and end < start:
            raise InvalidInput.of("end_date", "must not lie before start_date")
        filters: dict[str, object] = {"campaign": campaign.id, "start": start, "end": end}
        after = None if cursor is None else _place(self._cursors.decode(cursor, filters))
        first_day = 0 if start is None else _number(start)
        last_day = _LAST_DAY if end is None else _number(end)
        found = self._store.list_events(campaign.id, first_day, last_day, after, limit + 1)
        return self._cursors.page(found, limit, lambda one: (one.event_time_us, one.event_id), filters)


def _number(day: date) -> int:
    """Days since 1970, as far as events can be."""
    return min(max((day - _EPOCH).days, 0), _LAST_DAY)


def _place(flat: Sequence[str | int]) -> EventPlace:
    if len(flat) != 2:
        raise InvalidInput.of("cursor", "is not a next_cursor of this list")
    return EventPlace(int(flat[0]), str(flat[1]))
