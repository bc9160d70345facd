"""A member of a Kafka consumer group.

The broker fences members, not partitions: a commit of a member that has lost a partition and joined again is accepted,
for any partition. So ownership is kept here: an ``Owned`` is one incarnation of it, made when a gain is told to the
caller and dropped in the very callback that takes the partition away. Polling, those callbacks and commits share one
lock, so no commit of an old incarnation can slip in after the member has joined again.

All partitions are paused in the library from the assignment on until ``seek``.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from campaignctl.adapters.event_log.kafka_config import ClientConfig, logger
from campaignctl.adapters.event_log.kafka_errors import (
    FENCING,
    MISSING_TOPIC,
    closed,
    kafka_error,
    making_a_client,
    timed_out,
    translated,
)
from campaignctl.adapters.event_log.kafka_fetch import OUT_OF_LOG, Fetching, Owned
from campaignctl.adapters.event_log.kafka_records import call_within, closed_within
from campaignctl.adapters.event_log.kafka_topics import KafkaTopics, incarnation_of
from campaignctl.adapters.event_log.topics import check_least, missing_topic
from campaignctl.errors import CampaignctlError, Fenced, InvalidInput, TooLarge, Unavailable
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import Assignment, Committed, Consumer, Topic

MAX_METADATA_BYTES = 4_095

# A rebalance does not wake a waiting poll of the library, so that it waits no longer than this at a time.
_SLICE_S = 0.05
# A fenced commit is followed by a rebalance; a partition that stays assigned all the same is given back after this.
_REGAIN_AFTER_S = 1.0
_LOOK_AT_TOPIC_EVERY_S = 5.0
# Where another process has taken over this one's instance id, coming back would only take it from that one again.
_TAKEN_OVER_RETRY_S = 10.0


class KafkaConsumer:
    """See ``campaignctl.ports.event_log.Consumer``.

    With an instance id, ``close`` does not give the partitions to others at once: they wait for the same id to come
    back until the session time is over.
    """

    def __init__(self, topic: Topic, group: str, config: ClientConfig, topics: KafkaTopics, clock: Clock) -> None:
        self._topic = topic
        self._group = group
        self._config = config
        self._topics = topics
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._assigned: set[int] = set()
        self._lost: set[int] = set()
        self._regain_at_s: dict[int, float] = {}
        self._failure: CampaignctlError | None = None
        """What ends this membership for good."""
        self._is_stuck = False
        self._asked: Future[Any] | None = None
        self._ask_at_s = clock.monotonic_s() + _LOOK_AT_TOPIC_EVERY_S
        with making_a_client():
            self._client = Client(config.member(group))
        self._fetching = Fetching(self._client, topic.name, config.timeouts.request_s)
        self._client.subscribe(
            [topic.name], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, max_records: int, timeout_s: float, /) -> Assignment:
        """Gains and losses are answered at once and without records; a loss comes before a gain."""
        check_least("max_records", max_records, 1)
        deadline = monotonic() + timeout_s
        while True:
            left_s = max(deadline - monotonic(), 0.0)
            with self._lock:
                self._require_open()
                try:
                    found = self._turn(max_records, min(left_s, _SLICE_S))
                    if found is None and monotonic() >= deadline:
                        found = self._fetching.gaps_passed()
                except KafkaException as exception:
                    raise self._translated(kafka_error(exception), "reading") from exception
            if found is not None:
                return found

    def _turn(self, max_records: int, wait_s: float) -> Assignment | None:
        if not self._is_stuck:
            for message in self._fetching.serve(max_records, wait_s, self._has_news):
                self._note(message)
        return self._membership_change() or self._fetching.next_records(max_records)

    def seek(self, partition: int, offset: int, /) -> None:
        check_least("offset", offset, 0)
        with self._lock:
            self._fetching.seek(self._own(partition), offset)

    def commit(self, partition: int, offset: int, metadata: str, /) -> None:
        """Raises ``Unavailable`` when a broker did not answer: whether it is committed is unknown then."""
        check_least("offset", offset, 0)
        _check_metadata(metadata)
        with self._lock:
            self._require_open()
            self._own(partition)
            timeout_s = self._config.timeouts.request_s
            place = TopicPartition(self._topic.name, partition, offset, metadata)
            try:
                results = call_within(timeout_s, lambda: self._client.commit(offsets=[place], asynchronous=False))
                error = results[0].error
            except KafkaException as exception:
                error = kafka_error(exception)
            except TimeoutError as exception:
                raise self._stuck(timeout_s) from exception
            if error is not None:
                raise self._refused(partition, error)

    def committed(self, partition: int, /) -> Committed | None:
        with self._lock:
            self._require_open()
            return self._commits([partition])[partition]

    def pause(self, partition: int, /) -> None:
        with self._lock:
            self._fetching.pause(partition, self._own(partition))

    def resume(self, partition: int, /) -> None:
        with self._lock:
            self._fetching.resume(partition, self._own(partition))

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Leave the group. Safe to call twice, and from another thread; bounded by the request time."""
        if self._closed:
            return
        self._closed = True  # a poll under way in another thread ends with its slice
        timeout_s = self._config.timeouts.request_s
        if not self._lock.acquire(timeout=timeout_s):
            logger.warning("a consumer of the group %s is still busy; it leaves when its session ends", self._group)
            return
        try:
            self._fetching.owned.clear()
            # A commit that is stuck would keep it waiting for nothing.
            if not closed_within(0 if self._is_stuck else timeout_s, self._client.close):
                logger.warning("brokers do not answer; the group %s learns later that a consumer left", self._group)
        finally:
            self._lock.release()

    # Called by the library inside poll, hence under the lock

    def _on_assign(self, client: Client, partitions: list[TopicPartition]) -> None:
        if self._closed:
            return
        self._forget(self._assigned | set(self._fetching.owned))
        self._assigned = {place.partition for place in partitions}
        self._regain_at_s.clear()
        client.assign([TopicPartition(self._topic.name, partition, 0) for partition in self._assigned])
        client.pause([self._fetching.place(partition) for partition in self._assigned])

    def _on_revoke(self, client: Client, partitions: list[TopicPartition]) -> None:
        if self._closed:
            return
        self._forget({place.partition for place in partitions})
        client.unassign()

    def _on_lost(self, client: Client, partitions: list[TopicPartition]) -> None:
        logger.warning("the group %s gave this consumer's partitions of %s away", self._group, self._topic.name)
        self._on_revoke(client, partitions)

    def _forget(self, partitions: set[int]) -> None:
        self._assigned -= partitions
        for partition in partitions & set(self._fetching.owned):
            del self._fetching.owned[partition]
            self._lost.add(partition)

    # Under the lock

    def _has_news(self) -> bool:
        return bool(self._lost or self._failure is not None or self._fresh())

    def _note(self, message: Message) -> None:
        """Take in what the library says between records; what is not noted here heals by itself."""
        error = message.error()
        assert error is not None  # noqa: S101 - only errors come here
        code, partition = error.code(), message.partition()
        if code in OUT_OF_LOG and partition is not None:
            if partition in self._fetching.owned:
                self._fetching.lose(partition, self._fetching.owned[partition])
        elif code in MISSING_TOPIC:
            self._failure = missing_topic(self._topic.name)
        elif code == KafkaError.FENCED_INSTANCE_ID:
            self._failure = self._taken_over()
        elif error.fatal() or not error.retriable():
            logger.warning("the group %s: %s", self._group, error.str())
            if error.fatal() or code in {KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED}:
                self._failure = self._translated(error, "reading")

    def _membership_change(self) -> Assignment | None:
        if self._failure is not None:
            self._forget(set(self._fetching.owned))
        if self._lost:
            lost, self._lost = frozenset(self._lost), set()
            return Assignment(lost=lost)
        if self._failure is not None:
            raise self._failure
        fresh = self._fresh()
        self._look_at_topic(now=bool(fresh))
        if not fresh:
            return None
        commits = self._commits(fresh)  # this member's generation owns them: nobody else can commit from now on
        for partition in fresh:
            self._fetching.owned[partition] = Owned()
            self._regain_at_s.pop(partition, None)
        return Assignment(gained=commits)

    def _fresh(self) -> list[int]:
        """Partitions that are assigned and were not told yet."""
        now_s = self._clock.monotonic_s()
        return sorted(
            p for p in self._assigned if p not in self._fetching.owned and self._regain_at_s.get(p, 0.0) <= now_s
        )

    def _look_at_topic(self, *, now: bool) -> None:
        """Raise ``Unavailable`` when the topic was deleted or made anew: its offsets are other records then."""
        if now:
            if not self._topics.is_same(self._topic):
                self._end(missing_topic(self._topic.name))
            return
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            incarnation = incarnation_of(asked)
            if incarnation is not None and incarnation != self._topic.incarnation:
                self._end(missing_topic(self._topic.name))
        elif self._asked is None and self._clock.monotonic_s() >= self._ask_at_s:
            self._ask_at_s = self._clock.monotonic_s() + _LOOK_AT_TOPIC_EVERY_S
            self._asked = self._topics.ask_incarnation(self._topic.name)

    def _end(self, failure: CampaignctlError) -> None:
        self._failure = failure
        self._forget(set(self._fetching.owned))
        raise failure

    def _commits(self, partitions: Sequence[int]) -> dict[int, Committed | None]:
        places = [self._fetching.place(partition) for partition in partitions]
        try:
            answers = self._client.committed(places, self._config.timeouts.request_s)
        except KafkaException as exception:
            raise self._translated(kafka_error(exception), "asking for committed offsets") from exception
        for answer in answers:
            if answer.error is not None:
                raise self._translated(answer.error, "asking for committed offsets")
        return {answer.partition: committed_of(answer) for answer in answers}

    def _refused(self, partition: int, error: KafkaError) -> CampaignctlError:
        """A refused commit: ``Fenced``, and the partition is lost, when this member is none any more."""
        if error.code() == KafkaError.OFFSET_METADATA_TOO_LARGE:
            return TooLarge("The metadata of a commit is larger than offset.metadata.max.bytes of the brokers.")
        if error.code() not in FENCING:
            return self._translated(error, "committing")
        if error.code() == KafkaError.FENCED_INSTANCE_ID:
            self._failure = self._taken_over()
        del self._fetching.owned[partition]
        self._lost.add(partition)
        self._regain_at_s[partition] = self._clock.monotonic_s() + _REGAIN_AFTER_S
        with suppress(KafkaException):  # not assigned any more
            self._client.pause([self._fetching.place(partition)])
        return self._fenced(partition)

    def _stuck(self, timeout_s: float) -> Unavailable:
        """A commit that may arrive at any later time ends the membership, so that it cannot overtake a newer one.

        Nothing is asked of this client again: while a commit is on its way the library lets other calls wait, too.
        """
        self._is_stuck = True
        self._forget(self._assigned | set(self._fetching.owned))
        self._failure = timed_out(f"committing (group {self._group})", timeout_s, self._config.last_complaint)
        return self._failure

    def _taken_over(self) -> Unavailable:
        return Unavailable(
            f"Another process has joined the group {self._group} under this one's instance id.",
            service="event_log",
            retry_after_s=_TAKEN_OVER_RETRY_S,
            hint="Give every process an instance id of its own, or none.",
        )

    def _own(self, partition: int) -> Owned:
        owned = self._fetching.owned.get(partition)
        if owned is None:
            raise self._fenced(partition)
        return owned

    def _fenced(self, partition: int) -> Fenced:
        return Fenced(f"{self._topic.name}[{partition}] no longer belongs to this member of the group {self._group}.")

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic.name, partition)

    def _require_open(self) -> None:
        if self._closed:
            raise closed()
        if self._is_stuck and self._failure is not None and not self._lost:
            raise self._failure

    def _translated(self, error: KafkaError, doing: str) -> CampaignctlError:
        return translated(
            error,
            f"{doing} (topic {self._topic.name}, group {self._group})",
            topic=self._topic.name,
            complaint=self._config.last_complaint,
        )


def committed_of(answer: TopicPartition) -> Committed | None:
    return None if answer.offset < 0 else Committed(answer.offset, answer.metadata or "")


def _check_metadata(metadata: str) -> None:
    try:
        size = len(metadata.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput.of("metadata", "must be Unicode text") from error
    if size > MAX_METADATA_BYTES:
        raise TooLarge(f"The metadata of a commit has {size} bytes; at most {MAX_METADATA_BYTES} are taken.")


if TYPE_CHECKING:

    def _conforms(adapter: KafkaConsumer) -> Consumer:
        return adapter
