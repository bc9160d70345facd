"""Conflicts: copies of events that say something else than the event that counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ConflictPlace:
    """Where a conflict stands among all: by log time, then by the record that the copy is."""

    time_ms: int
    """When the log took the copy."""
    topic_id: int
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Conflict:
    place: ConflictPlace
    campaign_id: int
    event_id: str
    event_time_us: int
    """The instant that the copy names."""
    value: bytes
    """The copy's original bytes."""


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """An event as it counts."""

    campaign_id: int
    event_id: str
    event_time_us: int
    platform: str
    event_type: str
    region: str
    ad_group_id: str
    ad_id: str
    device: str
    currency: str
    impressions: int
    clicks: int
    conversions_millionths: int
    spend_micros: int
    revenue_micros: int
    time_ms: int
    """When the log took its record."""
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class ConflictFilter:
    """Which conflicts are meant; None lets every one pass."""

    campaign_ids: Sequence[int] | None = None
    since_ms: int | None = None
    """Copies that the log took at or after it."""
    until_ms: int | None = None
    """Copies that the log took before it."""
    left_out: Sequence[int] = ()
    """Campaigns that are not meant, whatever else is."""


class ConflictStore(Protocol):
    def list_conflicts(self, wanted: ConflictFilter, before: ConflictPlace | None, limit: int, /) -> list[Conflict]:
        """Up to ``limit`` conflicts, newest first, behind a place in that order. Each copy once."""
        ...

    def counted_events(self, keys: Sequence[tuple[int, str]], /) -> list[CountedEvent]:
        """Every event that counts under one of (campaign_id, event_id), at most 1,000 keys, in order of log time."""
        ...
