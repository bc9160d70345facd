"""The verdict on reports sees what is not there."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.report_verdict import Fetched, check_reports
from campaignctl.sandbox.reported import Reported
from campaignctl.sandbox.stream import history
from campaignctl.sandbox.truth import METRICS

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST, LAST = date(2026, 11, 14), date(2026, 11, 21)


class Silent:
    """Answers every question with nothing."""

    def get_json(self, path: str, params: Mapping[str, str] | None = None, /) -> Any:
        return {"items": []} if path.endswith("reconcile") else {"rows": [], "totals": dict.fromkeys(METRICS, 0)}


def test_every_kind_of_figure_is_looked_at() -> None:
    world = World(7, date(2026, 11, 13))
    fetched = Fetched(Reported(world), FIRST, LAST, {1: NOW})
    found = check_reports(Silent(), history(world, NOW, 10).truth, fetched, date(2026, 11, 12), date(2026, 11, 24))
    assert found.questions == 17
    questions = {one.question for one in found.differences}
    assert len(questions) == found.questions
    assert {one.metric for one in found.differences} == set(METRICS)
    regions = {one.row.split()[-1] for one in found.differences if one.question.endswith("report, daily, by region")}
    assert {"US", "CA", "ZZ"} <= regions


def test_countries_and_their_rest_add_up_to_the_total() -> None:
    fetched = Fetched(Reported(World(7, date(2026, 11, 1))), FIRST, LAST, {1: NOW, 4: NOW})
    for campaign in fetched.campaigns:
        sums: dict[Any, Decimal] = {}
        for cell, _, figures in fetched.cells(campaign, by_region_too=True):
            for metric in METRICS:
                sums[cell, metric] = sums.get((cell, metric), Decimal(0)) + figures[metric]
        for cell, _, figures in fetched.cells(campaign, by_region_too=False):
            assert {metric: sums[cell, metric] for metric in METRICS} == figures
