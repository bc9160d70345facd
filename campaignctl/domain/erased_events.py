"""Single events that were erased, known by digests: to leave an id out for ever, nothing has to keep it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


def event_digest(campaign_id: int, event_id: str) -> bytes:
    """What is kept of an erased event's id: SHA-256 of campaign and id, so that equal ids of two campaigns differ."""
    return hashlib.sha256(f"{campaign_id}:{event_id}".encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class EventErasure:
    """Events of one campaign that were erased together."""

    campaign_id: int
    digests: frozenset[bytes]
    erased_at: datetime


class ErasedEvents:
    """Which events are erased; grows as erasures become known."""

    def __init__(self, erasures: Mapping[int, EventErasure] | None = None) -> None:
        self._digests: dict[int, set[bytes]] = {}
        self.known: set[int] = set()
        """The numbers of the erasures in it."""
        self.add(erasures or {})

    def add(self, erasures: Mapping[int, EventErasure]) -> None:
        """Erasures by number."""
        for erasure in erasures.values():
            self._digests.setdefault(erasure.campaign_id, set()).update(erasure.digests)
        self.known.update(erasures)

    def has_any_of(self, campaign_id: int | None) -> bool:
        return campaign_id in self._digests

    def covers(self, campaign_id: int, event_id: str) -> bool:
        digests = self._digests.get(campaign_id)
        return digests is not None and event_digest(campaign_id, event_id) in digests

    def covers_record(self, campaign_id: int | None, value: bytes) -> bool:
        """Whether a record that was refused names an erased event of the campaign; not where no id can be read."""
        if campaign_id is None or campaign_id not in self._digests:
            return False
        try:
            event_id = json.loads(value)["event_id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        return isinstance(event_id, str) and self.covers(campaign_id, event_id)
