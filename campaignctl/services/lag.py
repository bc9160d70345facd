"""How far the workers are behind: what the log holds and the group has not applied, partition by partition.

Read from the log alone, so it is the same for every kind of log, and right also while no worker runs.
"""

from collections import deque
from dataclasses import dataclass
from threading import Lock

from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, OffsetLost

RATE_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class PartitionLag:
    partition: int
    committed: int | None
    """The next offset to apply; None when the group has never committed."""
    end: int
    """The offset that the next record gets."""
    lag_records: int
    lag_s: float
    """The age of the oldest record that is not applied; 0 when there is none."""


@dataclass(frozen=True, slots=True)
class GroupLag:
    topic: str
    group: str
    partitions: tuple[PartitionLag, ...]

    @property
    def lag_records(self) -> int:
        return sum(one.lag_records for one in self.partitions)

    @property
    def lag_s(self) -> float:
        return max((one.lag_s for one in self.partitions), default=0.0)


@dataclass(frozen=True, slots=True)
class Rates:
    """Of the last minute, as far as it was watched; None before there are two looks."""

    window_s: float | None = None
    appended_per_s: float | None = None
    applied_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    appended: int
    applied: int


class LagService:
    """May be used by several threads."""

    def __init__(self, event_log: EventLog, *, topic: str, dead_letter_topic: str, group: str, clock: Clock) -> None:
        self._event_log = event_log
        self._topic = topic
        self._dead_letter_topic = dead_letter_topic
        self._group = group
        self._clock = clock
        self._looks: deque[_Look] = deque()
        self._lock = Lock()

    def lag(self) -> GroupLag:
        """Raises ``Unavailable`` when the log cannot be asked."""
        committed = self._event_log.committed(self._topic, self._group)
        kept = self._event_log.watermarks(self._topic)
        now_ms = self._clock.now().timestamp() * 1_000
        partitions = []
        for number, marks in sorted(kept.items()):
            at = committed[number].offset if number in committed else None
            start = marks.start if at is None else at
            waiting = max(marks.end - start, 0)
            lag_s = self._age_s(number, max(start, marks.start), now_ms) if waiting else 0.0
            partitions.append(PartitionLag(number, at, marks.end, waiting, lag_s))
        return GroupLag(self._topic, self._group, tuple(partitions))

    def dead_letters(self) -> int:
        """How many records the dead-letter topic holds."""
        return sum(marks.end - marks.start for marks in self._event_log.watermarks(self._dead_letter_topic).values())

    def look(self) -> None:
        """Note where log and group are: called about once a second. Raises ``Unavailable``."""
        kept = self._event_log.watermarks(self._topic)
        committed = self._event_log.committed(self._topic, self._group)
        applied = sum(committed[number].offset for number in kept if number in committed)
        look = _Look(self._clock.monotonic_s(), sum(marks.end for marks in kept.values()), applied)
        with self._lock:
            if self._looks and self._looks[-1].appended > look.appended:
                self._looks.clear()  # the topic was made anew
            self._looks.append(look)
            while self._looks[0].at_s < look.at_s - RATE_WINDOW_S:
                self._looks.popleft()

    def rates(self) -> Rates:
        with self._lock:
            if len(self._looks) < 2:
                return Rates()
            first, last = self._looks[0], self._looks[-1]
        window_s = last.at_s - first.at_s
        if window_s <= 0:
            return Rates()
        return Rates(
            window_s, (last.appended - first.appended) / window_s, max(last.applied - first.applied, 0) / window_s
        )

    def _age_s(self, partition: int, offset: int, now_ms: float) -> float:
        try:
            records = self._event_log.read(self._topic, partition, offset, 1)
        except OffsetLost as lost:  # retention went on just now
            records = self._event_log.read(self._topic, partition, lost.start, 1)
        if not records.times_ms:  # only the marks of transactions are left
            return 0.0
        return max(now_ms - records.times_ms[0], 0.0) / 1_000
