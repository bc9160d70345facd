"""Topics of a Kafka cluster: looking them up, making them, and how far their partitions reach."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition, Uuid

# The stubs of the admin client name half of what it has.
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from campaignctl.adapters.event_log.kafka_config import ClientConfig
from campaignctl.adapters.event_log.kafka_errors import (
    MISSING_TOPIC,
    closed,
    kafka_error,
    making_a_client,
    never_answered,
    timed_out,
    translated,
)
from campaignctl.adapters.event_log.kafka_records import closed_within
from campaignctl.adapters.event_log.topics import check_least, missing_topic
from campaignctl.errors import InvalidInput, Unavailable
from campaignctl.ports.event_log import Topic, TopicSpec, Watermarks

HEADROOM_BYTES = 65_536
"""Kafka's ``max.message.bytes`` bounds a batch with keys, headers and framing; ours bounds a value. This is between."""

_SETTLING_S = 0.02
_LISTENING_S = 0.05
_RESOURCE = ConfigResource.Type.TOPIC
_EARLIEST, _LATEST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
_SIXTY_FOUR_BITS = 2**64 - 1

# What the library says when no broker has: it tries again by itself until the time is up.
_SILENCE = frozenset({KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})

# What is said of a partition whose leader has just been chosen or moves.
_LEADER_MOVES = frozenset(
    {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.FENCED_LEADER_EPOCH}
)


class _LeaderMovesError(Exception):
    """Ask again in a moment."""


