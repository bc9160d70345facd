"""How far the workers are behind, read from an embedded log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.ports.event_log import Consumer, NewRecord, TopicSpec
from campaignctl.services.lag import LagService, PartitionLag, Rates
from tests.fakes.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(tmp_path: Path, clock: ManualClock) -> Iterator[EmbeddedEventLog]:
    opened = EmbeddedEventLog(tmp_path / "log.sqlite", clock)
    opened.ensure_topic(TopicSpec("events", 2, -1, 1_000_000))
    opened.ensure_topic(TopicSpec("letters", 1, -1, 1_000_000))
    yield opened
    opened.close()


@pytest.fixture
def lag(log: EmbeddedEventLog, clock: ManualClock) -> LagService:
    return LagService(log, topic="events", dead_letter_topic="letters", group="workers", clock=clock)


def _produce(log: EmbeddedEventLog, partition: int, count: int) -> None:
    log.produce("events", [NewRecord(None, b"x", partition=partition) for _ in range(count)])


def _member(log: EmbeddedEventLog) -> Consumer:
    consumer = log.consumer("events", "workers")
    while not consumer.poll(1, 0.0).gained:
        pass
    return consumer


def test_a_group_that_never_committed_has_all_before_it(
    log: EmbeddedEventLog, lag: LagService, clock: ManualClock
) -> None:
    _produce(log, 1, 3)
    clock.advance(5)
    found = lag.lag()
    assert found.partitions == (PartitionLag(0, None, 0, 0, 0.0), PartitionLag(1, None, 3, 3, 5.0))
    assert (found.lag_records, found.lag_s) == (3, 5.0)


def test_the_oldest_record_that_waits_is_the_age(log: EmbeddedEventLog, lag: LagService, clock: ManualClock) -> None:
    _produce(log, 0, 2)
    clock.advance(10)
    _produce(log, 0, 1)
    clock.advance(1)
    consumer = _member(log)
    consumer.commit(0, 2, "")
    assert lag.lag().partitions[0] == PartitionLag(0, 2, 3, 1, 1.0)
    consumer.commit(0, 3, "")
    assert lag.lag().partitions[0] == PartitionLag(0, 3, 3, 0, 0.0)


def test_rates_are_of_the_last_minute(log: EmbeddedEventLog, lag: LagService, clock: ManualClock) -> None:
    assert lag.rates() == Rates()
    consumer = _member(log)
    for second in range(100):
        lag.look()
        _produce(log, 0, 2)
        consumer.commit(0, second + 1, "")
        clock.advance(1)
        consumer.poll(1, 0.0)
    lag.look()
    assert lag.rates() == Rates(60.0, 2.0, 1.0)


def test_dead_letters_are_counted(log: EmbeddedEventLog, lag: LagService) -> None:
    log.produce("letters", [NewRecord(None, b"bad")])
    assert lag.dead_letters() == 1
