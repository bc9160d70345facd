"""Help for tests of the way from the log to rows: records, ranges of them, and a small event log of lists."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.dedup_window import DedupWindow
from campaignctl.domain.events import EventLimits
from campaignctl.ports.event_log import Headers, RecordBatch, Topic
from campaignctl.ports.places import PlaceMemory
from campaignctl.services.ingestion import Ingestor, PreparedBatch, RecordRange, topic_number
from tests.fakes.analytics import FakeEventStore
from tests.fakes.clock import ManualClock
from tests.fakes.metadata import FakeCampaigns

DAY_MS = 86_400_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1_000
TOPIC = Topic("campaign-events", "8f14e45f-ceea-467f-a0e6-8e6d5a1c2b3d", 1, -1, 2**21)
LIMITS = EventLimits()


def event(event_id: str = "e", /, **members: Any) -> bytes:
    """A good event of campaign 1, with other members put in."""
    good = {"event_id": event_id, "campaign_id": 1, "platform": "meta", "event_time": "2026-11-23T11:00:00Z"}
    return json.dumps(good | members).encode()


def at(days: float) -> str:
    """An event_time so many days before ``NOW``."""
    return (NOW - timedelta(days=days)).isoformat()


def range_of(
    records: Sequence[tuple[bytes, int]], *, start: int = 0, partition: int = 0, headers: Sequence[Headers] = ()
) -> RecordRange:
    """Records (value, log time) at consecutive offsets from ``start`` on."""
    values = [value for value, _ in records]
    batch = RecordBatch(
        partition=partition,
        offsets=list(range(start, start + len(records))),
        times_ms=[time_ms for _, time_ms in records],
        keys=[None] * len(records),
        values=values,
        headers=list(headers) or [()] * len(records),
        next_offset=start + len(records),
    )
    return RecordRange(start, batch)


@dataclass
class Stream:
    """One partition of an event log, with an ingestor above it; what it prepares lands in a fake store."""

    topic: Topic = TOPIC
    partition: int = 0
    window_days: int = 7
    store: FakeEventStore = field(default_factory=FakeEventStore)
    campaigns: FakeCampaigns = field(default_factory=FakeCampaigns)
    places: PlaceMemory | None = None

    def __post_init__(self) -> None:
        self.clock = ManualClock(NOW)
        if not self.campaigns.facts:
            self.campaigns.add(1)
        self.store.window_ms = self.window_days * DAY_MS
        self.ingestor = self.new_ingestor()
        self.window = DedupWindow(self.window_days * DAY_MS)
        self.end = 0

    def new_ingestor(self) -> Ingestor:
        return Ingestor(
            self.store,
            self.campaigns,
            partition_of=partition_for_key,
            limits=LIMITS,
            window_days=self.window_days,
            clock=self.clock,
            places=self.places,
        )

    def prepare(self, *records: tuple[bytes, int], headers: Sequence[Headers] = ()) -> PreparedBatch:
        """The next records as a batch, which does not land."""
        batch = range_of(records, start=self.end, partition=self.partition, headers=headers)
        return self.ingestor.prepare(batch, self.topic, self.window)

    def take(self, *records: tuple[bytes, int], headers: Sequence[Headers] = ()) -> PreparedBatch:
        """The next records as a batch, which lands."""
        prepared = self.prepare(*records, headers=headers)
        self.land(prepared)
        return prepared

    def land(self, prepared: PreparedBatch) -> None:
        token = f"{prepared.source.start}-{prepared.source.end}"
        if len(prepared.conflicts):
            self.store.append_conflicts(prepared.conflicts, token)
        if len(prepared.rows):
            self.store.append_events(prepared.rows, token)
        self.ingestor.remember(prepared, self.window)
        self.end = prepared.source.end

    def reopen(self, *, offset: int, log_time_ms: int) -> None:
        """Lose what is in memory, as a new worker that begins at ``offset``."""
        self.ingestor = self.new_ingestor()
        self.window = self.ingestor.open_window(self.topic, self.partition, offset, log_time_ms)
        self.end = offset

    @property
    def landed_ids(self) -> list[str]:
        return [row.event_id for row in self.store.rows]

    @property
    def topic_number(self) -> int:
        return topic_number(self.topic)
