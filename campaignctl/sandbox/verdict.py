"""The verdict: every sum the product answers, beside the truth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from campaignctl.sandbox.truth import METRICS, Truth
from campaignctl.sandbox.world import CAMPAIGNS

GRANULARITIES = ("daily", "weekly", "monthly", "total")
GROUPINGS = ((), ("platform",), ("region",), ("platform", "region"))


class Api(Protocol):
    def get_json(self, path: str, params: Mapping[str, str] | None = None, /) -> Any:
        """The decoded body of a successful GET, numbers with a point as ``Decimal``."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not what it should be."""

    question: str
    row: str
    metric: str
    expected: str
    answered: str


@dataclass(frozen=True, slots=True)
class Verdict:
    questions: int
    sums: int
    """How many single figures were compared."""
    differences: tuple[Difference, ...]


def check(api: Api, truth: Truth, first_day: date, last_day: date) -> Verdict:
    """Ask what was streamed of every campaign in every granularity and grouping, both days inclusive."""
    questions = sums = 0
    differences: list[Difference] = []
    for campaign in CAMPAIGNS:
        for granularity in GRANULARITIES:
            for group_by in GROUPINGS:
                params = {
                    "start_date": first_day.isoformat(),
                    "end_date": last_day.isoformat(),
                    "granularity": granularity,
                    "source": "stream",
                }
                if group_by:
                    params["group_by"] = ",".join(group_by)
                body = api.get_json(f"/api/v1/campaigns/{campaign.number}/insights", params)
                expected = truth.rows(
                    campaign.number, group_by=group_by, granularity=granularity, first_day=first_day, last_day=last_day
                )
                name = f"{campaign.name}, {granularity}" + (f", by {' and '.join(group_by)}" if group_by else "")
                found = list(compare(name, body, expected, group_by))
                questions += 1
                sums += (len(expected) + 1) * len(METRICS)
                differences += found
    return Verdict(questions, sums, tuple(differences))


def compare(
    question: str,
    body: Mapping[str, Any],
    expected: Mapping[tuple[str, ...], Mapping[str, Decimal]],
    group_by: tuple[str, ...],
) -> Iterable[Difference]:
    """The rows and totals of an answer, beside those expected."""
    answered = {(row["period_start"], *(row[name] for name in group_by)): row for row in body["rows"]}
    for key in sorted(expected.keys() | answered.keys()):
        for metric in METRICS:
            yield from _differ(question, " ".join(key), metric, expected.get(key), answered.get(key))
    totals = {metric: sum((row[metric] for row in expected.values()), Decimal(0)) for metric in METRICS}
    for metric in METRICS:
        yield from _differ(question, "totals", metric, totals, body["totals"])


def _differ(
    question: str, row: str, metric: str, expected: Mapping[str, Any] | None, answered: Mapping[str, Any] | None
) -> Iterable[Difference]:
    left = None if expected is None else expected[metric]
    right = None if answered is None else answered[metric]
    if left is None or right is None or Decimal(str(right)) != left:
        yield Difference(question, row, metric, _text(left), _text(right))


def _text(value: object) -> str:
    return "no row" if value is None else str(value)
