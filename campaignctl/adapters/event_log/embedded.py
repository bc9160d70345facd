"""The embedded event log: one SQLite file in place of a Kafka cluster, for one machine.

Records lie in chunks (``chunks.py``), groups settle themselves (``membership.py``), threads share commits
(``log_file.py``). Differences from Kafka, all within the port: offsets have no gaps; retention is by time only and is
applied when asked for; consumers of other processes hear of new records within 25 ms.

One process or many may use the file at once, on one machine and on a file system with shared memory (no network share).
A log must not be carried across ``fork``.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from campaignctl.adapters.event_log.chunks import Chunk, encode_chunks
from campaignctl.adapters.event_log.embedded_consumer import EmbeddedConsumer
from campaignctl.adapters.event_log.log_file import QUERIES, Connection, LogFile
from campaignctl.adapters.event_log.membership import Group
from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.adapters.event_log.topics import (
    MAX_READ_BYTES,
    TopicRow,
    all_topics,
    append,
    check_least,
    create_topic,
    delete_before,
    delete_topic,
    expire,
    find_topic,
    missing_topic,
    read_records,
)
from campaignctl.errors import InvalidInput, TooLarge, Unavailable
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import (
    Committed,
    EventLog,
    NewRecord,
    OffsetLost,
    Position,
    RecordBatch,
    Topic,
    TopicSpec,
    Watermarks,
)

SESSION_TIMEOUT_S = 10.0
MAX_POLL_INTERVAL_S = 60.0
BUSY_TIMEOUT_S = 10.0
# Key and headers count apart from the value, so that a dead letter fits whatever was said about it.
MAX_KEY_AND_HEADERS_BYTES = 1_048_576

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Bounds of one housekeeping transaction, so that producers never wait long for it: 64 MiB each.
_EXPIRE_CHUNKS_AT_ONCE = 64
_RELEASE_PAGES_AT_ONCE = 4_096


class EmbeddedEventLog:
    """See ``campaignctl.ports.event_log.EventLog``; opens or creates the file, whose directory must be there.

    A member of a group that is silent for ``session_timeout_s`` loses its partitions; one whose process has died loses
    them at once. Between polls heartbeats keep it a member for ``max_poll_interval_s`` (0: no heartbeats, the calls of
    its consumer alone keep the lease). A write waits ``busy_timeout_s`` for other processes, then is ``Unavailable``.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        session_timeout_s: float = SESSION_TIMEOUT_S,
        max_poll_interval_s: float = MAX_POLL_INTERVAL_S,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self._clock = clock
        self._session_timeout_s = session_timeout_s
        self._file = LogFile(path, busy_timeout_s)
        self._reader = self._file.connect()
        self._reader_lock = threading.Lock()
        self._topics: dict[str, TopicRow] = {}
        self._keyless = count()
        self._consumers: WeakSet[EmbeddedConsumer] = WeakSet()
        self._heartbeats = _Heartbeats(self._file, clock, self._consumers, session_timeout_s / 4, max_poll_interval_s)

    def ensure_topic(self, spec: TopicSpec, /) -> Topic:
        _check_spec(spec)
        return self._find(spec.name) or self._file.write(lambda c: create_topic(c, spec)).topic

    def topic(self, name: str, /) -> Topic | None:
        return self._find(name)

    def delete_topic(self, name: str) -> None:
        """Remove the topic with its records and groups; nothing happens when it is not there."""
        with self._reader_lock, self._file.reading(self._reader) as connection:
            found = find_topic(connection, name)
        if found is not None:
            self._file.write(lambda c: delete_topic(c, found.id))
            self._topics.pop(name, None)

    def produce(self, topic: str, records: Sequence[NewRecord], /) -> list[Position]:
        if not records:
            return []
        for fresh in (False, True):
            row = self._known(topic, fresh=fresh)
            partitions = self._place(row.topic, records)
            firsts = self._append(row, records, partitions)
            if firsts is not None:
                return _positions(partitions, firsts)
        raise missing_topic(topic)  # deleted in this very moment

    def consumer(self, topic: str, group: str, /) -> EmbeddedConsumer:
        group_rows = Group(self._known(topic, fresh=True), group)
        consumer = EmbeddedConsumer(self._file, group_rows, self._clock, self._session_timeout_s)
        self._consumers.add(consumer)
        self._heartbeats.start()
        return consumer

    def committed(self, topic: str, group: str, /) -> dict[int, Committed]:
        row = self._known(topic, fresh=True)
        with self._reader_lock, self._file.reading(self._reader) as connection:
            return Group(row, group).commits(connection)

    def watermarks(self, topic: str, /) -> dict[int, Watermarks]:
        row = self._known(topic, fresh=True)
        with self._reader_lock, self._file.reading(self._reader) as connection:
            rows = connection.execute(QUERIES["partitions"], {"topic_id": row.id})
            return {r["partition"]: Watermarks(r["start_offset"], r["next_offset"]) for r in rows}

    def read(self, topic: str, partition: int, start: int, max_records: int, /) -> RecordBatch:
        row = self._known(topic, fresh=True)
        _check_partition(row.topic, partition)
        check_least("start", start, 0)
        check_least("max_records", max_records, 1)
        with self._reader_lock, self._file.reading(self._reader) as connection:
            kept = connection.execute(QUERIES["partition"], {"topic_id": row.id, "partition": partition}).fetchone()
            if kept is not None and start < kept["start_offset"]:
                raise OffsetLost(topic, partition, start, kept["start_offset"])
            return read_records(connection, row, partition, start, max_records, MAX_READ_BYTES)

    def delete_before(self, topic: str, partition: int, offset: int, /) -> None:
        row = self._known(topic, fresh=True)
        _check_partition(row.topic, partition)
        check_least("offset", offset, 0)
        self._file.write(lambda c: delete_before(c, row, partition, offset))
        self._file.release_free_pages(_RELEASE_PAGES_AT_ONCE)

    def apply_retention(self) -> int:
        """Remove records older than their topic's retention: by time only, read or not, as Kafka does.

        Answers how many records were removed; the start watermarks rise past them.
        """
        with self._reader_lock, self._file.reading(self._reader) as connection:
            rows = all_topics(connection)
        removed = 0
        for row in rows:
            if row.topic.retention_ms >= 0:
                before_ms = self._now_ms() - row.topic.retention_ms
                removed += sum(self._expire(row, p, before_ms) for p in range(row.topic.partitions))
        if removed:
            self._file.release_free_pages(_RELEASE_PAGES_AT_ONCE)
        return removed

    def close(self) -> None:
        """Close all consumers, then the file. Safe to call twice."""
        self._heartbeats.stop()
        for consumer in list(self._consumers):
            consumer.close()
        with self._reader_lock, self._file.errors():
            self._reader.close()
        self._file.close()

    def _expire(self, row: TopicRow, partition: int, before_ms: int) -> int:
        removed = 0
        while True:
            records, chunks = self._file.write(lambda c: expire(c, row, partition, before_ms, _EXPIRE_CHUNKS_AT_ONCE))
            removed += records
            if chunks < _EXPIRE_CHUNKS_AT_ONCE:
                return removed

    def _find(self, name: str) -> Topic | None:
        with self._reader_lock, self._file.reading(self._reader) as connection:
            row = find_topic(connection, name)
        return None if row is None else row.topic

    def _known(self, name: str, *, fresh: bool = False) -> TopicRow:
        """The topic, as last seen unless ``fresh``; raises ``Unavailable`` when there is none."""
        row = None if fresh else self._topics.get(name)
        if row is None:
            with self._reader_lock, self._file.reading(self._reader) as connection:
                row = find_topic(connection, name)
            if row is None:
                raise missing_topic(name)
            self._topics[name] = row
        return row

    def _place(self, topic: Topic, records: Sequence[NewRecord]) -> list[int]:
        """The partition of each record; raises ``TooLarge`` or ``InvalidInput``."""
        placed: list[int] = []
        for record in records:
            if len(record.value) > topic.max_record_bytes:
                raise _too_large(topic, len(placed), len(record.value))
            if record.headers or len(record.key or b"") > MAX_KEY_AND_HEADERS_BYTES:
                _check_key_and_headers(topic, record, len(placed))
            if record.partition is not None:
                _check_partition(topic, record.partition)
                placed.append(record.partition)
            elif record.key is not None:
                placed.append(partition_for_key(record.key, topic.partitions))
            else:
                placed.append(next(self._keyless) % topic.partitions)
        return placed

    def _append(self, row: TopicRow, records: Sequence[NewRecord], partitions: Sequence[int]) -> dict[int, int] | None:
        """Write the records; answers the first offset in each partition, or None when the topic is gone."""
        runs: dict[int, list[NewRecord]] = {}
        for record, partition in zip(records, partitions, strict=True):
            runs.setdefault(partition, []).append(record)
        chunks = {partition: encode_chunks(run) for partition, run in runs.items()}
        return self._file.write(lambda c: self._append_chunks(c, row, chunks))

    def _append_chunks(
        self, connection: Connection, row: TopicRow, chunks: dict[int, list[Chunk]]
    ) -> dict[int, int] | None:
        now_ms = self._now_ms()
        firsts: dict[int, int] = {}
        for partition, run in chunks.items():
            first = append(connection, row, partition, run, now_ms)
            if first is None:
                return None
            firsts[partition] = first
        return firsts

    def _now_ms(self) -> int:
        return (self._clock.now() - _EPOCH) // _MILLISECOND


