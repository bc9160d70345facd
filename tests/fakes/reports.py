"""The question half of the store of reports, in memory and by brute force."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.insight_sums import keys_of
from campaignctl.domain.insights import Metric
from campaignctl.domain.periods import day_number
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, Coverage, Figures, ReportedAccount, ReportSlice
from campaignctl.ports.reports import GivenFigures, NativeCampaign, ReportDays
from tests.model.reports import Reports, Told, days_between

Amounts = tuple[int | None, ...]
"""Impressions, clicks, conversions, spend, revenue; the last ones may be left out."""


class FakeReports:
    """What insights need of a ``ReportStore``; ``fetch`` tells it what a fetch found."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.asked: Counter[str] = Counter()

    def fetch(
        self,
        first: date,
        last: date,
        totals: Mapping[date, Amounts],
        *,
        by_country: Mapping[date, Mapping[str, Amounts]] | None = None,
        at_ms: int = 0,
        platform: Platform = Platform.META,
        account: str = "1",
        native: str = "c1",
        level: LinkLevel = LinkLevel.CAMPAIGN,
        currency: str = "USD",
        timezone: str = "UTC",
    ) -> None:
        """A fetch of the (inclusive) days at an instant, by country too when that is given."""
        told = ReportedAccount(1, platform, account, currency, timezone)
        shapes: list[tuple[Breakdown, Mapping[date, Mapping[str, Amounts]]]] = [
            (Breakdown.TOTAL, {day: {"": amounts} for day, amounts in totals.items()})
        ]
        if by_country is not None:
            shapes.append((Breakdown.COUNTRY, by_country))
        for breakdown, days in shapes:
            for day in days_between(first, last):
                rows = tuple(
                    Figures(region, *(*amounts, *[0] * 5)[:5]) for region, amounts in days.get(day, {}).items()
                )
                self._tell(at_ms, told, ReportSlice(level, native, day, breakdown, at_ms * 1_000, "", rows))
            self._tell(at_ms, told, Coverage(level, native, breakdown, first, last, at_ms * 1_000))

    def report_days(
        self,
        natives: Sequence[NativeCampaign],
        first: date,
        last: date,
        as_of_ms: int | None,
        /,
        *,
        by_country: bool,
    ) -> ReportDays:
        self.asked["report_days"] += 1
        reports, days = Reports(self.told), list(days_between(first, last))
        rows = [
            (place, day, region, *found)
            for place, native in enumerate(natives)
            for day in days
            for region, found in sorted(reports.rows(native, day, as_of_ms, by_country=by_country).items())
        ]
        figures = [row[3] for row in rows]
        return ReportDays(
            native=np.array([row[0] for row in rows], np.int64),
            day=np.array([day_number(row[1]) for row in rows], np.int64),
            region=keys_of([row[2] for row in rows]),
            currency=keys_of([row[4] for row in rows]),
            definition=keys_of([row[5] for row in rows]),
            fetched_us=np.array([row[6] for row in rows], np.int64),
            metrics={metric: _given([one[n] for one in figures]) for n, metric in enumerate(Metric)},
            ever_seen=np.array([reports.seen(native, as_of_ms) for native in natives], bool),
            last_fetched_us=np.array([reports.last_fetched_us(native, as_of_ms) for native in natives], np.int64),
            timezone=[self._timezone(native, as_of_ms) for native in natives],
            covered_us={
                breakdown: np.array(
                    [[reports.covered_us(native, day, breakdown, as_of_ms) for day in days] for native in natives],
                    np.int64,
                )
                for breakdown in (Breakdown if by_country else [Breakdown.TOTAL])
            },
        )

    def _tell(self, at_ms: int, account: ReportedAccount, what: ReportSlice | Coverage) -> None:
        self.told.append(Told(at_ms, (len(self.told), 0), account, what))

    def _timezone(self, native: NativeCampaign, as_of_ms: int | None) -> str:
        told = [
            (one.what.fetched_at_us, one.account.timezone)
            for one in self.told
            if isinstance(one.what, Coverage) and one.is_about(native) and (as_of_ms is None or one.time_ms <= as_of_ms)
        ]
        return max(told)[1] if told else ""


def _given(values: Sequence[int | None]) -> GivenFigures:
    return GivenFigures(
        np.array([value or 0 for value in values], np.int64), np.array([value is not None for value in values], bool)
    )
