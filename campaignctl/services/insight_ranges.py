"""Answering for one range of days: the stream, the reports that stand in its place, and what neither can tell.

Of the statements for a range, the one for the stream's sums is always needed. Where reports are there, one asks for
them, and one of which campaigns and platforms the stream has anything. Where raw records have expired, one more asks
the rollup on which of these days there was anything at all.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from campaignctl.domain.insight_cells import CellKey, Cells, Judgement, calendar_levels
from campaignctl.domain.insight_gaps import Gap, days_around, days_sharing, expired_days, with_gaps
from campaignctl.domain.insight_rates import Conversions
from campaignctl.domain.insight_reports import (
    Decision,
    ReportedRows,
    Split,
    buckets_without_rows,
    decide,
    reported_sums,
    split_of,
    zones_apart,
)
from campaignctl.domain.insight_rows import Limits, RowTable
from campaignctl.domain.insight_sums import StoredSums, joined
from campaignctl.domain.insight_warnings import (
    breakdown_unavailable,
    raw_expired,
    report_day_timezone,
    report_incomplete,
)
from campaignctl.domain.insights import Dimension, Finality, GroupValue, InsightQuery, Source, Warning_
from campaignctl.domain.periods import (
    Bucket,
    DayRange,
    Granularity,
    Timeline,
    buckets_of_days,
    buckets_of_hours,
    timeline_of_buckets,
    timeline_of_days,
)
from campaignctl.ports.analytics import InsightStore, SumsQuestion
from campaignctl.services.insight_reports import Claim, ReportReader, Reports
from campaignctl.services.insight_scope import Scope

QUARTER_S = 900
"""Days and hours begin, in every zone, at quarters of an hour of UTC: answers are kept no longer."""
_DAY = timedelta(days=1)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_NOTHING = Reports({}, ReportedRows.none(), {})


def as_of_us(query: InsightQuery) -> int | None:
    """Epoch microseconds of the earlier time that is asked about."""
    return None if query.as_of is None else (query.as_of - _EPOCH) // _MICROSECOND


class RangeReader:
    """Reads the ranges of one answer, which share what they warn of."""

    def __init__(
        self,
        store: InsightStore,
        reports: ReportReader,
        scope: Scope,
        claims: Collection[Claim],
        conversions: Conversions,
        retention_days: int,
    ) -> None:
        """``claims`` are those of platforms that something was ever fetched of."""
        self._store = store
        self._reports = reports
        self._scope = scope
        self._claims = claims
        self._conversions = conversions
        self._retention_days = retention_days
        self._expired: set[date] = set()
        self._passed_over: set[date] = set()
        self._incomplete: set[date] = set()
        self._apart: dict[str, set[date]] = {}

    def table(self, query: InsightQuery) -> RowTable:
        return self.read(query).table(self._conversions)

    def read(self, query: InsightQuery) -> "RangeRead":
        """What the stores have for the range, and what was decided about it."""
        buckets, hours = _buckets(query)
        reports = self._reported(query)
        streamed = self._streamed(query, reports.cells) if reports.cells else _Streamed()
        decision = decide(query, reports.cells, streamed.open_days)
        parts: list[StoredSums] = []
        gaps: list[Gap] = []
        if query.source is not Source.REPORT:
            sums = self._sums(query, buckets, hours, decision)
            gaps = self._gaps(query, decision) if hours or not self._scope.fits_rollup(query) else []
            parts.append(with_gaps(sums, query, buckets, gaps))
        if query.source is Source.REPORT or any(used.any() for used in decision.used.values()):
            parts.append(reported_sums(query, buckets, reports.cells, decision, reports.rows))
        self._note(query, reports.cells, decision, gaps)
        with_data = streamed.cells | {(gap.campaign, gap.platform) for gap in gaps}
        unknown = decision.passed_over | decision.incomplete if query.source is Source.REPORT else gaps
        limits = Limits(
            no_totals=bool(unknown),
            left_empty=buckets_without_rows(query, buckets, decision),
            finality=_finality(query, reports.cells, with_data) if reports.cells else None,
        )
        return RangeRead(query, buckets, joined(parts), limits, reports.cells, decision, streamed.open_days)

    def warnings(self, query: InsightQuery) -> list[Warning_]:
        """What to know of all ranges that were read."""
        found, reports_only = self._conversions.warnings(), query.source is Source.REPORT
        if self._expired:
            found.append(raw_expired(self._expired, self._retention_days))
        if self._passed_over:
            found.append(breakdown_unavailable(self._passed_over, reports_only=reports_only))
        if self._incomplete:
            found.append(report_incomplete(self._incomplete, reports_only=reports_only))
        if self._apart:
            found.append(report_day_timezone(self._apart, query.zone.key))
        return found

    def _reported(self, query: InsightQuery) -> Reports:
        """The cells that have a report on any of the days, and their rows."""
        if not self._claims:
            return _NOTHING
        by_country = split_of(query) is Split.BY_COUNTRY
        reports = self._reports.read(self._claims, self._scope, query, query.days, by_country=by_country)
        cells = {key: cell for key, cell in reports.cells.items() if cell.known.any()}
        return replace(reports, cells=cells)

    def _streamed(self, query: InsightQuery, cells: Mapping[CellKey, Cells]) -> "_Streamed":
        """Of which campaigns and platforms the stream has anything, in whatever region."""
        undecided = np.flatnonzero(np.logical_or.reduce([cell.known & ~cell.over for cell in cells.values()])).tolist()
        cuts = sorted(({0, *undecided} | {day + 1 for day in undecided}) - {len(query.days)})
        first = query.days.first
        ranges = [
            DayRange(first + start * _DAY, first + (end - 1) * _DAY)
            for start, end in zip(cuts, [*cuts[1:], len(query.days)], strict=True)
        ]
        buckets = [Bucket(days.first, days.last, days) for days in ranges]
        asked = replace(query, regions=(), group_by=(Dimension.CAMPAIGN, Dimension.PLATFORM))
        sums = self._sums(asked, buckets, None, Decision())
        campaigns, platforms = ([keys.names[code] for code in keys.codes.tolist()] for keys in sums.groups)
        found = [(int(c), str(p)) for c, p in zip(campaigns, platforms, strict=True)]
        days = [cuts[number] for number in sums.bucket.tolist()]
        open_days = {(*key, day) for key, day in zip(found, days, strict=True) if day in undecided}
        return _Streamed(frozenset(found), frozenset(open_days))

    def _sums(
        self, query: InsightQuery, buckets: Sequence[Bucket], hours: Timeline | None, decision: Decision
    ) -> StoredSums:
        question = replace(_sums_question(query), left_out=decision.left_out())
        if hours is None and self._scope.fits_rollup(query):
            starts = [bucket.days.first for bucket in buckets]
            return self._store.sums_by_day(question, starts, query.days.last + _DAY)
        timeline = hours or timeline_of_buckets(buckets, query.days, query.zone)
        return self._store.sums_by_time(question, timeline, timeline_of_days(query.days, query.zone))

    def _gaps(self, query: InsightQuery, decision: Decision) -> list[Gap]:
        """What the rollup knows of on the days whose raw records may be gone, where no report stands."""
        now_s = int(query.asked_at.timestamp()) // QUARTER_S * QUARTER_S
        horizon = datetime.fromtimestamp(now_s, UTC) - timedelta(days=self._retention_days)
        expired = expired_days(query.days, query.zone, horizon)
        if expired is None:
            return []
        group_by = [Dimension.CAMPAIGN, Dimension.PLATFORM]
        if Dimension.REGION in query.group_by:
            group_by.append(Dimension.REGION)
        around = list(days_around(expired))
        question = replace(_sums_question(query), group_by=group_by, as_of_us=None)
        sums = self._store.sums_by_day(question, around, around[-1] + _DAY)
        gaps = set()
        for row, number in enumerate(sums.bucket.tolist()):
            values = [keys.names[keys.codes[row]] for keys in sums.groups]
            campaign, platform, region = int(values[0]), str(values[1]), str(values[2]) if len(values) > 2 else ""
            own = ZoneInfo(self._scope.facts[campaign].timezone)
            for day in days_sharing(around[number], own, query.zone):
                inside = expired.first <= day <= expired.last
                if inside and not decision.stands_for(campaign, platform, (day - query.days.first).days):
                    gaps.add(Gap(day, campaign, platform, region))
        return list(gaps)

    def _note(
        self, query: InsightQuery, cells: Mapping[CellKey, Cells], decision: Decision, gaps: Collection[Gap]
    ) -> None:
        self._expired.update(gap.day for gap in gaps)
        self._passed_over |= decision.passed_over
        self._incomplete |= decision.incomplete
        for zone, days in zones_apart(query, cells, decision).items():
            self._apart.setdefault(zone, set()).update(days)


@dataclass(frozen=True, slots=True)
class RangeRead:
    """What one range's numbers are made of."""

    query: InsightQuery
    buckets: Sequence[Bucket]
    sums: StoredSums
    """Of the stream and of reports, in the currencies that they are in."""
    limits: Limits
    cells: Mapping[CellKey, Cells]
    """Those that have a report on any of the days."""
    decision: Decision
    open_days: Collection[tuple[int, str, int]]
    """(Campaign, platform, number of the day) that the stream has anything of, for days that are not over."""

    def table(self, conversions: Conversions) -> RowTable:
        return RowTable(self.query, self.buckets, self.sums, conversions, self.limits)


