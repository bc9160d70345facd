"""Explanations of numbers of random histories: the value is that of insights and of the model, and it adds up.

``CA_TEST_HISTORIES`` asks for more histories than the few that every run takes.
"""

import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from campaignctl.domain.periods import Timeline
from campaignctl.domain.users import Actor
from campaignctl.services.explanation import ExplanationService
from campaignctl.services.insight_answers import InsightRules
from tests.fakes.clock import ManualClock
from tests.integration.insight_bench import InsightBench
from tests.support.explanations import Explainer

pytestmark = pytest.mark.embedded

HISTORIES = int(os.environ.get("CA_TEST_HISTORIES", "16"))
AT_ONCE = 4
"""Histories of one test; ``python -m tests.support.explanations SEED`` plays one alone."""
QUESTIONS = 8


@pytest.fixture
def explainer(tmp_path: Path) -> Iterator[Explainer]:
    made = Explainer(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_numbers_are_what_they_are_made_of(explainer: Explainer, first: int) -> None:
    wrong = []
    for seed in range(first, min(first + AT_ONCE, HISTORIES)):
        wrong += explainer.play(seed, QUESTIONS)
    assert not wrong, "\n".join(wrong[:30])
    assert explainer.reached


def test_what_lands_while_a_number_is_explained_is_in_all_of_it_or_in_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = InsightBench(tmp_path, ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC)))
    service = ExplanationService(
        bench.store, bench.metadata, bench.cache, bench.clock, rules=InsightRules(), definition_actions=lambda _: None
    )
    bench.add_campaigns([{"timezone": "UTC", "currency": "USD"}])
    event = b'{"event_id":"%d","campaign_id":1,"platform":"meta","event_time":"2026-11-20T12:00:00Z","clicks":1}'
    bench.land([event % 0])
    count_conflicts, calls = bench.store.count_conflicts, itertools.count(1)

    def slow(campaign_id: int, day: Timeline, as_of_us: int | None, /) -> int:
        if next(calls) == 1:
            bench.land([event % 1])
        return count_conflicts(campaign_id, day, as_of_us)

    monkeypatch.setattr(bench.store, "count_conflicts", slow)
    asked = {"date": ["2026-11-20"], "metric": ["clicks"]}
    found = service.of(1, asked, Actor.machine_operator())
    bench.close()
    (part,) = found.parts
    assert (found.value, part.amounts[0].value, part.stream.events, part.stream.summed_events) == (2, 2, 2, 2)
    assert next(calls) == 3
