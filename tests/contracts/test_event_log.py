"""Every event log, against the contract: the embedded one always, Kafka where ``CA_TEST_KAFKA_BROKERS`` names brokers."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import EventLog, Topic, TopicSpec
from tests.contracts.event_log_contract import EventLogContract
from tests.contracts.event_log_harness import Harness, ShiftedClock
from tests.contracts.event_log_process import kafka_timeouts

BROKERS = os.environ.get("CA_TEST_KAFKA_BROKERS", "")
SESSION_TIMEOUT_S = 6.0


class EmbeddedHarness:
    kind = "embedded"
    dead_takeover_s = 5.0
    silent_takeover_s = 30.0
    writes_whole_calls = True

    def __init__(self, directory: Path) -> None:
        self.place = str(directory / "event_log.sqlite")
        self.clock = ShiftedClock()
        self.opened: list[EmbeddedEventLog] = []

    def open(self) -> EmbeddedEventLog:
        log = EmbeddedEventLog(Path(self.place), self.clock, max_poll_interval_s=0)
        self.opened.append(log)
        return log

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def jump(self, seconds: float) -> None:
        self.clock.jump(seconds)

    def expire(self, log: EventLog) -> None:
        assert isinstance(log, EmbeddedEventLog)
        log.apply_retention()

    def delete_topic(self, log: EventLog, name: str) -> None:
        assert isinstance(log, EmbeddedEventLog)
        log.delete_topic(name)

    def close(self) -> None:
        for log in self.opened:
            log.close()


class KafkaHarness:
    kind = "kafka"
    dead_takeover_s = 15.0  # a dead process is known by its silence only: see open_log of event_log_process
    silent_takeover_s = 20.0
    writes_whole_calls = False

    def __init__(self, _directory: Path) -> None:
        if not BROKERS:
            pytest.skip("CA_TEST_KAFKA_BROKERS names no brokers")
        self.place = BROKERS
        self.opened: list[_TidyKafkaLog] = []

    def open(self) -> KafkaEventLog:
        log = _TidyKafkaLog(BROKERS.split(","), SystemClock(), timeouts=kafka_timeouts(SESSION_TIMEOUT_S))
        self.opened.append(log)
        return log

    def advance(self, seconds: float) -> None:
        pytest.skip("brokers have clocks of their own, which a test cannot move")

    def jump(self, seconds: float) -> None:
        pytest.skip("brokers have clocks of their own, which a test cannot move")

    def expire(self, log: EventLog) -> None:
        pytest.skip("brokers apply retention when they like: every 5 minutes, to whole segments")

    def delete_topic(self, log: EventLog, name: str) -> None:
        assert isinstance(log, KafkaEventLog)
        log.delete_topic(name)

    def close(self) -> None:
        made = set().union(*(log.made for log in self.opened))
        for log in self.opened:
            log.close()
        tidy = KafkaEventLog(BROKERS.split(","), SystemClock())
        for name in made:
            with suppress(Unavailable):
                tidy.delete_topic(name)
        tidy.close()


class _TidyKafkaLog(KafkaEventLog):
    """Knows which topics it made, so that a test leaves nothing behind."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.made: set[str] = set()

    def ensure_topic(self, spec: TopicSpec, /) -> Topic:
        self.made.add(spec.name)
        return super().ensure_topic(spec)


_OWN_THREADS = "a Kafka consumer joins and stays in its group by threads of its own; test_kafka stops whole processes"
NOT_FOR_KAFKA = {
    "test_a_silent_member_is_fenced_and_comes_back": _OWN_THREADS,
    "test_ownership_that_went_and_came_back_is_another": _OWN_THREADS,
    "test_random_interleavings_agree_with_a_model": "Kafka fetches and deals out partitions in its own time: a poll of"
    " 0 s promises nothing; test_kafka has them with patience",
}


@pytest.fixture(
    params=[pytest.param(EmbeddedHarness, marks=pytest.mark.embedded), KafkaHarness], ids=lambda kind: kind.kind
)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    if request.param is KafkaHarness and request.node.originalname in NOT_FOR_KAFKA:
        pytest.skip(NOT_FOR_KAFKA[request.node.originalname])
    made = request.param(tmp_path)
    yield made
    made.close()


class TestEventLog(EventLogContract):
    """See ``EventLogContract``."""
