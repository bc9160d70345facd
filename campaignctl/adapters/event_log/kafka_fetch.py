"""Reading the partitions that a member of a Kafka group owns: where to read on, what was fetched, what was given out.

Records that were fetched lie in one queue of the library, in the order of their arrival. They are sorted by partition
here, so that a long partition does not keep the others waiting.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from campaignctl.adapters.event_log.kafka_errors import kafka_error
from campaignctl.adapters.event_log.kafka_records import Records, record_batch
from campaignctl.ports.event_log import Assignment, OffsetLost

# So many records are taken from the library ahead of the caller, to be fair; it holds them in memory anyway.
_LEAST_AHEAD_RECORDS = 10_000
# But no more than so many at once, which become columns while they are in the processor's cache: 0.5 us of CPU a record
# less than with 10,000.
_AT_ONCE = 500
_RETRY_SEEK_S = 0.005
OUT_OF_LOG = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION})

_error, _partition = Message.error, Message.partition


@dataclass(slots=True, eq=False)
class Owned:
    """One incarnation of owning a partition: made when a gain is told to the caller, dropped when it is lost."""

    seek_to: int | None = None
    """Where to read on, when the library has not been told yet."""
    position: int | None = None
    """Everything below was given to the caller since the seek; None before the library was told."""
    paused: bool = False
    lost: OffsetLost | None = None
    fetched: Records = field(default_factory=Records)


class Fetching:
    """Every method is called under the consumer's lock; library errors leave as ``KafkaException``."""

    def __init__(self, client: Client, topic: str, timeout_s: float) -> None:
        self._client = client
        self._topic = topic
        self._timeout_s = timeout_s
        self._turn = 0
        self.owned: dict[int, Owned] = {}

    def place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)

    def seek(self, owned: Owned, offset: int) -> None:
        owned.seek_to, owned.position, owned.lost = offset, None, None
        owned.fetched.clear()

    def pause(self, partition: int, owned: Owned) -> None:
        if not owned.paused:
            owned.paused = True
            self._client.pause([self.place(partition)])

    def resume(self, partition: int, owned: Owned) -> None:
        if owned.paused:
            owned.paused = False
            if owned.position is not None:
                self._client.resume([self.place(partition)])

    def lose(self, partition: int, wanted_by: Owned) -> None:
        """The library has said that the offset is not in the log; it reads nothing more until the next seek."""
        if wanted_by.position is not None:
            wanted_by.lost = OffsetLost(self._topic, partition, wanted_by.position, -1)

    def serve(self, max_records: int, wait_s: float, has_news: Callable[[], bool]) -> list[Message]:
        """Let the library work, and take over what it has fetched; answers the messages that are errors.

        Waits only when there is nothing to deliver and no news of another kind.
        """
        seeks_wait = self._apply_seeks()
        ahead = sum(len(owned.fetched) for owned in self.owned.values())
        room = max(max(max_records, _LEAST_AHEAD_RECORDS) - ahead, 1)
        errors, taken = self._take_over(room)
        if not taken and wait_s > 0 and not self._can_deliver() and not has_news():
            first = self._client.poll(_RETRY_SEEK_S if seeks_wait else wait_s)
            if first is not None:
                errors = [*self._sort([first]), *self._take_over(room)[0]]
        return errors

    def _take_over(self, room: int) -> tuple[list[Message], int]:
        """So much at most of what the library has fetched: the messages that are errors, and how many there were."""
        errors: list[Message] = []
        taken = 0
        while taken < room:
            messages = self._client.consume(min(room - taken, _AT_ONCE), 0)
            if not messages:
                break
            taken += len(messages)
            errors += self._sort(messages)
        return errors, taken

    def _can_deliver(self) -> bool:
        return any(not owned.paused and (owned.fetched or owned.lost) for owned in self.owned.values())

    def _apply_seeks(self) -> bool:
        """Tell the library where to read on; answers whether any of it has to be told again."""
        sought: list[int] = []
        waiting = False
        for partition, owned in self.owned.items():
            if owned.seek_to is None:
                continue
            try:
                self._client.seek(TopicPartition(self._topic, partition, owned.seek_to))
            except KafkaException as exception:
                if kafka_error(exception).code() != KafkaError._STATE:  # the assignment is not at work yet
                    raise
                waiting = True
            else:
                owned.position, owned.seek_to = owned.seek_to, None
                if not owned.paused:
                    sought.append(partition)
        if sought:
            self._client.resume([self.place(partition) for partition in sought])
        return waiting

    def _sort(self, messages: list[Message]) -> list[Message]:
        errors: list[Message] = []
        if any(map(_error, messages)):
            errors = [message for message in messages if message.error() is not None]
            messages = [message for message in messages if message.error() is None]
        for partition, run in groupby(messages, _partition):
            owned = self.owned.get(partition)  # type: ignore[arg-type]  # None only in errors
            if owned is not None and owned.position is not None:
                owned.fetched.add(list(run))
        return errors

    def next_records(self, max_records: int) -> Assignment | None:
        """What can be given out, None when there is nothing. Raises ``OffsetLost``."""
        ready: dict[int, Owned] = {}
        for partition, owned in self.owned.items():
            if owned.paused:
                continue
            if owned.lost is not None:
                raise self._with_start(owned, owned.lost)
            if owned.fetched:
                ready[partition] = owned
        if not ready:
            return None
        shares = self._shares(ready, max_records)
        given = {partition: ready[partition].fetched.take(partition, count) for partition, count in shares.items()}
        positions = self._positions([partition for partition in given if not ready[partition].fetched])
        batches = []
        for partition, batch in given.items():
            next_offset = max(batch.next_offset, positions.get(partition, 0))
            ready[partition].position = next_offset
            batches.append(replace(batch, next_offset=next_offset))
        return Assignment(batches=batches)

    def _shares(self, ready: Mapping[int, Owned], total: int) -> dict[int, int]:
        """Equal parts of ``total``; what a partition cannot fill goes to the others, another one first each time."""
        partitions = sorted(ready)
        self._turn = (self._turn + 1) % len(partitions)
        partitions = partitions[self._turn :] + partitions[: self._turn]
        share = max(total // len(partitions), 1)
        shares: dict[int, int] = {}
        for partition in partitions:
            shares[partition] = min(len(ready[partition].fetched), share, total)
            total -= shares[partition]
        for partition in partitions:
            more = min(len(ready[partition].fetched) - shares[partition], total)
            shares[partition] += more
            total -= more
        return {partition: count for partition, count in shares.items() if count}

    def gaps_passed(self) -> Assignment:
        """Offsets that hold no records (ends of transactions, what was aborted) are passed without any."""
        reading = [p for p, owned in self.owned.items() if owned.position is not None and not owned.paused]
        batches = []
        for partition, position in self._positions(reading).items():
            owned = self.owned[partition]
            if position > (owned.position or 0) and not owned.fetched and owned.lost is None:
                owned.position = position
                batches.append(record_batch(partition, [], position))
        return Assignment(batches=batches) if batches else Assignment()

    def _positions(self, partitions: Sequence[int]) -> dict[int, int]:
        """Where the library stands: behind the records it has handed out and the gaps after them."""
        if not partitions:
            return {}
        places = self._client.position([self.place(partition) for partition in partitions])
        return {place.partition: place.offset for place in places if place.offset >= 0}

    def _with_start(self, owned: Owned, lost: OffsetLost) -> OffsetLost:
        """The same, with the oldest offset kept; asked for once."""
        if lost.start < 0:
            marks = self._client.get_watermark_offsets(self.place(lost.partition), timeout=self._timeout_s)
            start = marks[0] if marks else 0  # type: ignore[redundant-expr]  # None when the time is up
            lost = owned.lost = OffsetLost(lost.topic, lost.partition, lost.wanted, start)
        return OffsetLost(lost.topic, lost.partition, lost.wanted, lost.start)
