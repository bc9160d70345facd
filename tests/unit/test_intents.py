"""Intents survive the way through commit metadata, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.ports.event_log import Committed, Topic
from worker.intents import Intent, UnreadableIntentError, token_of, unfinished_intent

TOPIC = Topic("campaign-events", "8f14e45f-ceea-467f-a0e6-8e6d5a1c2b3d", 4, -1, 2**21)
offsets = st.integers(0, 2**62)


@given(start=offsets, length=st.integers(1, 10**6), letters=st.none() | offsets)
def test_an_intent_is_read_back_as_it_was_written_and_is_short(start: int, length: int, letters: int | None) -> None:
    intent = Intent(start, start + length, token_of(TOPIC, 3, start, start + length), "c0ffee00", letters)
    metadata = intent.metadata()
    assert unfinished_intent(Committed(start, metadata)) == intent
    assert len(metadata) < 300


def test_a_plain_commit_and_an_acknowledged_intent_leave_nothing_to_repeat() -> None:
    assert unfinished_intent(Committed(7, "")) is None
    assert unfinished_intent(Committed(9, Intent(5, 9, "t", "c").metadata())) is None


def test_tokens_differ_by_incarnation_partition_and_range() -> None:
    other = Topic(TOPIC.name, "00000000-ceea-467f-a0e6-8e6d5a1c2b3d", 4, -1, 2**21)
    tokens = {
        token_of(TOPIC, 0, 1, 2),
        token_of(TOPIC, 1, 1, 2),
        token_of(TOPIC, 0, 1, 3),
        token_of(TOPIC, 0, 0, 2),
        token_of(other, 0, 1, 2),
    }
    assert len(tokens) == 5


@pytest.mark.parametrize("metadata", ["x", "[]", "{}", "null", '{"v":1}', '{"v":2,"end":9,"token":"t","code":"c"}'])
def test_text_that_is_no_intent_of_ours_is_an_error(metadata: str) -> None:
    with pytest.raises(UnreadableIntentError):
        unfinished_intent(Committed(0, metadata))
