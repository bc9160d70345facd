"""Days whose raw records have expired: what of an answer cannot be told any more."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from campaignctl.domain.insight_sums import STREAMED, UNKNOWN, StoredSums, joined, keys_of, wide_of
from campaignctl.domain.insights import Dimension, Fill, GroupValue, InsightQuery, Metric
from campaignctl.domain.periods import Bucket, DayRange, day_start, local_day

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_OF_ROLLUP = (Dimension.CAMPAIGN, Dimension.PLATFORM, Dimension.REGION)


@dataclass(frozen=True, slots=True)
class Gap:
    """A day on which something happened whose raw records are gone."""

    day: date
    """Of the asked zone."""
    campaign: int
    platform: str
    region: str
    """"" unless the answer is grouped by region."""

    def value(self, dimension: Dimension) -> GroupValue:
        if dimension is Dimension.CAMPAIGN:
            return self.campaign
        return self.platform if dimension is Dimension.PLATFORM else self.region


def expired_days(days: DayRange, zone: ZoneInfo, horizon: datetime) -> DayRange | None:
    """The days that began before ``horizon``, from which on raw records are there; None when all are there."""
    last = min(days.last, local_day(horizon - _MICROSECOND, zone))
    return DayRange(days.first, last) if last >= days.first else None


def days_around(days: DayRange) -> DayRange:
    """The days of any zone that share an instant with the days of another one: zones are up to 26 hours apart."""
    return DayRange(days.first - 2 * _DAY, days.last + 2 * _DAY)


def days_sharing(day: date, own: ZoneInfo, asked: ZoneInfo) -> Iterator[date]:
    """The days of the asked zone that share an instant with a day of a campaign's own zone."""
    if own.key == asked.key:
        yield day
        return
    last = local_day(day_start(day + _DAY, own) - _MICROSECOND, asked)
    shared = local_day(day_start(day, own), asked)
    while shared <= last:
        yield shared
        shared += _DAY


def with_gaps(sums: StoredSums, query: InsightQuery, buckets: Sequence[Bucket], gaps: Collection[Gap]) -> StoredSums:
    """The sums with marks where they do not tell everything; a row that only a gap is known of is there too."""
    if not gaps:
        return sums
    told = [dimension for dimension in query.group_by if dimension in _OF_ROLLUP]
    numbers: dict[date, list[int]] = {}
    for number, bucket in enumerate(buckets):
        for day in bucket.days:
            numbers.setdefault(day, []).append(number)
    holes = {(n, tuple(map(gap.value, told))) for gap in gaps for n in numbers.get(gap.day, ())}
    if len(told) == len(query.group_by):
        return joined([sums, _unknown_rows(query, list(holes))])
    places = [query.group_by.index(dimension) for dimension in told]
    marked = _marked(sums, places, holes)
    if query.fill is Fill.NONE:
        return marked
    seen = {_group(sums, row) for row in range(len(sums))}
    by_told: dict[tuple[GroupValue, ...], list[tuple[GroupValue, ...]]] = {}
    for group in seen:
        by_told.setdefault(tuple(group[place] for place in places), []).append(group)
    filled = [(number, group) for number, values in holes for group in by_told.get(values, ())]
    return joined([marked, _unknown_rows(query, filled)])


def _marked(
    sums: StoredSums, places: Sequence[int], holes: Collection[tuple[int, tuple[GroupValue, ...]]]
) -> StoredSums:
    marks = sums.all_marks().copy()
    for row, bucket in enumerate(sums.bucket.tolist()):
        group = _group(sums, row)
        if (bucket, tuple(group[place] for place in places)) in holes:
            marks[row] |= UNKNOWN
    return replace(sums, marks=marks)


def _group(sums: StoredSums, row: int) -> tuple[GroupValue, ...]:
    return tuple(keys.names[keys.codes[row]] for keys in sums.groups)


def _unknown_rows(query: InsightQuery, cells: Sequence[tuple[int, tuple[GroupValue, ...]]]) -> StoredSums:
    return StoredSums(
        bucket=np.array([bucket for bucket, _ in cells], np.int64),
        groups=tuple(keys_of([group[place] for _, group in cells]) for place in range(len(query.group_by))),
        currency=keys_of([query.currency] * len(cells)),
        money_day=np.full(len(cells), -1),
        metrics=dict.fromkeys(Metric, wide_of([0] * len(cells))),
        marks=np.full(len(cells), STREAMED | UNKNOWN),
    )
