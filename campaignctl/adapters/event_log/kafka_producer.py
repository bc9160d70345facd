"""Producing to Kafka: one idempotent producer for all threads, and calls that return when everything is durable."""

import threading
from collections.abc import Sequence
from functools import partial
from time import monotonic

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from campaignctl.adapters.event_log.kafka_config import ClientConfig
from campaignctl.adapters.event_log.kafka_errors import closed, kafka_error, making_a_client, timed_out, translated
from campaignctl.adapters.event_log.kafka_records import closed_within
from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import NewRecord, Position

_ANY_PARTITION = -1
_QUEUE_FULL_PAUSE_S = 0.005
_POLL_S = 0.1
# Who waits while another thread takes the answers looks again after this, in case that thread has what it waited for.
_FOLLOWER_WAIT_S = 0.005
# A producer at rest hands out what it has to say to the log.
_IDLE_POLL_S = 1.0
# The library gives up at the delivery time, looking once a second; this is when it is not waited for any longer.
_GRACE_S = 3.0


class KafkaProducer:
    """Safe for many threads. Of those that wait for brokers, one takes the answers for all.

    (A thread of its own for that made a call of 10,000 records three times as slow: the library takes Python's lock
    anew for every single answer, against the threads that are still enqueuing.)
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._timeout_s = config.timeouts.delivery_s
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._closed = False
        self._is_silent = False
        self._scout = threading.Lock()

    def produce(self, topic: str, records: Sequence[NewRecord]) -> list[Position]:
        """As ``_produce``; after brokers did not answer, one call at a time finds out whether they do again."""
        if not self._is_silent:
            return self._noting_silence(topic, records)
        if not self._scout.acquire(blocking=False):
            raise timed_out(f"producing to the topic {topic}", self._timeout_s, self._config.last_complaint)
        try:
            return self._noting_silence(topic, records)
        finally:
            self._scout.release()

    def _noting_silence(self, topic: str, records: Sequence[NewRecord]) -> list[Position]:
        try:
            positions = self._produce(topic, records)
        except Unavailable as error:
            self._is_silent = error.code == Unavailable.code
            raise
        self._is_silent = False
        return positions

    def _produce(self, topic: str, records: Sequence[NewRecord]) -> list[Position]:
        """Append the records, in order; answers their positions when all are durable.

        Raises ``Unavailable`` when any of them is not known to be: some, all or none of them may be there then, and
        those that are may be in any of their partitions. Repeating the call may append them a second time.
        """
        doing = f"producing to the topic {topic}"
        running = self._client()
        delivery = _Delivery(len(records))
        deadline = monotonic() + self._timeout_s + _GRACE_S
        try:
            for index, record in enumerate(records):
                self._enqueue(running, topic, record, partial(delivery.report, index), deadline)
        except KafkaException as exception:
            raise self._failed(kafka_error(exception), doing, topic, running) from exception
        except TimeoutError as error:
            raise timed_out(doing, self._timeout_s, self._config.last_complaint) from error
        if not running.wait(delivery, deadline):
            raise timed_out(doing, self._timeout_s, self._config.last_complaint)
        if delivery.error is not None:
            raise self._failed(delivery.error, doing, topic, running)
        return delivery.positions

    def _enqueue(
        self, running: "_Running", topic: str, record: NewRecord, report: "partial[None]", deadline: float
    ) -> None:
        place = _ANY_PARTITION if record.partition is None else record.partition
        headers: list[tuple[str, str | bytes | None]] | None = list(record.headers) if record.headers else None
        while True:
            try:
                running.producer.produce(topic, record.value, record.key, place, on_delivery=report, headers=headers)
            except BufferError as error:  # its queue is full of what waits for brokers
                if monotonic() > deadline:
                    raise TimeoutError from error
                running.take_answers(_QUEUE_FULL_PAUSE_S)
            else:
                return

    def close(self) -> None:
        """Calls under way are finished first, but not for longer than the request time. Safe to call twice."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is not None:
            running.producer.flush(self._config.timeouts.request_s)
            running.end(self._config.timeouts.request_s)

    def _client(self) -> "_Running":
        with self._lock:
            if self._closed:
                raise closed()
            if self._running is None:
                with making_a_client():
                    self._running = _Running(Producer(self._config.producer()))
            return self._running

    def _failed(self, error: KafkaError, doing: str, topic: str, running: "_Running") -> Exception:
        if error.fatal() or error.code() == KafkaError._FATAL:
            # A producer whose sequence is broken never works again: the next call makes another.
            with self._lock:
                if self._running is running:
                    self._running = None
            threading.Thread(target=running.end, args=(self._timeout_s,), name="kafka-close", daemon=True).start()
        return translated(error, doing, topic=topic, complaint=self._config.last_complaint)


class _Running:
    """A producer, and whose turn it is to take its answers."""

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.stopped = threading.Event()
        self._taking = threading.Lock()
        self._idle = threading.Thread(target=self._look_now_and_then, name="kafka-producer", daemon=True)
        self._idle.start()

    def wait(self, delivery: "_Delivery", deadline: float) -> bool:
        """Until the delivery is done; False when the time is up."""
        while not delivery.done.is_set():
            if monotonic() > deadline:
                return False
            if self._taking.acquire(blocking=False):
                try:
                    while not delivery.done.is_set() and monotonic() <= deadline:
                        self.producer.poll(_POLL_S)
                finally:
                    self._taking.release()
            else:
                delivery.done.wait(_FOLLOWER_WAIT_S)
        return True

    def take_answers(self, wait_s: float) -> None:
        """Unless another thread does, which is waited for as long."""
        if self._taking.acquire(timeout=wait_s):
            try:
                self.producer.poll(wait_s)
            finally:
                self._taking.release()

    def end(self, timeout_s: float) -> None:
        """Give up what is still on its way. Ended here and now, for the reason that ``KafkaTopics.close`` gives."""
        self.stopped.set()
        self._idle.join()
        self.producer.purge()
        closed_within(timeout_s, self.producer.close)

    def _look_now_and_then(self) -> None:
        while not self.stopped.wait(_IDLE_POLL_S):
            self.take_answers(0)


class _Delivery:
    """One call's records on their way. ``report`` is called by one thread at a time."""

    def __init__(self, count: int) -> None:
        self.done = threading.Event()
        self.error: KafkaError | None = None
        self._offsets: list[Position | None] = [None] * count
        self._left = count

    def report(self, index: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.error = self.error or error
        else:
            self._offsets[index] = Position(message.partition() or 0, message.offset() or 0)
        self._left -= 1
        if not self._left:
            self.done.set()

    @property
    def positions(self) -> list[Position]:
        return [position for position in self._offsets if position is not None]
