"""Which events of a batch count, and which are copies of one that counts already.

Within the window (days of log time) the same id is the same event whatever the copy says; after it, only when it names
the same instant. The copy that comes first in the campaign's own partition counts.

Nearly every event is decided by the window alone, for all events at once. The store is asked about two kinds: events
older than the window and not older than all that their campaign had counted before it, whose copies may be older than
the window too; and hits whose content differs, because two ids may share a key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.dedup_window import I64, NEVER, U64, DedupWindow, event_keys, short_fingerprints
from campaignctl.ports.analytics import EventRows, EventStore, OffsetRange, SeenEvents
from campaignctl.ports.places import PlaceMemory
from campaignctl.services.late_copies import LateCopies

Flags = NDArray[np.bool_]
EventKey = tuple[int, str]

_LOOKUP_KEYS = 10_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Candidates:
    """Valid events of one partition, in the order of their offsets; all of one length."""

    campaign_ids: I64
    event_ids: Sequence[str]
    event_time_us: I64
    times_ms: I64
    """Log time; never falls."""
    fingerprints: U64

    def __len__(self) -> int:
        return len(self.event_ids)

    def keys(self, which: Flags) -> list[EventKey]:
        return list(zip(self.campaign_ids[which].tolist(), compress(self.event_ids, which), strict=True))


@dataclass(frozen=True, slots=True)
class Verdicts:
    keys: U64
    """The window's key of each candidate."""
    counted: Flags
    conflicts: Sequence[int]
    """Copies that say something else than the event that counted; ascending."""


@dataclass(frozen=True, slots=True)
class _Original:
    """An event that counts."""

    time_ms: int
    event_time_us: int
    fingerprint: int


