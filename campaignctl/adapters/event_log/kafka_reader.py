"""Reading a Kafka topic, and what groups have committed, without being a member of any group."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from campaignctl.adapters.event_log.kafka_config import ClientConfig
from campaignctl.adapters.event_log.kafka_consumer import committed_of
from campaignctl.adapters.event_log.kafka_errors import (
    FENCING,
    closed,
    kafka_error,
    making_a_client,
    timed_out,
    translated,
)
from campaignctl.adapters.event_log.kafka_fetch import OUT_OF_LOG
from campaignctl.adapters.event_log.kafka_records import closed_within, record_batch
from campaignctl.ports.event_log import Committed, OffsetLost, RecordBatch, Topic, Watermarks

# Required by the library, and never heard of by a broker.
_NO_GROUP = "campaignctl-reader"
# It reads what is there, so that a long poll would only keep the next place waiting.
_READING = {"fetch.wait.max.ms": 5}
# Of a partition that is asked for one record the library would fetch 32 MiB: half a CPU-second for four partitions.
_ONE_RECORD = {"fetch.message.max.bytes": 16_384, "queued.min.messages": 1, "queued.max.messages.kbytes": 64}
_SLICE_S = 0.05


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the reader stands."""

    incarnation: str
    partition: int
    offset: int


class KafkaReader:
    """One consumer that is assigned by hand, used by one thread at a time.

    ``is_ahead``: it fetches what lies behind the records that were asked for, as who reads on wants; else no more than
    the one batch of the log in which they lie.
    """

    def __init__(self, config: ClientConfig, *, is_ahead: bool) -> None:
        self._config = config
        self._is_ahead = is_ahead
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._place: _Place | None = None
        self._closed = False

    def read(self, topic: Topic, partition: int, start: int, max_records: int, kept: Watermarks) -> RecordBatch:
        """Records from ``start`` on, at least one: ``start`` is inside what is ``kept`` of committed records."""
        doing = f"reading the topic {topic.name}"
        deadline = monotonic() + self._config.timeouts.request_s
        with self._lock:
            client = self._opened()
            try:
                batch = self._read(client, topic, partition, start, max_records, kept, deadline)
            except KafkaException as exception:
                self._leave(client)
                error = kafka_error(exception)
                if error.code() in OUT_OF_LOG:  # retention went on just now
                    raise OffsetLost(topic.name, partition, start, kept.start) from exception
                raise translated(error, doing, topic=topic.name, complaint=self._config.last_complaint) from exception
            except BaseException:
                self._leave(client)
                raise
            # Who reads a topic from one end to the other asks for the next records at once: they are on their way.
            self._place = _Place(topic.incarnation, partition, batch.next_offset)
            if batch.next_offset >= kept.end or not self._is_ahead:
                self._leave(client)
            return batch

    def _read(
        self,
        client: Client,
        topic: Topic,
        partition: int,
        start: int,
        max_records: int,
        kept: Watermarks,
        deadline: float,
    ) -> RecordBatch:
        place = TopicPartition(topic.name, partition, start)
        if self._place != _Place(topic.incarnation, partition, start):
            client.assign([place])
        messages: list[Message] = []
        position = start
        while not messages and position < kept.end:
            messages = client.consume(max_records, 0)
            if not messages:
                first = client.poll(_SLICE_S)
                more = client.consume(max_records - 1, 0) if first is not None and max_records > 1 else []
                messages = [first, *more] if first is not None else []
            messages = _without_errors(messages)
            position = max(client.position([place])[0].offset, start)
            if not messages and monotonic() > deadline:
                timeout_s = self._config.timeouts.request_s
                raise timed_out(f"reading the topic {topic.name}", timeout_s, self._config.last_complaint)
        last = messages[-1].offset() if messages else None
        return record_batch(partition, messages, max(position, start if last is None else last + 1))

    def close(self) -> None:
        """Safe to call twice."""
        self._closed = True
        timeout_s = self._config.timeouts.request_s
        if self._lock.acquire(timeout=timeout_s):
            try:
                client, self._client = self._client, None
                if client is not None:
                    closed_within(timeout_s, client.close)
            finally:
                self._lock.release()

    def _opened(self) -> Client:
        if self._closed:
            raise closed()
        if self._client is None:
            with making_a_client():
                settings = _READING if self._is_ahead else _READING | _ONE_RECORD
                self._client = Client(self._config.reader(_NO_GROUP) | settings)
        return self._client

    def _leave(self, client: Client) -> None:
        self._place = None
        with suppress(KafkaException):
            client.unassign()


class KafkaGroups:
    """What groups have committed, asked without joining them: one consumer a group, which never subscribes."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._observers: dict[str, _Observer] = {}
        self._closed = False

    def committed(self, topic: Topic, group: str) -> dict[int, Committed]:
        with self._lock:
            if self._closed:
                raise closed()
            if group not in self._observers:
                self._observers[group] = _Observer(self._config, group)
            observer = self._observers[group]
        return observer.committed(topic)

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._closed = True
            observers, self._observers = list(self._observers.values()), {}
        for observer in observers:
            observer.close()


class _Observer:
    def __init__(self, config: ClientConfig, group: str) -> None:
        self._config = config
        self._group = group
        self._lock = threading.Lock()
        self._closed = False
        with making_a_client():
            self._client = Client(config.reader(group))

    def committed(self, topic: Topic) -> dict[int, Committed]:
        doing = f"asking for the committed offsets of the group {self._group}"
        places = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        with self._lock:
            if self._closed:
                raise closed()
            self._client.poll(0)  # hands out what it has to say to the log
            try:
                answers = self._client.committed(places, self._config.timeouts.request_s)
            except KafkaException as exception:
                raise self._translated(kafka_error(exception), doing, topic.name) from exception
        for answer in answers:
            if answer.error is not None and answer.error.code() not in FENCING:
                raise self._translated(answer.error, doing, topic.name)
        found = {answer.partition: committed_of(answer) for answer in answers}
        return {partition: committed for partition, committed in found.items() if committed is not None}

    def close(self) -> None:
        timeout_s = self._config.timeouts.request_s
        self._closed = True
        if self._lock.acquire(timeout=timeout_s):
            try:
                closed_within(timeout_s, self._client.close)
            finally:
                self._lock.release()

    def _translated(self, error: KafkaError, doing: str, topic: str) -> Exception:
        return translated(error, doing, topic=topic, complaint=self._config.last_complaint)


def _without_errors(messages: list[Message]) -> list[Message]:
    """Raises the first error that does not heal by itself."""
    for message in messages:
        error = message.error()
        if error is not None and not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:
            raise KafkaException(error)
    return [message for message in messages if message.error() is None]
