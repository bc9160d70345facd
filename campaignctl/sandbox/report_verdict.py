"""The verdict on reports: totals, countries with what they leave over in ZZ, and reconcile's differences."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from campaignctl.sandbox.deliveries import MICROS, days_between
from campaignctl.sandbox.natives import claimed_by
from campaignctl.sandbox.reported import Figures, Reported, by_region
from campaignctl.sandbox.truth import METRICS, Sums, Truth, period_start
from campaignctl.sandbox.verdict import Api, Difference, Verdict, compare
from campaignctl.sandbox.world import CAMPAIGNS, SandboxCampaign

_NO_COUNTRY = "ZZ"
_GROUPINGS = ((), ("platform",), ("region",), ("platform", "region"))
_GRANULARITIES = ("daily", "total")
Cell = tuple[str, date]
"""A platform and a day of its account."""
Rows = dict[tuple[str, ...], Sums]


@dataclass(slots=True)
class Fetched:
    """What was fetched: campaigns, the days (all of them over), and when, by the sandbox's clock."""

    reported: Reported
    first: date
    last: date
    moments: dict[int, datetime] = field(default_factory=dict)
    """By number of the campaign, the moment of its last fetch."""

    @property
    def campaigns(self) -> list[SandboxCampaign]:
        return [one for one in CAMPAIGNS if one.number in self.moments]

    def cells(self, campaign: SandboxCampaign, *, by_region_too: bool) -> Iterator[tuple[Cell, str, Sums]]:
        """Each platform's day, whole (region "") or by country with the rest in ZZ. Its money is the campaign's."""
        at = self.moments[campaign.number]
        for native in claimed_by(campaign):
            for day in days_between(self.first, self.last):
                cell = native.account.platform, day
                total = _sums(self.reported.total(native, day, at))
                if not by_region_too:
                    yield cell, "", total
                    continue
                for region, figures in by_region(self.reported.countries(native, day, at)).items():
                    if region != _NO_COUNTRY:
                        told = _sums(figures)
                        total = {metric: total[metric] - told[metric] for metric in METRICS}
                        yield cell, region, told
                yield cell, _NO_COUNTRY, total

    def covered(self, campaign: SandboxCampaign) -> set[Cell]:
        return {(platform, day) for platform in campaign.platforms for day in days_between(self.first, self.last)}


def check_reports(api: Api, truth: Truth, fetched: Fetched, first_day: date, last_day: date) -> Verdict:
    """Ask what was reported, what stands when both are there (``auto``), and how far apart they are."""
    questions = figures = 0
    differences: list[Difference] = []
    for campaign in fetched.campaigns:
        for source in ("report", "auto"):
            for granularity in _GRANULARITIES:
                for group_by in _GROUPINGS:
                    asked = {"granularity": granularity, "source": source, "group_by": ",".join(group_by)}
                    days = {"start_date": first_day.isoformat(), "end_date": last_day.isoformat()}
                    params = {name: value for name, value in (asked | days).items() if value}
                    body = api.get_json(f"/api/v1/campaigns/{campaign.number}/insights", params)
                    streamed = truth.rows(
                        campaign.number,
                        group_by=group_by,
                        granularity=granularity,
                        first_day=first_day,
                        last_day=last_day,
                        without=fetched.covered(campaign),
                    )
                    rows = _with_reports(
                        fetched,
                        campaign,
                        {} if source == "report" else streamed,
                        group_by,
                        first_day if granularity == "total" else None,
                    )
                    name = f"{campaign.name}, {source}, {granularity}" + (
                        f", by {' and '.join(group_by)}" if group_by else ""
                    )
                    differences += compare(name, _without_zeros(body), rows, group_by)
                    questions += 1
                    figures += (len(rows) + 1) * len(METRICS)
        found = _reconciled(api, truth, fetched, campaign)
        questions += 1
        figures += len(fetched.covered(campaign)) * len(METRICS)
        differences += found
    return Verdict(questions, figures, tuple(differences))


def _with_reports(
    fetched: Fetched, campaign: SandboxCampaign, rows: Rows, group_by: tuple[str, ...], only_start: date | None
) -> Rows:
    """The streamed rows and the reports in one; rows of nothing but zeros are left out."""
    whole = {key: dict(sums) for key, sums in rows.items()}
    for (platform, day), region, sums in fetched.cells(campaign, by_region_too="region" in group_by):
        group = tuple({"platform": platform, "region": region}[name] for name in group_by)
        start = period_start(day, "daily", day) if only_start is None else only_start
        target = whole.setdefault((start.isoformat(), *group), dict.fromkeys(METRICS, Decimal(0)))
        for metric in METRICS:
            target[metric] += sums[metric]
    return {key: sums for key, sums in whole.items() if any(sums.values())}


def _without_zeros(body: Mapping[str, Any]) -> dict[str, Any]:
    """A covered day that has nothing may be answered as a row of zeros."""
    rows = [row for row in body["rows"] if any(row[metric] for metric in METRICS)]
    return {**body, "rows": rows}


def _reconciled(api: Api, truth: Truth, fetched: Fetched, campaign: SandboxCampaign) -> Iterable[Difference]:
    """``reconcile`` of the fetched days: both sides and the difference of every platform, day and metric."""
    days = {"start_date": fetched.first.isoformat(), "end_date": fetched.last.isoformat()}
    body = api.get_json(f"/api/v1/campaigns/{campaign.number}/reconcile", days)
    answered = {(one["platform"], one["day"]): one["metrics"] for one in body["items"]}
    streamed = truth.rows(
        campaign.number, group_by=("platform",), granularity="daily", first_day=fetched.first, last_day=fetched.last
    )
    nothing = dict.fromkeys(METRICS, Decimal(0))
    for (platform, day), _, reported in fetched.cells(campaign, by_region_too=False):
        mine = streamed.get((day.isoformat(), platform), nothing)
        metrics = answered.get((platform, day.isoformat()))
        for metric in METRICS:
            told = {} if metrics is None else metrics[metric]
            expected = mine[metric] - reported[metric]
            if told.get("difference") is None or Decimal(str(told["difference"])) != expected:
                question = f"{campaign.name}, reconcile"
                yield Difference(question, f"{platform} {day}", metric, str(expected), str(told.get("difference")))


def _sums(figures: Figures | None) -> Sums:
    """What a platform does not tell counts nothing."""
    if figures is None:
        return dict.fromkeys(METRICS, Decimal(0))
    millionths = (figures.conversions_millionths, figures.spend_micros, figures.revenue_micros or 0)
    counts = (Decimal(figures.impressions), Decimal(figures.clicks))
    return dict(zip(METRICS, (*counts, *(Decimal(value) / MICROS for value in millionths)), strict=True))
