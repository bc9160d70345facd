"""The event log on Apache Kafka.

Every question to the cluster has a deadline: brokers that are away, frozen or unreachable make a call ``Unavailable``
within ``request_s`` (``delivery_s`` for producing), never hang it. Differences from the embedded log, all within the
port: offsets may have gaps (other programs' transactions); the log's time is the brokers' clocks'; retention is the
brokers' own; a partition's size is bounded by their settings.

Brokers are first spoken to when something is asked; making a log costs nothing. It must be closed, and not be carried
across ``fork``.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from campaignctl.adapters.event_log.kafka_config import ClientConfig, KafkaSecurity, KafkaTimeouts
from campaignctl.adapters.event_log.kafka_consumer import KafkaConsumer
from campaignctl.adapters.event_log.kafka_errors import closed
from campaignctl.adapters.event_log.kafka_producer import KafkaProducer
from campaignctl.adapters.event_log.kafka_reader import KafkaGroups, KafkaReader
from campaignctl.adapters.event_log.kafka_records import record_batch
from campaignctl.adapters.event_log.kafka_topics import HEADROOM_BYTES, KafkaTopics
from campaignctl.adapters.event_log.topics import check_least
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

BROKER_DEFAULT_REPLICATION = -1

# What producing knows of a topic: another process may raise its bounds or add partitions.
_TOPIC_KNOWN_FOR_S = 30.0
# Lengths, offsets and the batch's own header around a record.
_FRAMING_BYTES = 256


class KafkaEventLog:
    """See ``campaignctl.ports.event_log.EventLog``.

    ``brokers`` are ``host:port``, one is enough to find the others. ``instance_id`` names this process for ever, where
    an orchestrator gives it a stable name: it then comes back to its partitions without a rebalance, but others wait
    for it through its session time; two processes must never have the same one. ``replication_factor`` is of topics
    made here. Wrong settings raise ``ConfigurationError``.
    """

    def __init__(
        self,
        brokers: Sequence[str],
        clock: Clock,
        *,
        security: KafkaSecurity | None = None,
        timeouts: KafkaTimeouts | None = None,
        instance_id: str | None = None,
        replication_factor: int = BROKER_DEFAULT_REPLICATION,
    ) -> None:
        self._clock = clock
        self._config = ClientConfig(brokers, security or KafkaSecurity(), timeouts or KafkaTimeouts(), instance_id)
        self._topics = KafkaTopics(self._config, replication_factor)
        self._producer = KafkaProducer(self._config)
        self._reader = KafkaReader(self._config, is_ahead=True)
        self._one_record_reader = KafkaReader(self._config, is_ahead=False)
        self._groups = KafkaGroups(self._config)
        self._consumers: set[KafkaConsumer] = set()
        self._known: dict[str, tuple[float, Topic]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def ensure_topic(self, spec: TopicSpec, /) -> Topic:
        made = self._topics.ensure(spec)
        self._remember(made)
        return made

    def topic(self, name: str, /) -> Topic | None:
        return self._topics.find(name)

    def delete_topic(self, name: str) -> None:
        """Remove the topic with its records; nothing happens when it is not there."""
        self._topics.delete(name)
        self._known.pop(name, None)

    def produce(self, topic: str, records: Sequence[NewRecord], /) -> list[Position]:
        """After ``Unavailable`` any part of the records may be there: those of one call are not taken all or none."""
        if not records:
            return []
        if self._closed:
            raise closed()
        known = self._known_topic(topic)
        for index, record in enumerate(records):
            _check(known, record, index)
        try:
            return self._producer.produce(topic, records)
        except Unavailable as error:
            self._known.pop(topic, None)
            if error.code == "topic_missing" and self._topics.find(topic) is not None:
                raise Unavailable(  # made anew, or a partition without a leader: the next call finds out
                    f"The topic {topic} changed while records were produced to it.", service="event_log"
                ) from error
            raise

    def consumer(self, topic: str, group: str, /) -> KafkaConsumer:
        if self._closed:
            raise closed()
        found = self._topics.get(topic)
        consumer = KafkaConsumer(found, group, self._config, self._topics, self._clock)
        with self._lock:
            self._consumers = {one for one in self._consumers if not one.is_closed}
            self._consumers.add(consumer)
        return consumer

    def committed(self, topic: str, group: str, /) -> dict[int, Committed]:
        return self._groups.committed(self._topics.get(topic), group)

    def watermarks(self, topic: str, /) -> dict[int, Watermarks]:
        return self._topics.watermarks(self._topics.get(topic))

    def read(self, topic: str, partition: int, start: int, max_records: int, /) -> RecordBatch:
        found = self._topics.get(topic)
        _check_partition(found, partition)
        check_least("start", start, 0)
        check_least("max_records", max_records, 1)
        kept = self._topics.watermarks(found, committed_only=True)[partition]
        if start < kept.start:
            raise OffsetLost(topic, partition, start, kept.start)
        if start >= kept.end:
            return record_batch(partition, [], start)
        reader = self._one_record_reader if max_records == 1 else self._reader
        return reader.read(found, partition, start, max_records, kept)

    def delete_before(self, topic: str, partition: int, offset: int, /) -> None:
        found = self._topics.get(topic)
        _check_partition(found, partition)
        check_least("offset", offset, 0)
        kept = self._topics.watermarks(found)[partition]
        if offset > kept.end:
            raise InvalidInput.of("offset", f"must not lie above the end of the partition, {kept.end}")
        if offset > kept.start:
            self._topics.delete_before(found, partition, offset)

    def close(self) -> None:
        """Leave all groups and end all connections, within some request times. Safe to call twice."""
        self._closed = True
        with self._lock:
            consumers, self._consumers = self._consumers, set()
        # All at once: members of one group that leave one by one wait for each other's rebalances.
        leaving = [threading.Thread(target=one.close, name="kafka-leave", daemon=True) for one in consumers]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()
        self._producer.close()
        self._reader.close()
        self._one_record_reader.close()
        self._groups.close()
        self._topics.close()

    def _known_topic(self, name: str) -> Topic:
        now_s = self._clock.monotonic_s()
        known = self._known.get(name)
        if known is not None and now_s - known[0] < _TOPIC_KNOWN_FOR_S:
            return known[1]
        found = self._topics.get(name)
        self._remember(found)
        return found

    def _remember(self, topic: Topic) -> None:
        self._known[topic.name] = (self._clock.monotonic_s(), topic)


def _check(topic: Topic, record: NewRecord, index: int) -> None:
    """Refuse before anything is sent what the brokers would refuse: raises ``TooLarge`` or ``InvalidInput``."""
    if len(record.value) > topic.max_record_bytes:
        raise TooLarge(
            f"Record {index} for the topic {topic.name} has {len(record.value)} bytes;"
            f" at most {topic.max_record_bytes} are taken."
        )
    if record.partition is not None:
        _check_partition(topic, record.partition)
    if record.headers or record.key:
        try:
            size = len(record.key or b"") + sum(len(name.encode()) + len(value) + 10 for name, value in record.headers)
        except UnicodeEncodeError as error:
            raise InvalidInput.of("headers", f"the name of a header of record {index} is no Unicode text") from error
        if size + len(record.value) + _FRAMING_BYTES > topic.max_record_bytes + HEADROOM_BYTES:
            raise TooLarge(
                f"Record {index} for the topic {topic.name} has {size} bytes of key and headers beside its value;"
                f" all of them together may have {topic.max_record_bytes + HEADROOM_BYTES - _FRAMING_BYTES}."
            )


def _check_partition(topic: Topic, partition: int) -> None:
    if not 0 <= partition < topic.partitions:
        raise InvalidInput.of("partition", f"must be from 0 to {topic.partitions - 1} in the topic {topic.name}")


if TYPE_CHECKING:

    def _conforms(adapter: KafkaEventLog) -> EventLog:
        return adapter
