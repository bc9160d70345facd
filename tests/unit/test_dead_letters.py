"""Dead letters: everything about a refused record in headers, read back without loss, listed once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.domain.dead_letters import (
    FromLog,
    FromRequest,
    LetterFilter,
    dead_letter,
    letter_headers,
    read_letter,
)
from campaignctl.domain.events import Reject, RejectReason
from campaignctl.ports.event_log import NewRecord, TopicSpec
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.landing import letter_record
from campaignctl.services.letter_purge import LetterPurge

AT = datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)
LOG = FromLog("campaign-events", "8f14e45f-ceea-467f-a0e6-8e6d5a1c2b3d", 3, 17)
HTTP = FromRequest("req-1", 4, 9)
REJECT = Reject(0, RejectReason.INVALID_VALUE, "spend", "spend must be a number – not “12 dollars”", 42)


@pytest.mark.parametrize("origin", [LOG, HTTP, FromRequest("req-2", 0, None)])
def test_a_letter_is_read_back_as_it_was_written(origin: FromLog | FromRequest) -> None:
    letter = dead_letter(REJECT, b"\xff\x00 bytes", AT, origin)
    assert read_letter(letter.value, letter_headers(letter)) == letter


def test_the_headers_have_the_promised_names() -> None:
    by_log = dict(letter_headers(dead_letter(REJECT, b"{}", AT, LOG)))
    assert by_log["code"] == b"invalid_value"
    assert by_log["at"] == b"2026-11-23T12:00:00.123Z"
    assert (by_log["source"], by_log["topic"]) == (b"kafka", b"campaign-events")
    assert (by_log["partition"], by_log["offset"], by_log["campaign_id"]) == (b"3", b"17", b"42")
    by_http = dict(letter_headers(dead_letter(REJECT, b"{}", AT, HTTP)))
    assert (by_http["source"], by_http["request_id"], by_http["organization_id"]) == (b"http", b"req-1", b"9")
    assert "offset" not in by_http


@pytest.mark.parametrize(("size", "kept"), [(1_048_576, 1_048_576), (1_048_577, 65_536)])
def test_only_the_beginning_of_a_record_over_a_mebibyte_is_kept(size: int, kept: int) -> None:
    letter = dead_letter(REJECT, b"x" * size, AT, LOG)
    assert len(letter.value) == kept
    assert letter.whole_bytes == (size if kept < size else None)
    assert (letter.sha256 is None) == (kept == size)


def test_a_campaign_id_of_a_million_digits_is_nobodys() -> None:
    reject = Reject(0, RejectReason.UNKNOWN_CAMPAIGN, "campaign_id", "unknown", 10**10_000)
    letter = dead_letter(reject, b"{}", AT, LOG)
    assert letter.campaign_id is None
    assert letter_record(letter).key is None


@pytest.mark.parametrize("headers", [(), (("code", b"x"),), (("code", b"x"), ("message", b"m"), ("at", b"noon"))])
def test_a_record_that_is_no_dead_letter_is_not_taken_for_one(headers: tuple[tuple[str, bytes], ...]) -> None:
    assert read_letter(b"", headers) is None


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedEventLog]:
    made = EmbeddedEventLog(tmp_path / "log.sqlite", SystemClock(), max_poll_interval_s=0)
    made.ensure_topic(TopicSpec("dlq", 2, -1, 2**21))
    yield made
    made.close()


def test_a_letter_that_lies_there_twice_is_listed_and_counted_once(log: EmbeddedEventLog) -> None:
    twice = letter_record(dead_letter(REJECT, b"a", AT, LOG), 1)
    again_from_another_topic = FromLog(LOG.topic, "00000000-ceea-467f-a0e6-8e6d5a1c2b3d", 3, 17)
    other = letter_record(dead_letter(REJECT, b"b", AT, again_from_another_topic), 1)
    by_http = letter_record(dead_letter(REJECT, b"c", AT, HTTP), 0)
    log.produce("dlq", [twice, other, NewRecord(None, b"foreign", partition=1), twice, by_http, by_http])
    letters = DeadLetters(log, topic="dlq")
    assert [(stored.id, stored.letter.value) for stored in letters.all()] == [
        ("0-0", b"c"),
        ("0-1", b"c"),
        ("1-0", b"a"),
        ("1-1", b"b"),
    ]
    assert letters.count_by_reason() == {"invalid_value": 4}
    ends = {number: marks.end for number, marks in letters.kept().items()}
    assert [(one.id, one.letter.value) for one in letters.newest_first(ends)] == [
        ("1-3", b"a"),
        ("1-1", b"b"),
        ("0-1", b"c"),
        ("0-0", b"c"),
    ]


def test_newest_first_over_partitions_and_stretches(log: EmbeddedEventLog) -> None:
    for number in range(300):
        origin = FromRequest("req", number, None)
        log.produce("dlq", [letter_record(dead_letter(REJECT, b"%d" % number, AT, origin), number % 2)])
    letters = DeadLetters(log, topic="dlq")
    ends = {number: marks.end for number, marks in letters.kept().items()}
    shown = list(letters.newest_first(ends))
    assert sorted(int(one.letter.value) for one in shown) == list(range(300))
    places = [(one.time_ms, one.partition, one.offset) for one in shown]
    assert places == sorted(places, reverse=True)


def test_large_letters_are_held_a_few_at_a_time(log: EmbeddedEventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        origin = FromRequest("req", number, None)
        log.produce("dlq", [letter_record(dead_letter(REJECT, b"x" * 1_000_000, AT, origin), 0)])
    asked: list[int] = []
    read = log.read
    monkeypatch.setattr(log, "read", lambda *place: asked.append(place[3]) or read(*place))
    letters = DeadLetters(log, topic="dlq")
    assert len(list(letters.newest_first({0: 40}))) == 40
    assert max(asked[1:]) <= 16 or len(asked) == 1


@pytest.mark.parametrize("letter_id", ["", "0", "0-", "-1", "0-9", "2-0", "0-0-0", "a-b", "0-99999999999999999999"])
def test_an_id_that_names_no_letter(log: EmbeddedEventLog, letter_id: str) -> None:
    log.produce("dlq", [letter_record(dead_letter(REJECT, b"a", AT, HTTP), 0)])
    letters = DeadLetters(log, topic="dlq")
    assert letters.find(letter_id) is None
    found = letters.find("0-0")
    assert found is not None
    assert found.letter.value == b"a"


LETTER = dead_letter(REJECT, b"a", AT, LOG)
AT_US = 1_795_435_200_123_000


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (LetterFilter(), True),
        (LetterFilter(reason="invalid_value", campaign_id=42), True),
        (LetterFilter(reason="too_large"), False),
        (LetterFilter(campaign_id=43), False),
        (LetterFilter(since_us=AT_US), True),
        (LetterFilter(since_us=AT_US + 1), False),
        (LetterFilter(until_us=AT_US + 1), True),
        (LetterFilter(until_us=AT_US), False),
    ],
)
def test_the_filter(wanted: LetterFilter, passes: bool) -> None:
    assert wanted.accepts(LETTER) is passes


def test_a_purge_takes_the_oldest_that_are_meant(log: EmbeddedEventLog) -> None:
    def letter(code: RejectReason, partition: int) -> NewRecord:
        reject = Reject(0, code, "spend", "no", 42)
        return letter_record(dead_letter(reject, b"a", AT, FromRequest("req", 0, None)), partition)

    value, region = RejectReason.INVALID_VALUE, RejectReason.INVALID_REGION
    log.produce("dlq", [letter(value, 0), letter(value, 0), letter(region, 0), letter(value, 0), letter(value, 1)])
    letters = DeadLetters(log, topic="dlq")
    purge = LetterPurge(letters, log)
    plan = purge.plan(LetterFilter(reason="invalid_value"))
    assert (plan.removed, plan.kept_behind, plan.ends) == (3, 1, {0: 2, 1: 1})
    assert len(list(letters.all())) == 5
    for _ in range(2):
        purge.apply(plan)
        assert [one.id for one in letters.all()] == ["0-2", "0-3"]
    assert purge.plan(LetterFilter(reason="too_large")).ends == {}
