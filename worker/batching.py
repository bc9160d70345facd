"""When to land what has been read: large batches under load, at once when there is nothing more to read."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from campaignctl.ports.event_log import RecordBatch
from campaignctl.services.ingestion import RecordRange
from worker.commands import Command, is_command


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """Per partition. An insert has a fixed price, 10 to 35 ms of CPU: 50 small ones cost as much as a million rows."""

    rows: int = 20_000
    """Land when so many records wait."""
    bytes: int = 33_554_432
    """Land when their values take so much memory."""
    age_s: float = 1.5
    """Land when the oldest has waited so long since it was read."""
    share_of_lag: float = 0.1
    """While catching up: or as long as this part of how long the oldest had lain in the log; nobody notices it then."""
    longest_age_s: float = 5.0
    """But no longer than this, however far behind (or however wrong a clock is)."""
    pause_s: float = 0.2
    """A smaller batch, when the log has no more records, lands no sooner than this after the one before."""

    def due_in_s(self, buffer: "PartitionBuffer", now_s: float, *, drained: bool) -> float:
        """Seconds until the buffer should land; 0 for now, infinity when it is empty."""
        if not len(buffer):
            return float("inf")
        if len(buffer) >= self.rows or buffer.size_bytes >= self.bytes:
            return 0.0
        catching_up_s = min(self.share_of_lag * buffer.lag_s, self.longest_age_s)
        due_s = buffer.oldest_s + max(self.age_s, catching_up_s)
        if drained:
            due_s = min(due_s, buffer.landed_s + self.pause_s)
        return max(due_s - now_s, 0.0)


class PartitionBuffer:
    """Records of one partition that were read and not landed yet, in order; ``start`` is the first offset to read."""

    def __init__(self, partition: int, start: int) -> None:
        self.landed_s = float("-inf")
        """When the last batch was taken."""
        self.oldest_s = 0.0
        """When the first of the waiting records was read."""
        self.lag_s = 0.0
        """How long it had lain in the log by then."""
        self.size_bytes = 0
        self._partition = partition
        self._start = start
        self._batches: list[RecordBatch] = []
        self._commands: list[Command] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def end(self) -> int:
        """Everything below has been read."""
        return self._batches[-1].next_offset if self._batches else self._start

    @property
    def start(self) -> int:
        """Everything below has been taken."""
        return self._start

    @property
    def command(self) -> Command | None:
        """The first of the command records that wait."""
        return self._commands[0] if self._commands else None

    def add(self, batch: RecordBatch, now_s: float, lag_s: float = 0.0) -> None:
        """``lag_s``: how long the first of the batch had lain in the log when it was read."""
        if not self._count:
            self.oldest_s, self.lag_s = now_s, lag_s
        self._batches.append(batch)
        if any(batch.headers):
            places = [place for place, headers in enumerate(batch.headers) if is_command(headers)]
            self._commands += [Command(batch.offsets[n], batch.keys[n], batch.values[n]) for n in places]
        self._count += len(batch.offsets)
        self.size_bytes += sum(map(len, batch.values))

    def take(self, now_s: float, *, end: int | None = None) -> RecordRange:
        """Everything that waits, or only what lies below the offset ``end``."""
        records = _joined(self._partition, self._start, self._batches)
        self._batches, self._commands, self._count, self.size_bytes = [], [], 0, 0
        if end is not None and end < records.next_offset:
            place = bisect_left(records.offsets, end)
            self.add(_cut(records, place, len(records.offsets), records.next_offset), now_s)
            records = _cut(records, 0, place, end)
        batch = RecordRange(self._start, records)
        self._start, self.landed_s = batch.end, now_s
        return batch


def _cut(batch: RecordBatch, first: int, last: int, next_offset: int) -> RecordBatch:
    return RecordBatch(
        batch.partition,
        batch.offsets[first:last],
        batch.times_ms[first:last],
        batch.keys[first:last],
        batch.values[first:last],
        batch.headers[first:last],
        next_offset,
    )


def _joined(partition: int, start: int, batches: Sequence[RecordBatch]) -> RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return RecordBatch(
        partition,
        _joined_offsets([batch.offsets for batch in batches if batch.offsets]),
        list(chain.from_iterable(batch.times_ms for batch in batches)),
        list(chain.from_iterable(batch.keys for batch in batches)),
        list(chain.from_iterable(batch.values for batch in batches)),
        list(chain.from_iterable(batch.headers for batch in batches)),
        batches[-1].next_offset if batches else start,
    )


def _joined_offsets(parts: Sequence[Sequence[int]]) -> Sequence[int]:
    """A range where they have no gaps, which costs the steps to come nothing."""
    if parts and parts[-1][-1] - parts[0][0] == sum(map(len, parts)) - 1:
        return range(parts[0][0], parts[-1][-1] + 1)
    return list(chain.from_iterable(parts))
