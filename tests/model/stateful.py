"""What has to be so after any interleaving of steps: a reading of the rules in a hundred lines, sharing code with nothing.

It knows campaigns, events, copies, conflicts, dead letters, replays and erasures. That processes die, that partitions go
from one worker to another, that the group is set back and sums are made wrong, it need not know: none of it may change an
answer.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

WINDOW = timedelta(days=7)
Sums = dict[tuple[str, str], tuple[int, int, int]]
"""Impressions, clicks and micros of spend by day and region."""


@dataclass(frozen=True)
class Event:
    event_id: str
    instant: datetime
    region: str
    clicks: int
    spend_micros: int

    @property
    def is_bad(self) -> bool:
        return self.region == "NOWHERE"


@dataclass
class Letter:
    event: Event
    code: str
    is_replayed: bool = False


class Reference:
    """Campaigns by number. ``at`` is the time in the log."""

    def __init__(self) -> None:
        self.zones: dict[int, str] = {}
        self.counted: dict[int, list[tuple[datetime, Event]]] = defaultdict(list)
        self._copies: dict[int, list[Event]] = defaultdict(list)
        self._letters: dict[int, list[Letter]] = defaultdict(list)
        self._erased: set[tuple[int, str]] = set()

    def create(self, campaign: int, zone: str) -> None:
        self.zones[campaign] = zone

    def ingest(self, campaign: int, event: Event, at: datetime) -> None:
        if (campaign, event.event_id) in self._erased:
            return
        if event.is_bad or campaign not in self.zones:
            code = "invalid_region" if event.is_bad else "unknown_campaign"
            self._letters[campaign].append(Letter(event, code))
            return
        for counted_at, one in reversed(self.counted[campaign]):
            if one.event_id == event.event_id and (at - counted_at <= WINDOW or one.instant == event.instant):
                if one != event:
                    self._copies[campaign].append(event)
                return
        self.counted[campaign].append((at, event))

    def replay(self, campaign: int, at: datetime, *, again: bool) -> None:
        for letter in list(self._letters[campaign]):
            if again or not letter.is_replayed:
                letter.is_replayed = True
                self.ingest(campaign, letter.event, at)

    def erase_events(self, campaign: int, event_ids: set[str]) -> None:
        self._erased |= {(campaign, one) for one in event_ids}
        self.counted[campaign] = [one for one in self.counted[campaign] if one[1].event_id not in event_ids]
        self._copies[campaign] = [one for one in self._copies[campaign] if one.event_id not in event_ids]
        self._letters[campaign] = [one for one in self._letters[campaign] if one.event.event_id not in event_ids]

    def erase(self, campaign: int) -> None:
        del self.zones[campaign]
        for kept in (self.counted, self._copies, self._letters):
            kept.pop(campaign, None)

    def sums(self, campaign: int, zone: str) -> Sums:
        found: Sums = {}
        for _, one in self.counted[campaign]:
            key = one.instant.astimezone(ZoneInfo(zone)).date().isoformat(), one.region
            impressions, clicks, spend = found.get(key, (0, 0, 0))
            found[key] = impressions + 1, clicks + one.clicks, spend + one.spend_micros
        return found

    def exported(self, campaign: int) -> Counter[str]:
        return Counter(one.event_id for _, one in self.counted[campaign])

    def conflicts(self, campaign: int) -> Counter[str]:
        return Counter(one.event_id for one in self._copies[campaign])

    def letters(self, campaign: int) -> Counter[tuple[str, str]]:
        return Counter((one.event.event_id, one.code) for one in self._letters[campaign])
