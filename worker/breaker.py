"""Stopping a partition before a bad deploy sends everything away.

One bad record never stops anything. But when most of a thousand records in a row are refused, where most of those
before them were counted, something else than a producer's slip is wrong: a release that cannot read what it read
yesterday, a metadata store that was emptied. Then the partition stops, says so, and looks again every minute; nothing
is lost meanwhile. A topic whose records were bad before goes on being refused record by record; so does a small one.
"""

from collections import deque
from dataclasses import dataclass

from campaignctl.ports.analytics import EventStore, OffsetRange
from campaignctl.services.ingestion import BatchCounts, PreparedBatch

_LOOK_BACK = 10
"""How many times more records before those in question tell how it was before."""


class MassRejectionError(Exception):
    """Most records are refused where most were counted before."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    bad_share: float = 0.5
    """Stop when at least so many of the latest records are bad; 0 never stops."""
    records: int = 1_000
    """How many records make a share, of the latest ones and of those before."""


@dataclass(frozen=True, slots=True)
class _Judged:
    start: int
    records: int
    bad: int


class Breakers:
    """What a process knows of its partitions; it outlives their being lost, gained and opened anew."""

    def __init__(self, policy: BreakerPolicy, store: EventStore) -> None:
        self._policy = policy
        self._store = store
        self._partitions: dict[tuple[int, int], _Breaker] = {}

    def judge(self, batch: PreparedBatch) -> None:
        """Raise ``MassRejectionError`` when the batch must not be applied now; ``Unavailable`` when that is unclear."""
        if self._policy.bad_share > 0:
            place = batch.source.topic_id, batch.source.partition
            if place not in self._partitions:
                self._partitions[place] = _Breaker(self._policy, self._store)
            self._partitions[place].judge(batch.source, batch.counts)


class _Breaker:
    def __init__(self, policy: BreakerPolicy, store: EventStore) -> None:
        self._policy = policy
        self._store = store
        self._latest: deque[_Judged] = deque()
        """The latest batches that make ``policy.records`` records together, good and bad ones."""
        self._records = self._bad = 0
        """Of all of these."""
        self._is_open = False
        self._bad_before = 0
        """Up to this offset, records are known to have been bad all along."""

    def judge(self, source: OffsetRange, counts: BatchCounts) -> None:
        bad = counts.rejected_by_reason.total()
        batch = _Judged(source.start, bad + counts.events_by_platform.total() + counts.rerouted, bad)
        if batch.records == 0:
            return  # commands and reports only
        records, bad = self._records + batch.records, self._bad + batch.bad
        if self._is_open:
            self._is_open = batch.bad > 0 and batch.bad >= self._policy.bad_share * batch.records
        elif records >= self._policy.records and bad >= self._policy.bad_share * records:
            self._is_open = self._was_good_before(source, self._latest[0].start if self._latest else batch.start)
        if self._is_open:
            raise MassRejectionError(
                f"{bad:,} of the latest {records:,} records are bad, where most were good before; nothing is applied "
                "until that changes. After a fix it goes on by itself; to send them to the dead letters instead, "
                "restart with events.stop_at_bad_percent=0"
            )
        self._keep(batch)

    def _was_good_before(self, source: OffsetRange, start: int) -> bool:
        """Whether most of the records before an offset have rows."""
        if start < self._bad_before:
            return False
        before = OffsetRange(
            source.topic_id, source.partition, max(start - _LOOK_BACK * self._policy.records, 0), start
        )
        width = before.end - before.start
        landed = len(self._store.landed_offsets(before))
        if width >= self._policy.records and landed > (1 - self._policy.bad_share) * width:
            return True
        self._bad_before = start + _LOOK_BACK * self._policy.records  # asking costs a scan: not for every batch
        return False

    def _keep(self, batch: _Judged) -> None:
        self._latest.append(batch)
        self._records, self._bad = self._records + batch.records, self._bad + batch.bad
        while self._records - (oldest := self._latest[0]).records >= self._policy.records:
            self._latest.popleft()
            self._records, self._bad = self._records - oldest.records, self._bad - oldest.bad