class KafkaTopics:
    """Questions to the cluster, from any thread. Each is answered, or has failed, within the request time.

    Offsets of groups are not asked for here: the library's admin client ends the whole process when a broker answers
    that one with NOT_COORDINATOR, as it does while a cluster starts.
    """

    def __init__(self, config: ClientConfig, replication_factor: int) -> None:
        self._config = config
        self._replication_factor = replication_factor
        self._timeout_s = config.timeouts.request_s
        self._admin: AdminClient | None = None
        self._lock = threading.Lock()
        self._closed = False

    def find(self, name: str) -> Topic | None:
        """The topic as it is now."""
        doing = f"looking up the topic {name}"
        admin, resource = self._client(), ConfigResource(_RESOURCE, name)
        asked = admin.describe_topics(TopicCollection([name]), request_timeout=self._timeout_s)[name]
        configs = admin.describe_configs([resource], request_timeout=self._timeout_s)[resource]
        try:
            described = self._answer(asked, doing, name)
            settings = self._answer(configs, doing, name)
        except Unavailable as error:
            if error.code == "topic_missing":
                return None
            raise
        return Topic(
            name,
            _incarnation(described.topic_id),
            len(described.partitions),
            int(settings["retention.ms"].value),
            max(int(settings["max.message.bytes"].value) - HEADROOM_BYTES, 1),
            keeps_all="compact" not in settings["cleanup.policy"].value,
            has_log_time=settings["message.timestamp.type"].value == "LogAppendTime",
        )

    def get(self, name: str) -> Topic:
        """The topic as it is now; raises ``Unavailable`` (``topic_missing``)."""
        found = self.find(name)
        if found is None:
            raise missing_topic(name)
        return found

    def ensure(self, spec: TopicSpec) -> Topic:
        _check_spec(spec)
        return self.find(spec.name) or self._create(spec)

    def watermarks(self, topic: Topic, *, committed_only: bool = False) -> dict[int, Watermarks]:
        """By partition; with ``committed_only`` the end is where a reader of committed records stops."""
        level = IsolationLevel.READ_COMMITTED if committed_only else IsolationLevel.READ_UNCOMMITTED
        found: dict[int, Watermarks] = {}

        def ask() -> bool:
            try:
                found.update(self._watermarks(topic, level))
            except _LeaderMovesError:
                return False
            return True

        self._until(ask, f"asking how far the topic {topic.name} reaches")
        return found

    def _watermarks(self, topic: Topic, level: IsolationLevel) -> dict[int, Watermarks]:
        places = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        starts, ends = (self._list_offsets(places, spec, level) for spec in (_EARLIEST, _LATEST))
        doing = f"asking how far the topic {topic.name} reaches"
        return {
            place.partition: Watermarks(
                self._answer(starts[place], doing, topic.name).offset,
                self._answer(ends[place], doing, topic.name).offset,
            )
            for place in places
        }

    def delete(self, name: str) -> None:
        """Remove the topic, and wait until that is known; nothing happens when it is not there."""
        asked = self._client().delete_topics([name], request_timeout=self._timeout_s)[name]
        try:
            self._answer(asked, f"deleting the topic {name}", name)
        except Unavailable as error:
            if error.code != "topic_missing":
                raise
        self._until(lambda: self.find(name) is None, f"deleting the topic {name}")

    def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        """Remove the records below an offset, on every replica."""
        place = TopicPartition(topic.name, partition, offset)
        asked = self._client().delete_records([place], request_timeout=self._timeout_s)[place]
        self._answer(asked, f"removing records of the topic {topic.name}", topic.name)

    def is_same(self, topic: Topic) -> bool:
        """Whether the topic is there and was not made anew."""
        found = self.find(topic.name)
        return found is not None and found.incarnation == topic.incarnation

    def ask_incarnation(self, name: str) -> "Future[Any]":
        """An answer for later: ``incarnation_of`` reads it without waiting."""
        return self._client().describe_topics(TopicCollection([name]), request_timeout=self._timeout_s)[name]

    def close(self) -> None:
        """Ended here and now, not when Python happens to collect it: the library ends the whole process when that
        comes to pass in one of its own threads, and the tracebacks of errors keep clients alive until then.
        """
        self._closed = True
        with self._lock:
            admin, self._admin = self._admin, None
        if admin is not None:
            closed_within(self._timeout_s, partial(admin.__exit__, None, None, None))

    def _create(self, spec: TopicSpec) -> Topic:
        doing = f"making the topic {spec.name}"
        config = {
            "retention.ms": str(spec.retention_ms),
            "max.message.bytes": str(min(spec.max_record_bytes + HEADROOM_BYTES, 2**31 - 1)),
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "delete",
        }
        new = NewTopic(spec.name, spec.partitions, self._replication_factor, config=config)
        asked = self._client().create_topics([new], request_timeout=self._timeout_s)[spec.name]
        try:
            asked.result(self._timeout_s)
        except KafkaException as exception:
            error = kafka_error(exception)
            if error.code() == KafkaError.INVALID_TOPIC_EXCEPTION:  # type: ignore[attr-defined]
                raise InvalidInput.of("name", f"is no topic name: {error.str()}") from exception
            if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # made by another process in this very moment
                raise self._translated(error, doing, spec.name) from exception
        except FutureTimeoutError as error:
            raise self._timed_out(doing) from error
        self._until(lambda: self._is_led(spec.name), doing)
        return self.get(spec.name)

    def _is_led(self, name: str) -> bool:
        """Whether the topic is known and every partition has a leader."""
        asked = self._client().describe_topics(TopicCollection([name]), request_timeout=self._timeout_s)[name]
        try:
            described = self._answer(asked, f"making the topic {name}", name)
        except Unavailable as error:
            if error.code == "topic_missing":
                return False
            raise
        return all(partition.leader is not None for partition in described.partitions)

    def _until(self, done: Callable[[], bool], doing: str) -> None:
        deadline = monotonic() + self._timeout_s
        pause = threading.Event()
        while not done():
            if monotonic() > deadline:
                raise self._timed_out(doing)
            pause.wait(_SETTLING_S)

    def _list_offsets(
        self, places: list[TopicPartition], spec: OffsetSpec, level: IsolationLevel
    ) -> "Mapping[TopicPartition, Future[Any]]":
        return self._client().list_offsets(
            dict.fromkeys(places, spec), isolation_level=level, request_timeout=self._timeout_s
        )

    def _client(self) -> AdminClient:
        with self._lock:
            if self._closed:
                raise closed()
            if self._admin is None:
                with making_a_client():
                    self._admin = AdminClient(self._config.admin())
            self._admin.poll(0)  # hands out what it has to say to the log; its answers come without
            return self._admin

    def _answer(self, asked: "Future[Any]", doing: str, topic: str) -> Any:
        try:
            answer = self._wait(asked, doing)
        except KafkaException as exception:
            error = kafka_error(exception)
            if error.code() in _LEADER_MOVES:
                raise _LeaderMovesError from exception
            raise self._translated(error, doing, topic) from exception
        except FutureTimeoutError as error:
            raise self._timed_out(doing) from error
        self._config.has_answered = True
        return answer

    def _wait(self, asked: "Future[Any]", doing: str) -> Any:
        """The answer; meanwhile the library tells why it cannot have one. Only its own polling has it say so."""
        deadline = monotonic() + self._timeout_s + 1.0  # a little later than the library's own
        while True:
            try:
                return asked.result(_LISTENING_S)
            except FutureTimeoutError:
                self._listen()
                if self._config.is_refused_by_all:
                    raise self._timed_out(doing) from None
                if monotonic() > deadline:
                    raise

    def _listen(self) -> None:
        with self._lock:
            if self._admin is not None:
                self._admin.poll(0)

    def _translated(self, error: KafkaError, doing: str, topic: str) -> Exception:
        self._listen()
        if error.code() in _SILENCE and not self._config.has_answered:
            return self._timed_out(doing)
        return translated(error, doing, topic=topic, complaint=self._config.last_complaint)

    def _timed_out(self, doing: str) -> Exception:
        config = self._config
        if not config.has_answered:
            return config.wrong_setting() or never_answered(config.brokers, self._timeout_s, config.last_complaint)
        return timed_out(doing, self._timeout_s, self._config.last_complaint)


def incarnation_of(asked: "Future[Any]") -> str | None:
    """The incarnation in a finished answer; empty when the topic is gone, None when the question itself failed."""
    try:
        return _incarnation(asked.result(0).topic_id)
    except KafkaException as exception:
        return "" if kafka_error(exception).code() in MISSING_TOPIC else None


def _incarnation(topic_id: Uuid) -> str:
    """Kafka's topic id as UUID text; Kafka itself writes it in base 64."""
    high = topic_id.get_most_significant_bits()  # type: ignore[attr-defined]
    low = topic_id.get_least_significant_bits()  # type: ignore[attr-defined]
    return str(UUID(int=(high & _SIXTY_FOUR_BITS) << 64 | low & _SIXTY_FOUR_BITS))


def _check_spec(spec: TopicSpec) -> None:
    if not spec.name:
        raise InvalidInput.of("name", "must not be empty")
    check_least("partitions", spec.partitions, 1)
    check_least("retention_ms", spec.retention_ms, -1)
    check_least("max_record_bytes", spec.max_record_bytes, 1)
