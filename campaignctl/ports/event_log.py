"""The event log: the only road into analytics.

Terms, used the same way by every adapter and caller:

- a *topic* has an *incarnation* (a UUID made when the topic is created: a topic that is deleted and created again is
  another one) and a fixed number of *partitions*, numbered from 0;
- an *offset* numbers the records of one partition from 0, rising, possibly with gaps;
- a *committed offset* is always the offset of the **next** record to read, never of the last one read;
- a *watermark* ``end`` is the offset that the next record will get, ``start`` the oldest offset still kept;
- ``time_ms`` is the time at which the log took the record (log-append time, epoch milliseconds), never the producer's;
  it never falls within a partition, also when the machine's clock jumps back.

Durability: when ``produce`` returns, the records survive ``kill -9`` of every process. All calls are synchronous and
may be made from several threads; one ``Consumer`` belongs to one thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be."""

    name: str
    partitions: int
    retention_ms: int
    """Records older than this may be removed; -1 keeps them for ever."""
    max_record_bytes: int
    """The largest value the topic takes."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is."""

    name: str
    incarnation: str
    """UUID text, lower-case, made when the topic was created."""
    partitions: int
    retention_ms: int
    max_record_bytes: int
    keeps_all: bool = True
    """False where an older record of a key makes way for a newer one (a compacted topic)."""
    has_log_time: bool = True
    """False where records carry the time that their producer claims, against this port's promise."""


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be produced."""

    key: bytes | None
    """``partition=None`` places it by murmur2 of the key as Kafka's own producers do (``partition_for_key``)."""
    value: bytes
    headers: Headers = ()
    partition: int | None = None
    """The partition to place it in, whatever the key."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of one partition, column by column (all sequences are of one length)."""

    partition: int
    offsets: Sequence[int]
    times_ms: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    headers: Sequence[Headers]
    """``()`` for a record without headers."""
    next_offset: int
    """The consumer's position after this batch: everything below it has been read, also where offsets have gaps."""


@dataclass(frozen=True, slots=True)
class Position:
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Committed:
    """What a group has committed for a partition: the next offset to read and the text committed with it."""

    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Watermarks:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Partitions gained and lost since the last poll, and every record batch read in it."""

    gained: Mapping[int, Committed | None] = field(default_factory=dict)
    """Newly owned partitions with what the group had committed (None: the group never committed there)."""
    lost: frozenset[int] = frozenset()
    batches: Sequence[RecordBatch] = ()


class Consumer(Protocol):
    """A member of a consumer group on one topic.

    Ownership is fenced: each time a partition gets an owner its epoch rises, and a commit under an older epoch raises
    ``Fenced``. After ``Fenced`` nothing of that partition may be written; the partition shows up in ``lost``.
    ``seek``, ``commit``, ``pause`` and ``resume`` of a partition that is not owned raise ``Fenced`` too.
    """

    def poll(self, max_records: int, timeout_s: float, /) -> Assignment:
        """Wait up to ``timeout_s`` for records of the owned partitions; also keeps the membership alive.

        Gains and losses are answered at once; a partition that was lost and owned again is in ``lost`` first and in
        ``gained`` at a later poll, never in both. A gained partition delivers nothing before ``seek`` was called.
        Fewer than ``max_records`` may come although more are there: what is held in memory is bounded.
        """
        ...

    def seek(self, partition: int, offset: int, /) -> None:
        """Read on from ``offset``. Outside the watermarks each poll raises ``OffsetLost`` until the next seek."""
        ...

    def commit(self, partition: int, offset: int, metadata: str, /) -> None:
        """Durably record the next offset to read and ``metadata`` (at most 4,095 bytes); raises ``Fenced``.

        The offset may be lower than the last one: a replay is the caller's to decide.
        """
        ...

    def committed(self, partition: int, /) -> Committed | None:
        """What the group has committed, of an owned partition or any other."""
        ...

    def pause(self, partition: int, /) -> None:
        """Deliver nothing of the partition until ``resume``; membership is kept."""
        ...

    def resume(self, partition: int, /) -> None: ...

    def close(self) -> None:
        """Leave the group at once, so that others can take over."""
        ...


class OffsetLost(Exception):
    """The offset to read from is not in the log (never reset silently): retention has overtaken the group, or the log
    ends before it, being an older one.
    """

    def __init__(self, topic: str, partition: int, wanted: int, start: int) -> None:
        super().__init__(f"{topic}[{partition}]: offset {wanted} is not in the log, the oldest kept is {start}")
        self.topic, self.partition, self.wanted, self.start = topic, partition, wanted, start


class EventLog(Protocol):
    """But for ``topic``, whatever is asked of a topic that is not there is ``Unavailable`` (code ``topic_missing``)."""

    def ensure_topic(self, spec: TopicSpec, /) -> Topic:
        """Create the topic unless it is there; answers it as it is (a difference is the caller's to report)."""
        ...

    def topic(self, name: str, /) -> Topic | None: ...

    def produce(self, topic: str, records: Sequence[NewRecord], /) -> list[Position]:
        """Append all records, in order, durably; answers where each went. Raises ``Unavailable`` or ``TooLarge``.

        A record with neither key nor partition goes to any. After ``Unavailable`` the records may be there or not.
        """
        ...

    def consumer(self, topic: str, group: str, /) -> Consumer: ...

    def committed(self, topic: str, group: str, /) -> dict[int, Committed]:
        """What the group has committed, by partition, read without joining it."""
        ...

    def watermarks(self, topic: str, /) -> dict[int, Watermarks]: ...

    def read(self, topic: str, partition: int, start: int, max_records: int, /) -> RecordBatch:
        """Records from ``start`` on, without a group: for listings and verification. Raises ``OffsetLost``.

        Fewer than ``max_records`` may come although more are there, but one at least: the end is where ``next_offset``
        is the end watermark.
        """
        ...

    def delete_before(self, topic: str, partition: int, offset: int, /) -> None:
        """Remove the partition's records below ``offset`` for good; the start watermark rises to it.

        Nothing happens where they are gone already; an offset above the end is ``InvalidInput``.
        """
        ...

    def close(self) -> None: ...