@dataclass(frozen=True, slots=True)
class _Streamed:
    """What the stream has anything of."""

    cells: frozenset[CellKey] = frozenset()
    open_days: frozenset[tuple[int, str, int]] = frozenset()
    """(Campaign, platform, number of the day), for days that are not over in an account's zone."""


def _buckets(query: InsightQuery) -> tuple[Sequence[Bucket], Timeline | None]:
    """The buckets of the range; and when they are, where they are hours."""
    if query.granularity is Granularity.HOURLY:
        return buckets_of_hours(query.days, query.zone)
    return buckets_of_days(query.days, query.granularity, query.week_start), None


def _sums_question(query: InsightQuery) -> SumsQuestion:
    return SumsQuestion(
        query.campaign_ids, query.platforms, query.regions, query.group_by, query.currency, as_of_us(query)
    )


def _finality(
    query: InsightQuery, cells: Mapping[CellKey, Cells], streamed: Collection[CellKey]
) -> Callable[[Bucket, Sequence[GroupValue]], Finality]:
    """How final rows are, by their days and by the campaigns and platforms that they may be of."""
    calendar = calendar_levels(query.days, query.today)
    levels = {key: cells[key].levels(calendar) if key in cells else calendar for key in {*cells, *streamed}}
    judgement = Judgement(calendar, levels)
    places = {dimension: place for place, dimension in enumerate(query.group_by)}
    campaign_place, platform_place = places.get(Dimension.CAMPAIGN), places.get(Dimension.PLATFORM)

    def judged(bucket: Bucket, group: Sequence[GroupValue]) -> Finality:
        first = (bucket.days.first - query.days.first).days
        last = (bucket.days.last - query.days.first).days
        campaign = None if campaign_place is None else int(group[campaign_place])
        platform = None if platform_place is None else str(group[platform_place])
        return judgement.of(first, last, campaign, platform)

    return judged