class _Heartbeats:
    """A thread that keeps the leases of consumers that are busy between two polls."""

    def __init__(
        self,
        file: LogFile,
        clock: Clock,
        consumers: "WeakSet[EmbeddedConsumer]",
        every_s: float,
        max_poll_interval_s: float,
    ) -> None:
        self._file = file
        self._clock = clock
        self._consumers = consumers
        self._every_s = every_s
        self._max_poll_interval_s = max_poll_interval_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None and self._max_poll_interval_s > 0:
            self._thread = threading.Thread(target=self._run, name="event-log-heartbeats", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            kept = [consumer.member_to_keep(self._max_poll_interval_s) for consumer in list(self._consumers)]
            self._renew([member_id for member_id in kept if member_id is not None])

    def _renew(self, members: Sequence[int]) -> None:
        def renew(connection: Connection) -> None:
            now_s = self._clock.monotonic_s()
            for member_id in members:
                connection.execute(QUERIES["renew_lease"], {"id": member_id, "heartbeat_s": now_s})

        if members:
            with suppress(Unavailable):  # locked or full just now: three more tries before the leases run out
                self._file.write(renew)


def _positions(partitions: Sequence[int], firsts: dict[int, int]) -> list[Position]:
    counters = {partition: count(first) for partition, first in firsts.items()}
    return [Position(partition, next(counters[partition])) for partition in partitions]


def _check_spec(spec: TopicSpec) -> None:
    if not spec.name:
        raise InvalidInput.of("name", "must not be empty")
    check_least("partitions", spec.partitions, 1)
    check_least("retention_ms", spec.retention_ms, -1)
    check_least("max_record_bytes", spec.max_record_bytes, 1)


def _check_partition(topic: Topic, partition: int) -> None:
    if not 0 <= partition < topic.partitions:
        raise InvalidInput.of("partition", f"must be from 0 to {topic.partitions - 1} in the topic {topic.name}")


def _check_key_and_headers(topic: Topic, record: NewRecord, index: int) -> None:
    try:
        size = len(record.key or b"") + sum(len(name.encode()) + len(value) for name, value in record.headers)
    except UnicodeEncodeError as error:
        raise InvalidInput.of("headers", f"the name of a header of record {index} is no Unicode text") from error
    if size > MAX_KEY_AND_HEADERS_BYTES:
        raise TooLarge(
            f"Record {index} for the topic {topic.name} has {size} bytes of key and headers;"
            f" at most {MAX_KEY_AND_HEADERS_BYTES} are taken."
        )


def _too_large(topic: Topic, index: int, size: int) -> TooLarge:
    return TooLarge(
        f"Record {index} for the topic {topic.name} has {size} bytes; at most {topic.max_record_bytes} are taken."
    )


if TYPE_CHECKING:

    def _conforms(adapter: EmbeddedEventLog) -> EventLog:
        return adapter
