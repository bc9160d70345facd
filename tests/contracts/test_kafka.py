"""What only a Kafka cluster can show: other programs' records, rebalances, processes that stop, brokers that freeze or die.

``CA_TEST_KAFKA_BROKERS`` names the brokers; without it everything here is skipped. The last tests also need
``CA_TEST_SERVICES``, the program that freezes and kills the broker.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from hypothesis import HealthCheck, Phase, given, settings

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.adapters.event_log.kafka_config import KafkaTimeouts
from campaignctl.errors import Fenced, Unavailable
from campaignctl.ports.event_log import Assignment, Committed, Consumer, NewRecord, OffsetLost, TopicSpec
from tests.contracts.event_log_harness import another_process, gain, gain_and_seek, poll_until, records, take, values_of
from tests.contracts.event_log_interleavings import STEPS, Interleaving
from tests.contracts.test_event_log import BROKERS, KafkaHarness

SERVICES = os.environ.get("CA_TEST_SERVICES", "")
QUICK = KafkaTimeouts(session_s=6.0, max_poll_interval_s=20.0, request_s=2.0, delivery_s=4.0)
_PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(not BROKERS, reason="CA_TEST_KAFKA_BROKERS names no brokers")
needs_services = pytest.mark.skipif(not SERVICES, reason="CA_TEST_SERVICES names no program that freezes the broker")


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[KafkaHarness]:
    made = KafkaHarness(tmp_path)
    yield made
    made.close()


@pytest.fixture
def log(harness: KafkaHarness) -> KafkaEventLog:
    return harness.open()


@pytest.fixture
def topic(log: KafkaEventLog) -> Callable[[int], str]:
    def make(partitions: int) -> str:
        return log.ensure_topic(TopicSpec(f"kafka-{uuid4().hex}", partitions, -1, 2_097_152)).name

    return make


# Other programs' records


def _end_reached(log: KafkaEventLog, name: str, expected: int) -> int:
    """The end of the only partition once it is there: a broker answers a transaction before it writes its mark."""
    deadline = time.monotonic() + 60
    while log.watermarks(name)[0].end < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    end = log.watermarks(name)[0].end
    assert end == expected
    return end


def test_ends_of_transactions_and_what_was_aborted_are_passed(log: KafkaEventLog, topic: Callable[[int], str]) -> None:
    name = topic(1)
    log.produce(name, records(b"before"))
    other = Producer({"bootstrap.servers": BROKERS, "transactional.id": uuid4().hex})
    other.init_transactions(10)
    for end in (other.commit_transaction, other.abort_transaction):
        other.begin_transaction()
        for value in (b"one", b"two", b"three"):
            other.produce(name, value)
        other.flush(10)  # an abort would drop what was not sent yet
        end(10)
    other.close()
    end = _end_reached(log, name, 9)  # seven records and two marks
    consumer = log.consumer(name, "g")
    gain_and_seek(consumer, 1)
    for start, expected in ((0, [b"before", b"one", b"two", b"three"]), (4, []), (2, [b"two", b"three"])):
        consumer.seek(0, start)
        values, position = [], start
        deadline = time.monotonic() + 60
        while position < end and time.monotonic() < deadline:
            for batch in consumer.poll(10, 0.3).batches:
                assert batch.next_offset >= position
                values += batch.values
                position = batch.next_offset
        assert (values, position) == (expected, end)
        batch = log.read(name, 0, start, 10)
        assert list(batch.values) == expected
        assert batch.next_offset == end


def test_a_seek_back_is_never_answered_with_an_older_position(log: KafkaEventLog, topic: Callable[[int], str]) -> None:
    name = topic(1)
    log.produce(name, records(*[b"v"] * 20))
    consumer = log.consumer(name, "g")
    gain_and_seek(consumer, 1)
    take(consumer, 20)
    for start in (3, 17, 0, 19, 20, 5):
        consumer.seek(0, start)
        position = start
        while position < 20:
            for batch in consumer.poll(4, 1.0).batches:
                assert list(batch.offsets) == list(range(position, batch.next_offset))
                position = batch.next_offset
        assert consumer.poll(4, 0) == Assignment()


def test_null_values_and_null_headers_are_empty(log: KafkaEventLog, topic: Callable[[int], str]) -> None:
    name = topic(1)
    other = Producer({"bootstrap.servers": BROKERS})
    other.produce(name, None, key=b"tombstone", headers=[("none", None), ("text", "x")])
    other.flush(10)
    other.close()
    batch = log.read(name, 0, 0, 1)
    assert (batch.keys, batch.values, batch.headers) == ([b"tombstone"], [b""], [(("none", b""), ("text", b"x"))])


# Groups


def test_between_a_loss_and_the_next_gain_nothing_can_be_committed(
    log: KafkaEventLog, harness: KafkaHarness, topic: Callable[[int], str]
) -> None:
    """The broker would take it: the member itself is current again."""
    name = topic(2)
    first = log.consumer(name, "g")
    gain(first, 2)
    second = harness.open().consumer(name, "g")
    joining = threading.Thread(target=lambda: gain(second, 1))
    joining.start()
    assert poll_until(first, lambda polled: bool(polled.lost)).lost == {0, 1}
    time.sleep(0.5)  # the member has joined again by now
    for partition in (0, 1):
        with pytest.raises(Fenced):
            first.commit(partition, 1, "stale")
    assert len(gain(first, 1)) == 1
    joining.join()
    assert log.committed(name, "g") == {}


def test_a_stopped_process_finds_its_partition_taken_also_when_nobody_has_it_any_more(
    log: KafkaEventLog, harness: KafkaHarness, topic: Callable[[int], str]
) -> None:
    name = topic(1)
    with another_process(harness, session_timeout_s=2) as zombie:
        zombie.ask("join", name, "g")
        assert zombie.ask("poll", 15)["gained"] == [0]
        os.kill(zombie.popen.pid, signal.SIGSTOP)
        heir = log.consumer(name, "g")
        gain(heir, 1, harness.silent_takeover_s)
        heir.commit(0, 0, "heir")
        heir.close()
        os.kill(zombie.popen.pid, signal.SIGCONT)
        assert zombie.ask("commit", 0, 1) == "fenced"
        assert zombie.ask("poll", 5)["lost"] == [0]
        assert zombie.ask("poll", 15)["gained"] == [0]
        assert zombie.ask("commit", 0, 0) == "ok"
        assert log.committed(name, "g") == {0: Committed(0, "")}


def test_a_topic_made_anew_ends_its_consumers(log: KafkaEventLog, topic: Callable[[int], str]) -> None:
    name = topic(1)
    log.produce(name, records(b"a"))
    consumer = log.consumer(name, "g")
    gain_and_seek(consumer, 1)
    take(consumer, 1)
    log.delete_topic(name)
    log.ensure_topic(TopicSpec(name, 1, -1, 1_000))
    log.produce(name, records(b"x", b"y", b"z"))
    with pytest.raises(Unavailable) as caught:
        poll_until(consumer, lambda polled: False)
    assert caught.value.code == "topic_missing"
    with pytest.raises(Fenced):
        consumer.commit(0, 3, "")


def test_an_instance_that_comes_back_takes_over_at_once(harness: KafkaHarness, topic: Callable[[int], str]) -> None:
    name = topic(1)
    logs = [KafkaEventLog([BROKERS], SystemClock(), instance_id=f"worker-{name}") for _ in range(2)]
    try:
        first = logs[0].consumer(name, "g")
        gain(first, 1)
        started = time.monotonic()
        second = logs[1].consumer(name, "g")
        gain(second, 1)
        assert time.monotonic() - started < 5.0
        second.commit(0, 0, "mine")
        with pytest.raises((Fenced, Unavailable)):
            first.commit(0, 0, "late")
        assert second.committed(0) == Committed(0, "mine")
    finally:
        for one in logs:
            one.close()


class PatientConsumer:
    """Waits for what a Kafka consumer does in its own time, where a model expects it at once.

    ``is_due`` says whether the model expects records: then it waits for as long as a busy machine may take.
    """

    def __init__(self, consumer: Consumer, is_due: Callable[[], bool]) -> None:
        self._consumer = consumer
        self._is_due = is_due

    def __getattr__(self, name: str) -> object:
        return getattr(self._consumer, name)

    def poll(self, max_records: int, timeout_s: float) -> Assignment:
        patient_until_s = time.monotonic() + _PATIENCE_S
        while True:
            polled = self._consumer.poll(max_records, timeout_s + 1.0)
            if polled.batches or polled.lost or polled.gained:
                return polled
            if not self._is_due() or time.monotonic() > patient_until_s:
                return polled


class PatientInterleaving(Interleaving):
    """One member at a time: with two, the one that is not polled holds up the other for as long as it likes."""

    def poll(self, index: int, max_records: int) -> None:
        for other in list(self.members):
            if other != index:
                self.close(other, 0)
        if index not in self.members:
            super().poll(index, max_records)
            member = self.members[index]
            consumer = PatientConsumer(member.consumer, lambda: bool(self.ready(member)))
            member.consumer = consumer  # type: ignore[assignment]
            while len(member.positions) < len(self.records):
                super().poll(index, max_records)
        super().poll(index, max_records)


def test_random_interleavings_agree_with_a_model(harness: KafkaHarness, log: KafkaEventLog) -> None:
    @settings(
        max_examples=6,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        derandomize=True,
    )
    @given(STEPS)
    def run(steps: list[tuple[str, int, int]]) -> None:
        PatientInterleaving(log).run(steps)

    run()


# Brokers that freeze and die


@contextmanager
def frozen_broker() -> Iterator[None]:
    service("freeze")
    try:
        yield
    finally:
        service("thaw")


def service(verb: str) -> None:
    subprocess.run([SERVICES, verb, "kafka"], check=True, stderr=subprocess.DEVNULL, timeout=90)


def within(limit_s: float, call: Callable[[], object]) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        call()
    assert caught.value.service == "event_log"
    assert time.monotonic() - started < limit_s


@pytest.mark.faults
@needs_services
def test_a_frozen_broker_hangs_nothing(harness: KafkaHarness, log: KafkaEventLog, topic: Callable[[int], str]) -> None:
    name = topic(1)
    log.produce(name, records(b"a"))
    quick = KafkaEventLog([BROKERS], SystemClock(), timeouts=QUICK)
    consumer = quick.consumer(name, "g")
    gain_and_seek(consumer, 1)
    take(consumer, 1)
    consumer.commit(0, 0, "intent")
    quick.produce(name, records(b"b"))
    with frozen_broker():
        within(4, lambda: consumer.commit(0, 1, "stuck"))
        assert consumer.poll(1, 0).lost == {0}
        within(1, lambda: consumer.poll(1, 0))
        for call in (
            lambda: quick.topic(name),
            lambda: quick.watermarks(name),
            lambda: quick.committed(name, "g"),
            lambda: quick.read(name, 0, 0, 1),
            lambda: quick.consumer(name, "g"),
        ):
            within(5, call)
        within(9, lambda: quick.produce(name, records(b"c")))
    consumer.close()
    heir = quick.consumer(name, "g")
    committed = gain(heir, 1)[0]  # a stuck commit may arrive or not
    assert committed in (Committed(0, "intent"), Committed(1, "stuck"))
    assert values_of([quick.read(name, 0, 0, 2)]) == [b"a", b"b"]
    quick.produce(name, records(b"d"))
    with frozen_broker():
        started = time.monotonic()
        quick.close()
        assert time.monotonic() - started < 15


@pytest.mark.faults
@needs_services
def test_what_was_acknowledged_survives_the_brokers_kill_9(log: KafkaEventLog, topic: Callable[[int], str]) -> None:
    name = topic(2)
    consumer = log.consumer(name, "g")
    gain_and_seek(consumer, 2)
    stopped = threading.Event()
    acknowledged: list[bytes] = []
    failures: list[str] = []

    def produce() -> None:
        number = 0
        while not stopped.is_set():
            values = [f"{number + i}".encode() for i in range(20)]
            try:
                log.produce(name, [NewRecord(value, value) for value in values])
                acknowledged.extend(values)
            except Unavailable as error:
                failures.append(error.message)
            number += 20

    producing = threading.Thread(target=produce)
    producing.start()
    read: set[bytes] = set()
    ends_s = time.monotonic() + 25
    try:
        time.sleep(0.5)
        service("kill")
        service("up")
    finally:
        stopped.set()
        producing.join()
    while not read >= set(acknowledged) and time.monotonic() < ends_s + 25:
        try:
            polled = consumer.poll(1_000, 0.2)
        except (Unavailable, OffsetLost):
            continue
        for batch in polled.batches:
            read |= set(batch.values)
        for partition in polled.gained:
            consumer.seek(partition, 0)
    assert len(acknowledged) > 20
    assert read >= set(acknowledged)
    assert set(map(int, read)) >= {0}
    poll_until(consumer, lambda polled: not polled.lost and not polled.gained)
    consumer.commit(0, 1, "after")
    assert log.committed(name, "g")[0] == Committed(1, "after")
