"""What the Kafka adapter does without a broker: settings, words for errors, columns, and the library's mock cluster."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer, TopicPartition

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.adapters.event_log.kafka_config import ClientConfig, KafkaSecurity, KafkaTimeouts, LibraryLog
from campaignctl.adapters.event_log.kafka_consumer import KafkaConsumer
from campaignctl.adapters.event_log.kafka_errors import FENCING, translated
from campaignctl.adapters.event_log.kafka_fetch import Fetching, Owned
from campaignctl.adapters.event_log.kafka_records import call_within, closed_within, record_batch
from campaignctl.adapters.event_log.kafka_topics import HEADROOM_BYTES, KafkaTopics
from campaignctl.errors import (
    CampaignctlError,
    ConfigurationError,
    Fenced,
    InvalidInput,
    TooLarge,
    Unavailable,
)
from campaignctl.ports.event_log import Assignment, Committed, NewRecord, OffsetLost, Topic, TopicSpec

SECRET = "correct horse"
QUICK = KafkaTimeouts(session_s=6.0, max_poll_interval_s=10.0, request_s=0.5, delivery_s=1.0)
NOWHERE = "127.0.0.1:1"


def config(security: KafkaSecurity | None = None, instance_id: str | None = None) -> ClientConfig:
    return ClientConfig(["a:9092", "b:9092"], security or KafkaSecurity(), KafkaTimeouts(), instance_id)


# Settings


def test_brokers_are_needed() -> None:
    with pytest.raises(ConfigurationError, match="No Kafka broker"):
        KafkaEventLog([], SystemClock())


def test_a_member_is_set_up_as_the_protocol_needs_it() -> None:
    member = config(instance_id="worker-0").member("g")
    expected = {
        "bootstrap.servers": "a:9092,b:9092",
        "group.id": "g",
        "group.instance.id": "worker-0",
        "group.protocol": "classic",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_667,
        "max.poll.interval.ms": 60_000,
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "fetch.queue.backoff.ms": 10,
    }
    assert {name: member.get(name) for name in expected} == expected
    assert "group.instance.id" not in config().member("g")


def test_the_poll_interval_is_never_shorter_than_the_session() -> None:
    timeouts = KafkaTimeouts(session_s=30.0, max_poll_interval_s=10.0)
    member = ClientConfig(["a:9092"], KafkaSecurity(), timeouts, None).member("g")
    assert member["max.poll.interval.ms"] == member["session.timeout.ms"] == 30_000


def test_a_producer_is_idempotent_and_places_keys_as_java_does() -> None:
    producer = config().producer()
    assert producer["enable.idempotence"] is True
    assert producer["acks"] == "all"
    assert producer["partitioner"] == "murmur2_random"
    assert producer["message.timeout.ms"] == 30_000
    assert producer["batch.size"] < HEADROOM_BYTES  # a batch of several records fits every topic of ours


def test_security_in_the_librarys_words(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    security = KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", "ingest", SECRET, ca_file=ca_file)
    assert security.properties() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ingest",
        "sasl.password": SECRET,
        "ssl.ca.location": str(ca_file),
    }
    assert config(security).producer()["sasl.password"] == SECRET
    assert SECRET not in repr(security)
    assert KafkaSecurity().properties() == {"security.protocol": "PLAINTEXT"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"protocol": "TLS"}, "PLAINTEXT, SSL"),
        ({"protocol": "SASL_SSL", "sasl_mechanism": "GSSAPI"}, "SCRAM-SHA-256"),
        ({"protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "password": SECRET}, "user name"),
        ({"protocol": "SSL", "username": "u", "password": SECRET}, "takes no user name"),
        ({"protocol": "SSL", "cert_file": Path("a.pem")}, "go together"),
        ({"protocol": "SSL", "ca_file": Path("no-such-file.pem")}, "no-such-file.pem is not there"),
    ],
)
def test_wrong_security_is_refused_in_a_sentence(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        KafkaSecurity(**arguments)  # type: ignore[arg-type]
    assert SECRET not in caught.value.message


def test_a_certificate_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("no certificate")
    log = KafkaEventLog([NOWHERE], SystemClock(), security=KafkaSecurity("SSL", ca_file=ca_file), timeouts=QUICK)
    with pytest.raises(ConfigurationError, match="settings cannot work"):
        log.topic("t")
    log.close()


def test_the_library_says_the_same_thing_once(caplog: pytest.LogCaptureFixture) -> None:
    log = LibraryLog()
    with caplog.at_level(logging.DEBUG):
        for client in range(3):
            log.log(logging.ERROR, "%s [%s] %s", "FAIL", f"client-{client}", "refused")
        log.log(logging.WARNING, "%s [%s] %s", "REQTMOUT", "client", "timed out")
    levels = [(record.levelno, record.message.split()[0]) for record in caplog.records]
    assert levels == [
        (logging.WARNING, "FAIL"),
        (logging.DEBUG, "FAIL"),
        (logging.DEBUG, "FAIL"),
        (logging.WARNING, "REQTMOUT"),
    ]


# Errors


@pytest.mark.parametrize(
    ("code", "kind", "product_code"),
    [
        (KafkaError._TRANSPORT, Unavailable, "unavailable"),
        (KafkaError._TIMED_OUT, Unavailable, "unavailable"),
        (KafkaError._WAIT_COORD, Unavailable, "unavailable"),
        (KafkaError.NOT_COORDINATOR, Unavailable, "unavailable"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Unavailable, "topic_missing"),
        (KafkaError._UNKNOWN_TOPIC, Unavailable, "topic_missing"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Unavailable, "unavailable"),
        (KafkaError.MSG_SIZE_TOO_LARGE, TooLarge, "too_large"),
        (KafkaError.INVALID_REPLICATION_FACTOR, ConfigurationError, "configuration"),
    ],
)
def test_errors_in_the_products_words(code: int, kind: type[CampaignctlError], product_code: str) -> None:
    error = translated(KafkaError(code), "reading the topic t", topic="t")
    assert type(error) is kind
    assert error.code == product_code
    if isinstance(error, Unavailable):
        assert error.service == "event_log"


def test_what_brokers_complained_of_is_told() -> None:
    error = translated(KafkaError(KafkaError._TIMED_OUT), "reading", topic="t", complaint="authentication failed")
    assert "authentication failed" in error.message


# Without brokers


def test_brokers_that_are_away_are_unavailable_within_the_time() -> None:
    log = KafkaEventLog([NOWHERE], SystemClock(), timeouts=QUICK)
    calls = (
        lambda: log.topic("t"),
        lambda: log.ensure_topic(TopicSpec("t", 1, -1, 1_000)),
        lambda: log.produce("t", [NewRecord(None, b"v")]),
        lambda: log.consumer("t", "g"),
        lambda: log.committed("t", "g"),
        lambda: log.watermarks("t"),
        lambda: log.read("t", 0, 0, 1),
    )
    try:
        for call in calls:
            started = time.monotonic()
            with pytest.raises(Unavailable) as caught:
                call()
            assert caught.value.service == "event_log"
            assert time.monotonic() - started < 10.0
    finally:
        log.close()
        log.close()
    for call in calls:
        with pytest.raises(Unavailable, match="closed"):
            call()


def test_wrong_topics_are_refused_before_anything_is_asked() -> None:
    log = KafkaEventLog([NOWHERE], SystemClock(), timeouts=QUICK)
    for spec in (
        TopicSpec("", 1, -1, 1),
        TopicSpec("t", 0, -1, 1),
        TopicSpec("t", 1, -2, 1),
        TopicSpec("t", 1, -1, 0),
    ):
        with pytest.raises(InvalidInput):
            log.ensure_topic(spec)
    log.close()


def test_a_call_that_does_not_end_is_left_behind() -> None:
    never = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        call_within(0.05, never.wait)
    assert not closed_within(0.05, never.wait)
    assert time.monotonic() - started < 20.0
    never.set()
    assert call_within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        call_within(5, lambda: 1 / 0)


# Columns and shares


class FakeMessage:
    """What ``record_batch`` asks of a message whose header has a name that is no Unicode text."""

    def __init__(self, headers: list[tuple[str, bytes | None]] | None, *, broken: bool = False) -> None:
        self._headers, self._broken = headers, broken

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        if self._broken:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return self._headers


def test_a_header_that_cannot_be_read_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "campaignctl.adapters.event_log.kafka_records"
    for name, value in (("_offset", 1), ("_key", None), ("_value", b"v"), ("_timestamp", (1, 2))):
        monkeypatch.setattr(f"{module}.{name}", lambda _, value=value: value)
    monkeypatch.setattr(f"{module}._headers", FakeMessage.headers)
    messages = [FakeMessage([("a", b"1"), ("b", None)]), FakeMessage([], broken=True), FakeMessage(None)]
    batch = record_batch(0, messages, 2)  # type: ignore[arg-type]
    assert batch.headers == [(("a", b"1"), ("b", b"")), (), ()]


@pytest.mark.parametrize(
    ("waiting", "total", "expected"),
    [
        ({0: 10, 1: 10}, 10, {0: 5, 1: 5}),
        ({0: 100, 1: 1}, 10, {0: 9, 1: 1}),
        ({0: 100, 1: 100, 2: 100}, 2, 2),
        ({0: 3}, 10, {0: 3}),
    ],
)
def test_shares_are_fair(
    waiting: dict[int, int], total: int, expected: dict[int, int] | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching = Fetching(None, "t", 1.0)  # type: ignore[arg-type]
    ready = {partition: Owned() for partition in waiting}
    for partition, count in waiting.items():
        monkeypatch.setattr(ready[partition], "fetched", range(count))
    shares = fetching._shares(ready, total)
    if isinstance(expected, int):
        assert sum(shares.values()) == expected
        assert set(shares) != set(fetching._shares(ready, total))  # another partition first each time
    else:
        assert shares == expected


# The library's mock cluster: it knows groups and offsets, and neither topic ids nor settings


class MockTopics(KafkaTopics):
    """Answers what the mock cluster cannot: it has one topic, ``t``."""

    def is_same(self, topic: Topic) -> bool:
        return True

    def ask_incarnation(self, name: str):  # type: ignore[no-untyped-def]
        raise AssertionError("no test is that long")


@pytest.fixture
def mock_brokers() -> Iterator[str]:
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"})
    metadata = cluster.list_topics("t", timeout=10)
    broker = next(iter(metadata.brokers.values()))
    yield f"{broker.host}:{broker.port}"
    cluster.close()


@pytest.fixture
def member(mock_brokers: str) -> Iterator[KafkaConsumer]:
    timeouts = KafkaTimeouts(session_s=6.0, max_poll_interval_s=10.0, request_s=3.0)
    settings = ClientConfig([mock_brokers], KafkaSecurity(), timeouts, None)
    topics = MockTopics(settings, 1)
    consumer = KafkaConsumer(Topic("t", "i", 4, -1, 1_000), "g", settings, topics, SystemClock())
    yield consumer
    consumer.close()
    topics.close()


def polled(consumer: KafkaConsumer) -> Assignment:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = consumer.poll(10, 0.2)
        if found != Assignment():
            return found
    raise AssertionError("nothing came")


def test_a_refused_commit_is_fenced_lost_and_gained_again(
    member: KafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gained = polled(member).gained
    assert set(gained) == {0, 1, 2, 3}
    member.commit(1, 5, "intent")
    for code in sorted(FENCING - {KafkaError.FENCED_INSTANCE_ID}):
        refusing = _Refusing(member._client, KafkaError(code))
        monkeypatch.setattr(member, "_client", refusing)
        with pytest.raises(Fenced):
            member.commit(1, 6, "late")
        with pytest.raises(Fenced):
            member.commit(1, 6, "late")
        monkeypatch.undo()
        assert member.poll(10, 0) == Assignment(lost=frozenset({1}))
        assert member.poll(10, 0) == Assignment()
        monkeypatch.setattr(member, "_regain_at_s", {})
        assert polled(member) == Assignment(gained={1: Committed(5, "intent")})
        monkeypatch.undo()
    member.commit(1, 6, "back")
    assert member.committed(1) == Committed(6, "back")


def test_a_commit_without_an_answer_is_unavailable_and_keeps_the_partition(
    member: KafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled(member)
    for code in (KafkaError._WAIT_COORD, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT):
        monkeypatch.setattr(member, "_client", _Refusing(member._client, KafkaError(code)))
        with pytest.raises(Unavailable):
            member.commit(0, 1, "")
        monkeypatch.undo()
    member.commit(0, 1, "again")


def test_an_instance_that_was_taken_over_loses_everything(
    member: KafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled(member)
    error = KafkaError(KafkaError.FENCED_INSTANCE_ID)
    monkeypatch.setattr(member, "_client", _Refusing(member._client, error))
    with pytest.raises(Fenced):
        member.commit(0, 1, "")
    monkeypatch.undo()
    assert member.poll(10, 0).lost == {0, 1, 2, 3}
    with pytest.raises(Unavailable, match="instance id"):
        member.poll(10, 0)


def test_an_offset_outside_the_log_is_lost_until_the_next_seek(member: KafkaConsumer) -> None:
    polled(member)
    member.seek(2, 99)
    for _ in range(2):
        with pytest.raises(OffsetLost) as caught:
            polled(member)
        assert (caught.value.partition, caught.value.wanted, caught.value.start) == (2, 99, 0)
    member.pause(2)
    assert member.poll(10, 0.1) == Assignment()
    member.seek(2, 0)
    member.resume(2)
    assert member.poll(10, 0.1) == Assignment()


class _Refusing:
    """The library's consumer, but for commits."""

    def __init__(self, client: object, error: KafkaError) -> None:
        self._client, self._error = client, error

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> list[TopicPartition]:
        assert asynchronous is False
        place = TopicPartition(offsets[0].topic, offsets[0].partition)
        answered = _Answer(place.partition, self._error)
        return [answered]  # type: ignore[list-item]

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)


class _Answer:
    def __init__(self, partition: int, error: KafkaError) -> None:
        self.partition, self.error = partition, error
