"""Short forms of ``python -m tests.chaos.failpoints`` over embedded stores, and that it fails where it should."""

import pytest

from tests.chaos.failpoints import under
from tests.chaos.steps import STEPS

pytestmark = pytest.mark.timeout(1_200)
"""A dozen processes, one after the other: seconds each, many more on a machine that does much else."""


def test_a_worker_killed_at_each_step_loses_and_doubles_nothing() -> None:
    row = under("embedded", list(STEPS), 1)
    assert row.verdict.is_right, row
    assert (row.kills, row.events > 0) == (len(STEPS), True)


def test_without_intents_and_tokens_events_are_doubled_and_that_is_seen() -> None:
    told = under("embedded", ["after_insert"], 1, without="repeats").verdict
    assert (told.lost, told.doubled > 0) == (0, True)
    assert min(told.wrong_raw, told.wrong_rollup, told.wrong_answers) > 0


def test_with_a_commit_before_the_insert_events_are_lost_and_that_is_seen() -> None:
    told = under("embedded", ["after_intent"], 1, without="forgets").verdict
    assert (told.lost > 0, told.doubled) == (True, 0)
    assert min(told.wrong_raw, told.wrong_rollup, told.wrong_answers) > 0
