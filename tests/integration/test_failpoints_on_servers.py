"""The short form of ``python -m tests.chaos.failpoints --log kafka``: one kill at each step."""

from contextlib import ExitStack

import pytest

from tests.chaos.failpoints import under
from tests.chaos.steps import STEPS
from tests.support.services import SERVERS, unset, using

_MISSING = unset(*SERVERS)

pytestmark = [pytest.mark.skipif(bool(_MISSING), reason=_MISSING), pytest.mark.timeout(1_200)]


def test_workers_killed_at_each_step_lose_and_double_nothing() -> None:
    """Most of it is waiting: a member that was killed is missed after its session only."""
    with ExitStack() as stack:
        for service in ("kafka", "clickhouse", "postgres", "redis"):
            stack.enter_context(using(service))
        row = under("kafka", list(STEPS), 1)
    assert row.verdict.is_right, row
    assert (row.kills, row.events > 0) == (len(STEPS), True)
