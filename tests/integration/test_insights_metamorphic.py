"""Answers beside other answers to the same data: what must hold between them, whatever the numbers are."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.insight_bench import InsightBench
from tests.model.questions import request
from tests.support.report_histories import Played, Player

Json = dict[str, Any]

pytestmark = pytest.mark.embedded

SEEDS = range(1_000, 1_003)
QUESTIONS = 8
METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")
APART = {"raw_expired", "report_incomplete", "breakdown_unavailable", "mixed_currency"}
"""With these warnings the totals of two groupings may differ."""
_DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    made = Player(tmp_path_factory.mktemp("analytics"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=SEEDS)
def played(request: pytest.FixtureRequest, player: Player) -> Played:
    return player.load(request.param)


@pytest.fixture
def bench(player: Player, played: Played) -> InsightBench:
    player.bench.clock.move_to(played.asked_at)
    return player.bench


def questions(played: Played, **changes: str) -> Iterator[Json]:
    """Valid questions about one range, without what only orders or fills the rows."""
    for question in played.questions(QUESTIONS):
        params = {k: v for k, v in question["params"].items() if k not in ("sort", "order", "fill", "compare")}
        asked = {**question, "params": {**params, **changes}}
        if "error" not in played.model.answer(asked, played.asked_at):
            yield asked


def ask(bench: InsightBench, played: Played, question: Json, **changes: str) -> Json:
    path, params = request({**question, "params": {**question["params"], **changes}})
    return bench.whole_answer(path, params, played.shift)


def sums(rows: list[Json]) -> Json:
    """Each metric added up; None where one of the rows does not know it."""
    return {
        m: None if any(row[m] is None for row in rows) else sum((row[m] for row in rows), Decimal(0)) for m in METRICS
    }


def totals(answer: Json) -> Json:
    return {metric: answer["totals"][metric] for metric in METRICS}


def codes(answer: Json) -> set[str]:
    return {warning["code"] for warning in answer["warnings"]}


def test_totals_are_the_sums_of_the_rows(bench: InsightBench, played: Played) -> None:
    for question in questions(played):
        answer = ask(bench, played, question)
        if (
            codes(answer) & {"raw_expired", "report_incomplete", "breakdown_unavailable"}
            and None in totals(answer).values()
        ):
            continue  # what is not in a row is not in the totals either: they are null
        assert totals(answer) == sums(answer["rows"]), question


@pytest.mark.parametrize("split", ["platform", "campaign", "region", "platform,region", "ad", "ad_group,ad,device"])
def test_splits_add_up(bench: InsightBench, played: Played, split: str) -> None:
    for question in questions(played, granularity="total", currency="USD"):
        whole = ask(bench, played, question, group_by="campaign")
        parts = ask(bench, played, question, group_by=split)
        if (codes(whole) | codes(parts)) & APART:
            continue  # conversions are rounded row by row
        assert totals(whole) == totals(parts), (question, split)


def test_days_weeks_and_months_agree(bench: InsightBench, played: Played) -> None:
    for question in questions(played):
        found = [totals(ask(bench, played, question, granularity=g)) for g in ("daily", "weekly", "monthly", "total")]
        counts = [{metric: one[metric] for metric in METRICS[:3]} for one in found]
        assert counts.count(counts[0]) == len(counts) or None in counts[-1].values(), question


def test_as_of_now_is_now(bench: InsightBench, played: Played) -> None:
    for question in questions(played):
        question["params"].pop("as_of", None)
        now = ask(bench, played, question)
        assert ask(bench, played, question, as_of=played.asked_at.isoformat()) == now
        if "raw_expired" not in codes(then := ask(bench, played, question, as_of=just_before(played))):
            assert then == now, question


def just_before(played: Played) -> str:
    """Later than everything that reached the log, and on the same day everywhere."""
    return (played.asked_at - timedelta(microseconds=1)).isoformat()


def test_another_currency_at_rate_1_changes_nothing(bench: InsightBench, played: Played) -> None:
    organization = bench.metadata.facts[played.shift + 1].organization_id
    _, known = bench.metadata.rates_between(
        organization, "USD", played.asked_at.date() - 3_000 * _DAY, played.asked_at.date()
    )
    days = [played.asked_at.date() - n * _DAY for n in range(-40, 1_000)]
    rates = [
        {"date": str(rate.day), "currency": rate.currency, "base": "CHF", "rate": str(rate.rate)} for rate in known
    ]
    rates += [{"date": str(day), "currency": "USD", "base": "CHF", "rate": "1"} for day in days]
    bench.add_rates(rates, organization)
    for question in questions(played):
        dollars = ask(bench, played, question, currency="USD")
        francs = ask(bench, played, question, currency="CHF")
        assert dollars["rows"] == francs["rows"]
        assert dollars["totals"] == francs["totals"]
