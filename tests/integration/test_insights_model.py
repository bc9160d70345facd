"""Random histories and questions: the store's answers are those of a brute-force model, to the last digit.

``CA_TEST_HISTORIES`` asks for more of them than the few that every run takes.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from campaignctl.errors import InvalidInput
from tests.fakes.clock import ManualClock
from tests.integration.insight_bench import InsightBench
from tests.model.histories import History, random_history
from tests.model.questions import random_questions, request
from tests.model.reference import Model

Json = dict[str, Any]

pytestmark = pytest.mark.embedded

NOW = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
HISTORIES = int(os.environ.get("CA_TEST_HISTORIES", "4"))
QUESTIONS = 60


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InsightBench]:
    made = InsightBench(tmp_path_factory.mktemp("analytics"), ManualClock(NOW))
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_answers_are_those_of_the_model(bench: InsightBench, seed: int) -> None:
    history = random_history(seed, now=NOW)
    shift, model = _load(bench, history, organization_id=seed + 1)
    for question in random_questions(random.Random(seed), history, NOW, QUESTIONS):
        if "colour" in question["params"]:
            continue  # unknown parameters are refused before the question is read
        expected = model.answer(question, NOW)
        assert _answer(bench, question, shift, expected) == expected, f"{question} of history {seed}"


def _load(bench: InsightBench, history: History, organization_id: int) -> tuple[int, Model]:
    """Land the history; campaigns of earlier ones are there already, so the ids are shifted. And the model of it."""
    model = Model()
    for number, campaign in enumerate(history.campaigns, 1):
        model.add_campaign(
            number, timezone=campaign["timezone"], currency=campaign["currency"], platforms=campaign["platforms"]
        )
    model.add_rates(history.rates)
    shift = bench.add_campaigns(history.campaigns, organization_id)
    bench.add_rates(history.rates, organization_id)
    now_ms = round(NOW.timestamp() * 1000)
    for value in history.records:
        model.feed(value, now_ms)
    bench.land(history.records, shift)
    return shift, model


def _answer(bench: InsightBench, question: Json, shift: int, expected: Json) -> Json:
    path, params = request(question)
    try:
        answer = bench.whole_answer(path, params, shift)
    except InvalidInput as error:
        named = [one.field for one in error.errors if one.field in expected.get("fields", ())]
        return expected if named else {"error": 422, "fields": [one.field for one in error.errors]}
    return {
        "rows": answer["rows"],
        "totals": answer["totals"],
        "comparison": answer["comparison"],
        "freshness": answer["freshness"],
        "warnings": [warning["code"] for warning in answer["warnings"]],
        **{name: answer[name] for name in ("timezone", "currency", "start_date", "end_date")},
    }
