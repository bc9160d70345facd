"""Positions: opaque, signed, and reached exactly when the group has committed that far."""

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput, NotYetVisible
from campaignctl.ports.event_log import NewRecord, Position, TopicSpec
from campaignctl.services.positions import Positions

OWNER = Actor(organization_id=7, role=Role.VIEWER, user_id=1)
STRANGER = Actor(organization_id=8, role=Role.ADMIN, user_id=2)
MACHINE = Actor.machine_operator()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedEventLog]:
    made = EmbeddedEventLog(tmp_path / "log.sqlite", SystemClock(), max_poll_interval_s=0)
    made.ensure_topic(TopicSpec("events", 3, -1, 2**21))
    yield made
    made.close()


def positions(log: EmbeddedEventLog, key: bytes = b"k" * 32) -> Positions:
    return Positions(log, topic="events", group="workers", key=key, clock=SystemClock())


def commit(log: EmbeddedEventLog, **offsets: int) -> None:
    consumer = log.consumer("events", "workers")
    while not consumer.poll(1, 0.05).gained:
        pass
    for name, offset in offsets.items():
        consumer.commit(int(name.removeprefix("p")), offset, "")
    consumer.close()


def test_a_position_is_reached_when_every_partition_is_committed_past_it(log: EmbeddedEventLog) -> None:
    made = positions(log)
    text = made.make(7, [Position(0, 4), Position(2, 0), Position(0, 3)])
    commit(log, p0=5)
    with pytest.raises(NotYetVisible) as error:
        made.wait(text, OWNER, timeout_s=0.05)
    assert error.value.retry_after_s > 0
    commit(log, p2=1)
    made.wait(text, OWNER, timeout_s=0.05)


def test_waiting_ends_as_soon_as_the_worker_is_there(log: EmbeddedEventLog) -> None:
    made = positions(log)
    text = made.make(7, log.produce("events", [NewRecord(b"1", b"x", partition=1)]))
    threading.Timer(0.1, lambda: commit(log, p1=1)).start()
    made.wait(text, OWNER, timeout_s=5)


def test_a_request_of_which_nothing_was_accepted_waits_for_nothing(log: EmbeddedEventLog) -> None:
    made = positions(log)
    made.wait(made.make(7, []), OWNER, timeout_s=0)


def test_a_position_is_good_for_its_organization_only(log: EmbeddedEventLog) -> None:
    made = positions(log)
    made.wait(made.make(7, []), MACHINE, timeout_s=0)
    made.wait(made.make(None, []), MACHINE, timeout_s=0)
    for text in (made.make(7, []), made.make(None, [])):
        with pytest.raises(InvalidInput, match="after"):
            made.wait(text, STRANGER, timeout_s=0)


def test_a_position_is_a_short_word_that_fits_a_url(log: EmbeddedEventLog) -> None:
    text = positions(log).make(7, [Position(partition, 10**12) for partition in range(64)])
    assert len(text) < 2_000
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_every_change_of_a_position_is_noticed(log: EmbeddedEventLog) -> None:
    made = positions(log)
    text = made.make(7, [Position(0, 4)])
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    forged = [text[:-4], "", "x", "é", "A" * 20_000, text + "====", positions(log, b"z" * 32).make(7, [])]
    forged += [base64.urlsafe_b64encode(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]).decode() for i in range(len(raw))]
    for text in forged:
        with pytest.raises(InvalidInput) as error:
            made.wait(text, OWNER, timeout_s=0)
        assert [one.field for one in error.value.errors] == ["after"]


def test_a_position_in_a_topic_made_anew_is_foreign(log: EmbeddedEventLog) -> None:
    text = positions(log).make(7, [Position(0, 4)])
    log.delete_topic("events")
    log.ensure_topic(TopicSpec("events", 3, -1, 2**21))
    with pytest.raises(InvalidInput, match="made again"):
        positions(log).wait(text, OWNER, timeout_s=0)