class Deduplicator:
    """``max_future_s``: how far ahead of its log time an event may lie at most.

    ``places``: a memory of where late events have landed, which makes it cheaper to find them, and decides nothing.
    """

    def __init__(
        self, store: EventStore, *, window_days: int, max_future_s: int, places: PlaceMemory | None = None
    ) -> None:
        self.window_ms = window_days * _DAY_MS
        self.late_copies = LateCopies(store, places)
        self._store = store
        self._max_future_ms = max_future_s * 1_000

    def judge(self, events: Candidates, window: DedupWindow, batch: OffsetRange) -> Verdicts:
        """Decide about each event; ``window`` holds what counted below ``batch.start`` and is not changed.

        A pure function of the log's records: rows of ``batch`` itself that have landed already are not looked at.
        Raises ``Unavailable`` when the store is needed and cannot be asked.
        """
        keys = event_keys(events.campaign_ids, events.event_ids)
        seen = window.find(keys)
        near = (seen.times_ms != NEVER) & (events.times_ms - seen.times_ms <= self.window_ms)
        same = near & (seen.fingerprints == short_fingerprints(events.fingerprints))
        disputed = near & ~same
        late = self._possible_copies(events, self._are_late(events.event_time_us, events.times_ms) & ~near, window)
        originals = self._landed(events, late, disputed, batch)

        counted = ~near
        unclear = disputed | _repeated(keys)
        if originals:
            unclear |= late & _known(events, late, originals)
        unclear &= ~same
        counts, conflicts = self._judge_in_order(events, unclear, originals)
        counted[unclear] = counts
        return Verdicts(keys, counted, conflicts)

    def remember(self, rows: EventRows) -> None:
        """Note where late events have landed; only of rows whose insert is acknowledged."""
        if not self.late_copies.remembers or not len(rows):
            return
        times_us = np.asarray(rows.event_time_us, dtype=np.int64)
        late = self._are_late(times_us, np.asarray(rows.times_ms, dtype=np.int64))
        instants = zip(rows.campaign_id, rows.event_id, times_us.tolist(), strict=True)
        keys, offsets = list(compress(instants, late)), list(compress(rows.offsets, late))
        self.late_copies.remember(rows.topic_id, rows.partition, keys, offsets)

    def _are_late(self, event_time_us: I64, times_ms: I64) -> Flags:
        """Those that may have counted before the window: no event counts long before its own time."""
        return event_time_us < (times_ms - self.window_ms + self._max_future_ms) * 1_000

    def _possible_copies(self, events: Candidates, late: Flags, window: DedupWindow) -> Flags:
        """Those of the late events that name an instant at which their campaign may have counted something."""
        if late.any():
            late[late] = window.earlier.may_be_copies(
                events.campaign_ids[late],
                events.event_time_us[late],
                first_ms=int(events.times_ms[0]),
                windows_end_ms=int(events.times_ms[-1]) - self.window_ms,
                ask=self._store.earliest_instants,
            )
        return late

    def _judge_in_order(
        self, events: Candidates, unclear: Flags, originals: dict[EventKey, list[_Original]]
    ) -> tuple[list[bool], list[int]]:
        """Whether each unclear event counts, and which of them are copies that differ.

        One that counts becomes an original for those after it.
        """
        counts: list[bool] = []
        conflicts: list[int] = []
        for place, key, time_ms, event_time_us, fingerprint in zip(
            np.flatnonzero(unclear).tolist(),
            events.keys(unclear),
            events.times_ms[unclear].tolist(),
            events.event_time_us[unclear].tolist(),
            events.fingerprints[unclear].tolist(),
            strict=True,
        ):
            known = originals.setdefault(key, [])
            original = self._original_of(time_ms, event_time_us, known)
            counts.append(original is None)
            if original is None:
                known.append(_Original(time_ms, event_time_us, fingerprint))
            elif original.fingerprint != fingerprint:
                conflicts.append(place)
        return counts, conflicts

    def _original_of(self, time_ms: int, event_time_us: int, known: Sequence[_Original]) -> _Original | None:
        """The newest event of the same id that makes this one a copy."""
        for original in reversed(known):
            if time_ms - original.time_ms <= self.window_ms or event_time_us == original.event_time_us:
                return original
        return None

    def _landed(
        self, events: Candidates, late: Flags, disputed: Flags, batch: OffsetRange
    ) -> dict[EventKey, list[_Original]]:
        """What the store has of the events that the window cannot decide, oldest first."""
        originals: dict[EventKey, list[_Original]] = {}
        instants = zip(events.keys(late), events.event_time_us[late].tolist(), strict=True)
        for keys in _in_pieces([(*key, event_time_us) for key, event_time_us in instants]):
            for seen in self.late_copies.find(keys, batch):
                _collect(seen, originals)
        for pairs in _in_pieces(events.keys(disputed)):
            _collect(self._store.find_by_id(pairs, batch), originals)
        for known in originals.values():
            known.sort(key=lambda original: original.time_ms)
        return originals


def _repeated(keys: U64) -> Flags:
    """Which events share their key with another one of the batch."""
    order = np.argsort(keys)
    in_order = keys[order]
    pairs = np.flatnonzero(in_order[1:] == in_order[:-1])
    repeated = np.zeros(len(keys), dtype=np.bool_)
    repeated[order[pairs]] = True
    repeated[order[pairs + 1]] = True
    return repeated


def _known(events: Candidates, asked: Flags, originals: dict[EventKey, list[_Original]]) -> Flags:
    known = np.zeros(len(events), dtype=np.bool_)
    known[asked] = [key in originals for key in events.keys(asked)]
    return known


def _collect(found: SeenEvents, originals: dict[EventKey, list[_Original]]) -> None:
    for campaign_id, event_id, event_time_us, time_ms, fingerprint in zip(
        found.campaign_id,
        found.event_id,
        found.event_time_us,
        found.times_ms,
        found.fingerprint.tolist(),
        strict=True,
    ):
        original = _Original(int(time_ms), int(event_time_us), fingerprint)
        originals.setdefault((int(campaign_id), event_id), []).append(original)


_Key = TypeVar("_Key")


def _in_pieces(keys: Sequence[_Key]) -> Iterator[Sequence[_Key]]:
    """Each key once, as many at a time as the store takes."""
    distinct = list(dict.fromkeys(keys))
    for start in range(0, len(distinct), _LOOKUP_KEYS):
        yield distinct[start : start + _LOOKUP_KEYS]
