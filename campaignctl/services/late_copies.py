"""Looking up in the store whether late events have landed, many of them by their place.

A statement that looks for thousands of instants and ids costs 10 times the CPU of one that reads the rows at a range of
offsets. So where a memory says at which offsets a bulk of events has landed, those rows are read, and an event is taken
for landed only when a row names its campaign, its id and its instant. The memory is never believed: what it does not
know, or what is not where it says (the store was put back, the rows were erased, the memory lies), is looked for as
without it. Its loss and its lies cost a statement, and change no verdict.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from campaignctl.ports.analytics import EventStore, OffsetRange, SeenEvents
from campaignctl.ports.places import Instant, PlaceMemory

WORTH_IT = 1_024
"""Events in a stretch of the log from which on reading all of it is cheaper than looking for each of them."""
_STRETCH = 8_192


@dataclass(slots=True)
class PlaceCounts:
    """Late events since the start of which the memory was asked."""

    confirmed: int = 0
    """Found in the store where it said, or beside it."""
    unconfirmed: int = 0
    """Those for which it named a place, and no row was read there that is theirs."""
    unknown: int = 0


class LateCopies:
    """Without a ``memory`` the store alone is asked."""

    def __init__(self, store: EventStore, memory: PlaceMemory | None) -> None:
        self.counts = PlaceCounts()
        self._store = store
        self._memory = memory

    def find(self, keys: Sequence[Instant], batch: OffsetRange) -> list[SeenEvents]:
        """Which of the distinct keys, at most 10,000, have landed outside of the batch. Raises ``Unavailable``."""
        if self._memory is None or len(keys) < WORTH_IT:
            return [self._store.find_by_instant(keys, batch)]
        found, confirmed, wanted = [], set[Instant](), set(keys)
        places = self._memory.find(batch.topic_id, batch.partition, keys)
        # A batch that is repeated must not see its own rows: what is read ends before it.
        for stretch in _stretches([place for place in places if place is not None and 0 <= place < batch.start], batch):
            seen = self._store.landed_events(stretch)
            found.append(_of(seen, wanted))
            confirmed.update(_keys_of(found[-1]))
        self._count(keys, places, confirmed)
        rest = [key for key in keys if key not in confirmed]
        if rest:
            found.append(self._store.find_by_instant(rest, batch))
        return found

    def remember(self, topic_id: int, partition: int, keys: Sequence[Instant], offsets: Sequence[int]) -> None:
        """Keep where these late events, whose insert is acknowledged, have landed, when they are many."""
        if self._memory is not None and len(keys) >= WORTH_IT:
            self._memory.keep(topic_id, partition, keys, offsets)

    @property
    def remembers(self) -> bool:
        return self._memory is not None

    def _count(self, keys: Sequence[Instant], places: Sequence[int | None], confirmed: set[Instant]) -> None:
        named = sum(place is not None and key not in confirmed for key, place in zip(keys, places, strict=True))
        self.counts.confirmed += len(confirmed)
        self.counts.unconfirmed += named
        self.counts.unknown += len(keys) - len(confirmed) - named


def _stretches(places: Sequence[int], batch: OffsetRange) -> Iterator[OffsetRange]:
    """The parts of the log in which the places lie close together, ascending."""
    offsets = np.unique(np.array(places, dtype=np.int64))
    numbers, firsts, counts = np.unique(offsets // _STRETCH, return_index=True, return_counts=True)
    start = end = -1
    last_number = -2
    for number, first, count in zip(numbers.tolist(), firsts.tolist(), counts.tolist(), strict=True):
        if count < WORTH_IT:
            continue
        if number != last_number + 1:
            if end > start:
                yield OffsetRange(batch.topic_id, batch.partition, start, end)
            start = int(offsets[first])
        end, last_number = int(offsets[first + count - 1]) + 1, number
    if end > start:
        yield OffsetRange(batch.topic_id, batch.partition, start, end)


def _of(seen: SeenEvents, wanted: set[Instant]) -> SeenEvents:
    kept = [key in wanted for key in _keys_of(seen)]
    return SeenEvents(
        list(compress(seen.campaign_id, kept)),
        list(compress(seen.event_id, kept)),
        list(compress(seen.event_time_us, kept)),
        list(compress(seen.times_ms, kept)),
        seen.fingerprint[np.array(kept, dtype=np.bool_)],
    )


def _keys_of(seen: SeenEvents) -> Iterator[Instant]:
    return zip(seen.campaign_id, seen.event_id, seen.event_time_us, strict=True)
