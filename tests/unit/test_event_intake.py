"""Events by HTTP: bodies into records, records into topics, and what is answered."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.events import EventLimits
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Forbidden, InvalidInput, MalformedRequest, TooLarge, Unavailable
from campaignctl.ports.event_log import TopicSpec
from campaignctl.services import event_bodies
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.event_intake import EventIntake, Rejected, split_json_array, split_ndjson
from campaignctl.services.positions import Positions
from tests.fakes.clock import ManualClock
from tests.fakes.metadata import FakeCampaigns
from tests.unit.stream_support import NOW, event

OPERATOR = Actor(organization_id=1, role=Role.OPERATOR, user_id=1)


class TestJsonArrays:
    def test_elements_keep_their_bytes(self) -> None:
        body = b' [ {"a": 1.0 , "a":2},\n"x" ,[ ],null , -0.0e5] '
        assert split_json_array(body) == [b'{"a": 1.0 , "a":2}', b'"x"', b"[ ]", b"null", b"-0.0e5"]
        assert split_json_array(b"[]") == []

    @pytest.mark.parametrize("body", [b"{}", b'"x"', b"5", b"null", b' {"a": [1]} ', b'"\\ud800"'])
    def test_what_is_no_array_is_invalid(self, body: bytes) -> None:
        with pytest.raises(InvalidInput) as error:
            split_json_array(body)
        assert error.value.errors[0].field == "body"

    @pytest.mark.parametrize(
        "body",
        [
            b"", b" ", b"[", b"]", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1]]", b"[1] x", b"[01]", b"[1.]", b"[.5]",
            b"[+1]", b"[NaN]", b"[truex]", b"[tru]", b'["a', b'["\\x"]', b'["\\u12"]', b'["\n"]', b'["\x00"]', b"[{]", b"[}",
            b'[{"a"}]', b'[{"a":}]', b'[{"a":1,}]', b"[{a:1}]", b"[{1:2}]", b'[{"a":1]', b'["\xff"]', b"\xff", b"[1]\x00",
            b"\xef\xbb\xbf[1]", b'["\xed\xa0\x80"]', "[1]".encode("utf-16"), b"[" * 100_000, b'["\\ud800", }', b":", b",",
        ],
    )  # fmt: skip
    def test_what_does_not_parse_is_malformed_and_nothing_is_taken(self, body: bytes) -> None:
        with pytest.raises(MalformedRequest, match="not valid JSON"):
            split_json_array(body)

    def test_half_a_surrogate_pair_is_a_matter_of_its_record(self) -> None:
        assert split_json_array(b'[{"a":"\\ud800"}, {"b":1} ]') == [b'{"a":"\\ud800"}', b'{"b":1}']

    def test_a_million_levels_are_a_matter_of_their_record(self) -> None:
        deep = b"[" * 1_000_000 + b"]" * 1_000_000
        assert split_json_array(b"[1," + deep + b" ,2]") == [b"1", deep, b"2"]
        with pytest.raises(MalformedRequest):
            split_json_array(b"[1," + deep)

    def test_more_elements_than_a_body_of_events_can_have_are_too_many(self) -> None:
        with pytest.raises(TooLarge):
            split_json_array(b"[" + b"1," * 500_000 + b"1]")
        with pytest.raises(TooLarge):
            split_json_array(b"[" + b"1," * 8_000_000 + b"1]")

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
        ),
        st.sampled_from([None, 1]),
    )
    def test_both_ways_of_splitting_agree(self, document: object, indent: int | None) -> None:
        body = json.dumps([document, document], indent=indent).encode()
        scanner = event_bodies._Scanner(body)
        scanner.run()
        slow = [body[start:end] for start, end in scanner.elements]
        assert [json.loads(part) for part in slow] == [document, document]
        assert slow == split_json_array(body)

    @given(st.lists(st.sampled_from([*'[]{},:"\\ 1e-.0', "true", "null", '"a"', "\\u00e9"]), max_size=14).map("".join))
    def test_both_ways_of_splitting_refuse_the_same(self, text: str) -> None:
        body = f"[{text}]".encode()
        try:
            json.loads(body)
            valid = True
        except ValueError:
            valid = False
        scanner = event_bodies._Scanner(body)
        try:
            scanner.run()
            assert valid
        except MalformedRequest:
            assert not valid


class TestNdjson:
    def test_lines_without_blank_ones(self) -> None:
        body = b'\n{"a":1}\r\n \t\r\n  {"b":2}  \n{"c"\xff\n\n{"d":4}'
        assert split_ndjson(body) == [b'{"a":1}', b'  {"b":2}  ', b'{"c"\xff', b'{"d":4}']
        assert split_ndjson(b"") == []

    def test_too_many_lines(self) -> None:
        with pytest.raises(TooLarge):
            split_ndjson(b"1\n" * 500_001)


class Intake:
    def __init__(self, directory: Path) -> None:
        clock = ManualClock(NOW)
        self.log = EmbeddedEventLog(directory / "log.sqlite", clock, max_poll_interval_s=0)
        self.log.ensure_topic(TopicSpec("events", 4, -1, 2**21))
        self.log.ensure_topic(TopicSpec("dlq", 1, -1, 2**21))
        self.campaigns = FakeCampaigns()
        self.campaigns.add(1)
        self.campaigns.add(2, organization_id=2)
        positions = Positions(self.log, topic="events", group="g", key=b"k" * 32, clock=SystemClock())
        self.intake = EventIntake(
            self.log,
            self.campaigns,
            positions,
            topic="events",
            dead_letter_topic="dlq",
            limits=EventLimits(),
            clock=clock,
        )

    def events(self) -> dict[int, list[bytes]]:
        return {p: list(self.log.read("events", p, 0, 1_000).values) for p in range(4)}


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    made = Intake(tmp_path)
    yield made
    made.log.close()


class TestAccept:
    def test_valid_records_are_durable_in_their_campaigns_partition_byte_for_byte(self, intake: Intake) -> None:
        good = b' {"platform":"META", "event_id":"\xc3\xa9", "campaign_id":1.0,"event_time":1795428000000, "x":[1]}'
        answer = intake.intake.accept([good, event("b")], actor=OPERATOR, request_id="r")
        assert (answer.accepted, answer.rejected) == (2, [])
        home = partition_for_key(b"1", 4)
        assert intake.events()[home] == [good, event("b")]
        assert intake.log.read("events", home, 0, 1).keys == [b"1"]

    def test_refused_records_are_answered_in_order_and_become_dead_letters(self, intake: Intake) -> None:
        records = [
            b"{",
            event("a"),
            event("b", campaign_id=99),
            event("c", spend="12 dollars"),
            event("d", campaign_id=2),
        ]
        answer = intake.intake.accept(records, actor=OPERATOR, request_id="req-9")
        expected = [(0, "malformed_json"), (2, "unknown_campaign"), (3, "invalid_value"), (4, "unknown_campaign")]
        assert [(one.index, one.code) for one in answer.rejected] == expected
        assert all(isinstance(one, Rejected) and one.message for one in answer.rejected)
        stored = list(DeadLetters(intake.log, topic="dlq").all())
        assert [(one.letter.origin.index, one.letter.code) for one in stored] == expected  # type: ignore[union-attr]
        assert [one.letter.value for one in stored] == [records[index] for index, _ in expected]
        assert {one.letter.origin.organization_id for one in stored} == {1}  # type: ignore[union-attr]
        assert {one.letter.at for one in stored} == {NOW}

    def test_a_campaign_made_a_moment_ago_is_known_and_nothing_is_claimed(self, intake: Intake) -> None:
        assert intake.intake.accept([event("a", campaign_id=3)], actor=OPERATOR, request_id="r").accepted == 0
        intake.campaigns.add(3)
        assert intake.intake.accept([event("a", campaign_id=3)], actor=OPERATOR, request_id="r").accepted == 1
        assert intake.campaigns.claimed == set()

    def test_the_operator_of_the_machine_sends_for_every_organization(self, intake: Intake) -> None:
        records = [event("a"), event("a", campaign_id=2)]
        assert intake.intake.accept(records, actor=Actor.machine_operator(), request_id="r").accepted == 2

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
    def test_lesser_roles_may_not_send(self, intake: Intake, role: Role) -> None:
        with pytest.raises(Forbidden):
            intake.intake.accept([event()], actor=Actor(1, role, user_id=1), request_id="r")
        assert not any(intake.events().values())

    def test_nothing_at_all_is_a_request_too(self, intake: Intake) -> None:
        answer = intake.intake.accept([], actor=OPERATOR, request_id="r")
        assert (answer.accepted, answer.rejected) == (0, [])
        assert answer.position

    def test_a_store_that_is_away_takes_nothing(self, intake: Intake) -> None:
        intake.campaigns.down = True
        with pytest.raises(Unavailable):
            intake.intake.accept([event()], actor=OPERATOR, request_id="r")
        assert not any(intake.events().values())

    def test_events_are_judged_by_the_time_they_come(self, intake: Intake) -> None:
        day_ms = 86_400_000
        now_ms = int(NOW.timestamp()) * 1_000
        records = [
            event(str(n), event_time=t)
            for n, t in enumerate((now_ms + day_ms, now_ms + day_ms + 1, now_ms - 400 * day_ms - 1))
        ]
        answer = intake.intake.accept(records, actor=OPERATOR, request_id="r")
        assert [one.code for one in answer.rejected] == ["event_time_in_future", "event_time_too_old"]

    def test_random_bytes_are_refused_and_kept(self, intake: Intake) -> None:
        rng = random.Random(3)
        records = [rng.randbytes(rng.randint(1, 40)) for _ in range(200)]
        answer = intake.intake.accept(records, actor=OPERATOR, request_id="r")
        assert len(answer.rejected) == 200
        assert [one.letter.value for one in DeadLetters(intake.log, topic="dlq").all()] == records
