"""Reading the dead-letter topic: what was refused, and why.

A dead letter may lie there twice: a worker that was cut off between producing it and saying so, and lost its partition,
is repeated by another one. Both name the same record of the log, so every listing here shows and counts it once.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from campaignctl.domain.dead_letters import DeadLetter, FromLog, read_letter
from campaignctl.ports.event_log import EventLog, OffsetLost

_READ_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter and where it lies."""

    id: str
    """``partition-offset`` in the dead-letter topic."""
    letter: DeadLetter


class DeadLetters:
    def __init__(self, event_log: EventLog, *, topic: str) -> None:
        self._event_log = event_log
        self._topic = topic

    def all(self) -> Iterator[StoredLetter]:
        """Every dead letter that is kept now, by partition of the dead-letter topic and age, each once."""
        for partition, kept in sorted(self._event_log.watermarks(self._topic).items()):
            yield from self._of_partition(partition, kept.start, kept.end)

    def count_by_reason(self) -> dict[str, int]:
        """How many dead letters are kept of each reason code."""
        return dict(Counter(stored.letter.code for stored in self.all()))

    def _of_partition(self, partition: int, start: int, end: int) -> Iterator[StoredLetter]:
        seen: dict[tuple[str, int], set[int]] = {}  # offsets by topic incarnation and partition
        while start < end:
            try:
                records = self._event_log.read(self._topic, partition, start, _READ_AT_ONCE)
            except OffsetLost as lost:  # retention went on while this was reading
                start = lost.start
                continue
            for offset, value, headers in zip(records.offsets, records.values, records.headers, strict=True):
                letter = read_letter(value, headers)
                if letter is None:
                    continue
                if isinstance(letter.origin, FromLog):
                    offsets = seen.setdefault((letter.origin.incarnation, letter.origin.partition), set())
                    if letter.origin.offset in offsets:
                        continue
                    offsets.add(letter.origin.offset)
                yield StoredLetter(f"{partition}-{offset}", letter)
            start = max(records.next_offset, start + 1)
