"""Which events a partition has counted lately: a 64-bit key, a short fingerprint and a log time of each, sorted by key.

An id takes 16 bytes, and nothing is kept free for more to come: a Python ``set`` takes 73, an open-addressing table
with the same content 34. Among a million ids, looking up a batch takes 0.2 us an id and adding it 0.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.earliest_instants import EarliestInstants

U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]

NEVER = -1
"""The time of a key that is not in the window."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHORT_SHIFT = np.uint64(32)
# A run is at least so many times as long as the next younger one: a look-up then meets two to four runs, and each of
# them moves an entry about eight times. Half of it, or twice, is slower.
_RATIO = 8
# Runs are parted by the first four bits of their keys: a merge then has a sixteenth of the ids in memory twice, which
# was 60 MiB of 5 million ids when it was all of them.
_SHARDS = 16
_SHARD_SHIFT = np.uint64(60)
_EDGES = np.arange(1, _SHARDS, dtype=np.uint64) << _SHARD_SHIFT
# A generation keeps times as 32-bit milliseconds since its own start: 49 days.
_LONGEST_GENERATION_MS = 2**32 - 1


def event_keys(campaign_ids: I64, event_ids: Sequence[str]) -> U64:
    """One 64-bit key per (campaign_id, event_id).

    Keys hold for this process only: Python seeds the hash of strings at start, so that nobody can make up ids that
    collide. Never store them.
    """
    text = np.fromiter(map(hash, event_ids), dtype=np.int64, count=len(event_ids)).view(np.uint64)
    return _mixed(text ^ _mixed(campaign_ids.view(np.uint64)))


def _mixed(values: U64) -> U64:
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def short_fingerprints(fingerprints: U64) -> U32:
    """What the window keeps of fingerprints: their upper half.

    It is enough to tell a copy from a conflict, because it is only asked where the 64-bit keys agree: one conflict in
    four thousand million passes for a copy, and neither counts. An event that is taken for another one needs both to
    collide, 96 bits.
    """
    return (fingerprints >> _SHORT_SHIFT).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Sightings:
    """What the window knows of some keys, by position."""

    times_ms: I64
    """Log time of the newest event counted under the key; ``NEVER`` where there is none."""
    fingerprints: U32
    """That event's short fingerprint; 0 where there is none."""


