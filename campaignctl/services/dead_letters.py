"""Reading the dead-letter topic: what was refused, and why.

A dead letter may lie there twice: a worker that was cut off between producing it and saying so, and lost its partition,
is repeated by another one. Both name the same record of the log, so every listing here shows and counts it once.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from campaignctl.domain.dead_letters import DeadLetter, FromLog, read_letter
from campaignctl.ports.event_log import EventLog, OffsetLost, RecordBatch, Watermarks

_READ_AT_ONCE = 1_000
# Backwards, a stretch of records is held until the last of them has been shown. Its length follows their size.
_FIRST_STRETCH, _LONGEST_STRETCH = 64, 1_024
_FULL_STRETCH_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter and where it lies."""

    partition: int
    offset: int
    time_ms: int
    """When the dead-letter topic took it."""
    letter: DeadLetter

    @property
    def id(self) -> str:
        """``partition-offset`` in the dead-letter topic."""
        return f"{self.partition}-{self.offset}"


@dataclass(slots=True)
class _Seen:
    """The records of the log whose letters have come up: offsets by topic incarnation and partition."""

    offsets: dict[tuple[str, int], set[int]] = field(default_factory=dict)

    def is_new(self, letter: DeadLetter) -> bool:
        """Whether the letter's record has not come up before; it has from now on."""
        if not isinstance(letter.origin, FromLog):
            return True
        known = self.offsets.setdefault((letter.origin.incarnation, letter.origin.partition), set())
        if letter.origin.offset in known:
            return False
        known.add(letter.origin.offset)
        return True


class DeadLetters:
    def __init__(self, event_log: EventLog, *, topic: str) -> None:
        self._event_log = event_log
        self.topic = topic

    def kept(self) -> dict[int, Watermarks]:
        """How far each partition of the dead-letter topic reaches."""
        return self._event_log.watermarks(self.topic)

    def incarnation(self) -> str:
        """Of the dead-letter topic: ids begin again in one that is made anew."""
        topic = self._event_log.topic(self.topic)
        return topic.incarnation if topic is not None else ""

    def all(self) -> Iterator[StoredLetter]:
        """Every dead letter that is kept now, by partition of the dead-letter topic and age, each once."""
        for partition, kept in sorted(self.kept().items()):
            yield from self.of_partition(partition, kept.start, kept.end)

    def count_by_reason(self) -> dict[str, int]:
        """How many dead letters are kept of each reason code."""
        return dict(Counter(stored.letter.code for stored in self.all()))

    def of_partition(self, partition: int, start: int, end: int) -> Iterator[StoredLetter]:
        """The letters at ``start <= offset < end`` of one partition, oldest first, each once."""
        seen = _Seen()
        for records in self._read(partition, start, end):
            yield from (one for one in _letters(records, end) if seen.is_new(one.letter))

    def newest_first(self, ends: Mapping[int, int]) -> Iterator[StoredLetter]:
        """The letters below an offset in each partition, newest first; a few of each partition are held in memory.

        A letter that lies there twice is shown once, where its copies lie as close together as they come about.
        """
        kept, seen = self.kept(), _Seen()
        for partition, end in ends.items():  # what was shown on the page before
            if partition in kept and end < kept[partition].end:
                for records in self._read(partition, end, min(end + _FIRST_STRETCH, kept[partition].end)):
                    for shown in _letters(records, end + _FIRST_STRETCH):
                        seen.is_new(shown.letter)
        partitions = [
            self._backwards(number, marks.start, min(ends.get(number, marks.end), marks.end))
            for number, marks in kept.items()
        ]
        merged = heapq.merge(*partitions, key=lambda one: (one.time_ms, one.partition, one.offset), reverse=True)
        yield from (stored for stored in merged if seen.is_new(stored.letter))

    def find(self, letter_id: str) -> StoredLetter | None:
        """The letter of that id; None when it is not kept (any more), or when the text is no id."""
        place = parse_letter_id(letter_id)
        kept = self.kept()
        if place is None or place[0] not in kept or not kept[place[0]].start <= place[1] < kept[place[0]].end:
            return None
        try:
            records = self._event_log.read(self.topic, *place, 1)
        except OffsetLost:  # retention went on just now
            return None
        return next((one for one in _letters(records, place[1] + 1) if one.offset == place[1]), None)

    def _backwards(self, partition: int, start: int, end: int) -> Iterator[StoredLetter]:
        length = _FIRST_STRETCH
        while start < end:
            first = max(start, end - length)
            stretch: list[StoredLetter] = []
            for records in self._read(partition, first, end):
                stretch += _letters(records, end)
            yield from reversed(stretch)
            full = sum(len(one.letter.value) for one in stretch) > _FULL_STRETCH_BYTES
            length = max(length // 4, 1) if full else min(2 * length, _LONGEST_STRETCH)
            end = first

    def _read(self, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
        while start < end:
            try:
                records = self._event_log.read(self.topic, partition, start, min(end - start, _READ_AT_ONCE))
            except OffsetLost as lost:  # retention went on while this was reading
                if lost.start <= start:
                    return  # the topic was made anew just now
                start = lost.start
                continue
            yield records
            start = max(records.next_offset, start + 1)


def parse_letter_id(text: str) -> tuple[int, int] | None:
    """Partition and offset that an id names; None when it is none."""
    partition, dash, offset = text.partition("-")
    if not dash or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in (partition, offset)):
        return None
    return int(partition), int(offset)


def _letters(records: RecordBatch, end: int) -> Iterator[StoredLetter]:
    """The letters among the records below ``end``; other programs' records are passed over."""
    for offset, time_ms, value, headers in zip(
        records.offsets, records.times_ms, records.values, records.headers, strict=True
    ):
        letter = read_letter(value, headers) if offset < end else None
        if letter is not None:
            yield StoredLetter(records.partition, offset, time_ms, letter)
