"""Conflicts: the same id with other content. Both versions are shown: the copy's bytes, and the event that counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput
from campaignctl.ports.conflicts import Conflict, ConflictFilter, ConflictPlace, ConflictStore, CountedEvent
from campaignctl.ports.metadata import CampaignFactsStore, SecretStore
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit

_DAY_MS = 86_400_000


class ConflictRecords(CampaignFactsStore, SecretStore, Protocol):
    """What listing conflicts needs of the metadata store."""


@dataclass(frozen=True, slots=True)
class ListedConflict:
    copy: Conflict
    counted: CountedEvent | None
    """The event that the copy is one of; None when its raw record has passed retention."""


class ConflictService:
    """For operators."""

    def __init__(self, store: ConflictStore, metadata: ConflictRecords, *, window_days: int) -> None:
        self._store = store
        self._metadata = metadata
        self._window_ms = window_days * _DAY_MS
        self._cursors = Cursors("conflicts", lambda: metadata.installation_secret("cursors"))

    def page(
        self,
        actor: Actor,
        *,
        campaign_id: int | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[ListedConflict]:
        """The newest conflicts of the campaigns that the actor sees, or those behind the cursor."""
        actor.require(Role.OPERATOR)
        checked_limit(limit)
        filters: dict[str, object] = {
            "organization": actor.organization_id,
            "campaign": campaign_id,
            "since": since_us,
            "until": until_us,
        }
        before = None if cursor is None else _place(self._cursors.decode(cursor, filters))
        # Copies are at full milliseconds: one at or after 1.5 ms is one at or after 2 ms.
        since_ms = None if since_us is None else -(-since_us // 1_000)
        until_ms = None if until_us is None else -(-until_us // 1_000)
        erased = tuple(self._metadata.erased_campaigns())
        wanted = ConflictFilter(self._campaigns(actor, campaign_id), since_ms, until_ms, erased)
        found = [] if wanted.campaign_ids == () else self._store.list_conflicts(wanted, before, limit + 1)
        page = self._cursors.page(found, limit, lambda one: _flat(one.place), filters)
        return Page(tuple(self._with_counted(page.items)), page.next_cursor)

    def _campaigns(self, actor: Actor, campaign_id: int | None) -> Sequence[int] | None:
        """The campaigns to look at; None for all there are."""
        if actor.organization_id is None:
            return None if campaign_id is None else (campaign_id,)
        own = self._metadata.campaign_ids(actor.organization_id)
        return tuple(own) if campaign_id is None else tuple(one for one in own if one == campaign_id)

    def _with_counted(self, copies: Sequence[Conflict]) -> list[ListedConflict]:
        keys = list(dict.fromkeys((copy.campaign_id, copy.event_id) for copy in copies))
        originals: dict[tuple[int, str], list[CountedEvent]] = {}
        for one in self._store.counted_events(keys):
            originals.setdefault((one.campaign_id, one.event_id), []).append(one)
        return [ListedConflict(c, self._original(c, originals.get((c.campaign_id, c.event_id), ()))) for c in copies]

    def _original(self, copy: Conflict, known: Sequence[CountedEvent]) -> CountedEvent | None:
        """The newest event of the id that made it a copy, as the worker decided."""
        for one in reversed(known):
            age_ms = copy.place.time_ms - one.time_ms
            if age_ms >= 0 and (age_ms <= self._window_ms or one.event_time_us == copy.event_time_us):
                return one
        return None


def _flat(place: ConflictPlace) -> tuple[int, int, int, int]:
    return place.time_ms, place.topic_id, place.partition, place.offset


def _place(flat: Sequence[str | int]) -> ConflictPlace:
    if len(flat) != 4:
        raise InvalidInput.of("cursor", "is not a next_cursor of this list")
    return ConflictPlace(*map(int, flat))