class DedupWindow:
    """The keys counted within ``span_ms`` of log time, for one partition.

    The window may still know keys that are older than that: the caller compares times, to the millisecond. Ids are
    kept in generations of half a window, so that old ones leave all at once and nothing is ever deleted singly.
    """

    def __init__(self, span_ms: int) -> None:
        self.span_ms = span_ms
        self._generation_ms = min(max(span_ms // 2, 1), _LONGEST_GENERATION_MS)
        self._generations: dict[int, _Generation] = {}
        self.earlier = EarliestInstants()
        """What is known of the time before the window."""

    def find(self, keys: U64) -> Sightings:
        """What was counted under each key; the newest where there were several."""
        order = np.argsort(keys)
        in_order = keys[order]
        bounds = _bounds(in_order)
        times_ms = np.full(len(keys), NEVER, dtype=np.int64)
        fingerprints = np.zeros(len(keys), dtype=np.uint32)
        for number, generation in self._generations.items():
            for shard in np.flatnonzero(np.diff(bounds)).tolist():
                first, end = bounds[shard], bounds[shard + 1]
                for run in generation.shards[shard]:
                    places, entries = run.find(in_order[first:end])
                    places += first
                    found_ms = run.times[entries] + np.int64(number * self._generation_ms)
                    newer = found_ms >= times_ms[order[places]]
                    at, entries = order[places[newer]], entries[newer]
                    times_ms[at] = found_ms[newer]
                    fingerprints[at] = run.fingerprints[entries]
        return Sightings(times_ms, fingerprints)

    def add(self, keys: U64, fingerprints: U64, times_ms: I64) -> None:
        """Events that were counted, in any order; of a key given twice the newest stays."""
        numbers = times_ms // self._generation_ms
        short = short_fingerprints(fingerprints)
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            relative = (times_ms[mine] - number * self._generation_ms).astype(np.uint32)
            self._generations.setdefault(number, _Generation()).add(keys[mine], short[mine], relative)

    def forget_before(self, time_ms: int) -> None:
        """Let go of what no record at ``time_ms`` or later can be a copy of by the window."""
        oldest_needed = (time_ms - self.span_ms) // self._generation_ms
        for number in [number for number in self._generations if number < oldest_needed]:
            del self._generations[number]

    def __len__(self) -> int:
        """How many entries are held (a key that counted again may count twice)."""
        return sum(len(run) for generation in self._generations.values() for run in generation.runs())

    @property
    def size_bytes(self) -> int:
        return sum(run.size_bytes for generation in self._generations.values() for run in generation.runs())


class _Generation:
    """Sorted runs of each shard, the oldest and by far the longest first."""

    def __init__(self) -> None:
        self.shards: list[list[_Run]] = [[] for _ in range(_SHARDS)]

    def runs(self) -> "Iterator[_Run]":
        return chain.from_iterable(self.shards)

    def add(self, keys: U64, fingerprints: U32, times: U32) -> None:
        """Keys in any order, repeated ones too."""
        whole = _sorted_run(keys, fingerprints, times)
        bounds = _bounds(whole.keys)
        for shard, runs in enumerate(self.shards):
            part = whole.part(bounds[shard], bounds[shard + 1])
            if not len(part):
                continue
            runs.append(part)
            while len(runs) > 1 and len(runs[-1]) * _RATIO > len(runs[-2]):
                younger = runs.pop()
                runs[-1].take_in(younger)


class _Run:
    """Entries in the order of their keys, which are distinct."""

    def __init__(self, keys: U64, fingerprints: U32, times: U32) -> None:
        self.keys, self.fingerprints, self.times = keys, fingerprints, times

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def size_bytes(self) -> int:
        return self.keys.nbytes + self.fingerprints.nbytes + self.times.nbytes

    def find(self, keys: U64) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Which of the keys, ascending, are here, by position, and the entry of each."""
        entries = np.searchsorted(self.keys, keys)
        entries[entries == len(self.keys)] = 0
        places = np.flatnonzero(self.keys[entries] == keys)
        return places, entries[places]

    def part(self, first: int, end: int) -> "_Run":
        """Entries from ``first`` up to ``end``, in memory of their own."""
        return _Run(self.keys[first:end].copy(), self.fingerprints[first:end].copy(), self.times[first:end].copy())

    def take_in(self, younger: "_Run") -> None:
        """Merge another run into this one, column by column: at most one column is in memory twice."""
        places, entries = self.find(younger.keys)
        if len(places):
            newer = younger.times[places] >= self.times[entries]
            self.times[entries[newer]] = younger.times[places[newer]]
            self.fingerprints[entries[newer]] = younger.fingerprints[places[newer]]
            younger = younger.without(places)
        added = np.zeros(len(self) + len(younger), dtype=np.bool_)
        added[np.searchsorted(self.keys, younger.keys) + np.arange(len(younger))] = True
        kept = ~added
        self.keys = _placed(self.keys, kept, younger.keys, added)
        self.fingerprints = _placed(self.fingerprints, kept, younger.fingerprints, added)
        self.times = _placed(self.times, kept, younger.times, added)

    def without(self, entries: NDArray[np.intp]) -> "_Run":
        kept = np.ones(len(self), dtype=np.bool_)
        kept[entries] = False
        return _Run(self.keys[kept], self.fingerprints[kept], self.times[kept])


def _bounds(keys: U64) -> list[int]:
    """Where each shard's keys begin among ascending ones, and behind the last one where they end."""
    return [0, *np.searchsorted(keys, _EDGES).tolist(), len(keys)]


_Number = TypeVar("_Number", np.uint64, np.uint32)
_Places = NDArray[np.bool_]


def _placed(
    kept: NDArray[_Number], kept_places: _Places, added: NDArray[_Number], added_places: _Places
) -> NDArray[_Number]:
    both = np.empty(len(kept_places), dtype=kept.dtype)
    both[kept_places] = kept
    both[added_places] = added
    return both


def _sorted_run(keys: U64, fingerprints: U32, times: U32) -> _Run:
    """A run of entries given in any order: of a key given twice the newest."""
    order = np.argsort(keys)
    in_order = keys[order]
    last = np.append(in_order[1:] != in_order[:-1], True)
    if not last.all():
        order = np.lexsort((times, keys))[last]
        in_order = keys[order]
    return _Run(in_order, fingerprints[order], times[order])
