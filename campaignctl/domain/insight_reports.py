"""What reports contribute to an answer: which days they stand for, and their sums.

A day's total and the same day by country are kept apart. Asked by country, a day's rows are its countries and what they
leave of the total, which shows as region ZZ, so that the rows add up to the total again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import Enum, auto
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.insight_cells import CellKey, Cells, Days, NativeDays
from campaignctl.domain.insight_sums import (
    I64,
    LIMB_BITS,
    REPORTED,
    UNKNOWN,
    Keys,
    StoredSums,
    WideSums,
    joined,
    keys_of,
    wide_of,
)
from campaignctl.domain.insights import Dimension, GroupValue, InsightQuery, Metric, Source
from campaignctl.domain.periods import Bucket, Granularity, day_start
from campaignctl.domain.regions import UNKNOWN_REGION, is_subdivision

_DAY = timedelta(days=1)
_REPORTED_DIMENSIONS = {Dimension.CAMPAIGN, Dimension.PLATFORM, Dimension.REGION}
_TOTAL = ""
"""The region of a day's total."""


class Split(Enum):
    """How a question would have days split."""

    NOT_AT_ALL = auto()
    BY_COUNTRY = auto()
    OTHERWISE = auto()
    """In a way that no platform reports: by hour, ad group, ad or device, or down to a subdivision."""


@dataclass(frozen=True, slots=True)
class ReportedRows:
    """Rows of standing slices, in columns."""

    place: I64
    """Which of the native campaigns that were asked for."""
    day: I64
    """Number of the day in the range, from 0."""
    region: Keys
    """"" in a day's total."""
    currency: Keys
    metrics: Mapping[Metric, I64]
    """0 where the platform does not give the metric in this breakdown."""

    @classmethod
    def none(cls) -> "ReportedRows":
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, Keys(nothing, ()), Keys(nothing, ()), dict.fromkeys(Metric, nothing))


@dataclass(slots=True)
class Decision:
    """Where reports stand in place of the stream, and which could not."""

    used: dict[CellKey, Days] = field(default_factory=dict)
    passed_over: set[date] = field(default_factory=set)
    """Days of reports that cannot be split as asked."""
    incomplete: set[date] = field(default_factory=set)
    """Days on which a sister of a native campaign that has a report was never fetched."""

    def left_out(self) -> list[tuple[int, str, int]]:
        """(Campaign, platform, number of the day) of which the stream must not count."""
        return [(*key, day) for key, used in self.used.items() for day in np.flatnonzero(used).tolist()]

    def stands_for(self, campaign: int, platform: str, day: int) -> bool:
        used = self.used.get((campaign, platform))
        return used is not None and bool(used[day])


def split_of(query: InsightQuery) -> Split:
    if (
        query.granularity is Granularity.HOURLY
        or not set(query.group_by) <= _REPORTED_DIMENSIONS
        or any(map(is_subdivision, query.regions))
    ):
        return Split.OTHERWISE
    by_country = Dimension.REGION in query.group_by or query.regions
    return Split.BY_COUNTRY if by_country else Split.NOT_AT_ALL


def decide(query: InsightQuery, cells: Mapping[CellKey, Cells], streamed: Collection[tuple[int, str, int]]) -> Decision:
    """``streamed`` are the (campaign, platform, number of the day) that the stream has anything of.

    It is looked at for days that are not over in the account's zone only.
    """
    decision = Decision()
    if query.source is Source.STREAM:
        return decision
    split, days = split_of(query), list(query.days)
    for key, cell in cells.items():
        if query.source is Source.REPORT:
            stands = cell.known
        else:
            stands = cell.whole.copy()
            for day in np.flatnonzero(stands & ~cell.over).tolist():
                stands[day] = (*key, day) not in streamed
        if split is Split.NOT_AT_ALL:
            possible = stands
        else:
            possible = stands & cell.by_country if split is Split.BY_COUNTRY else np.zeros_like(stands)
        decision.used[key] = possible
        decision.passed_over.update(days[n] for n in np.flatnonzero(stands & ~possible).tolist())
        decision.incomplete.update(days[n] for n in np.flatnonzero(cell.partial).tolist())
    return decision


def buckets_without_rows(query: InsightQuery, buckets: Sequence[Bucket], decision: Decision) -> frozenset[int]:
    """Where reports alone were asked for and cannot be split as asked: what is there of such a bucket says nothing."""
    if query.source is not Source.REPORT or not decision.passed_over:
        return frozenset()
    passed = decision.passed_over
    return frozenset(n for n, bucket in enumerate(buckets) if any(day in passed for day in bucket.days))


def reported_sums(
    query: InsightQuery,
    buckets: Sequence[Bucket],
    cells: Mapping[CellKey, Cells],
    decision: Decision,
    rows: ReportedRows,
) -> StoredSums:
    """The rows of the answer that reports give."""
    natives = [(key, native) for key, cell in cells.items() for native in cell.natives]
    facts = _facts(natives, decision, rows)
    if split_of(query) is Split.BY_COUNTRY:
        parts = [one.only_regions(query.regions) if query.regions else one for one in _countries_and_rest(facts)]
    else:
        parts = [facts.only_regions([_TOTAL]), _zeros(natives, decision, query.currency)]
    sums = joined([part.sums(query, buckets) for part in parts])
    empty = buckets_without_rows(query, buckets, decision)
    if not empty:
        return sums
    sums = _without_buckets(sums, empty)
    if query.granularity is Granularity.TOTAL and not query.group_by:
        return joined([sums, _unknown_total(query)])
    return sums


def zones_apart(query: InsightQuery, cells: Mapping[CellKey, Cells], decision: Decision) -> dict[str, list[date]]:
    """By account zone the days of used reports that begin or end at another instant in the asked zone."""
    found: dict[str, list[date]] = {}
    by_zone: dict[str, Days] = {}
    for key, used in decision.used.items():
        for native in cells[key].natives:
            of_native = used & native.runs & native.covered
            by_zone[native.zone.key] = by_zone.get(native.zone.key, np.zeros_like(used)) | of_native
    days = list(query.days)
    for zone, used in by_zone.items():
        if zone != query.zone.key:
            apart = [days[n] for n in np.flatnonzero(used).tolist() if _apart(days[n], ZoneInfo(zone), query.zone)]
            if apart:
                found[zone] = apart
    return found


def _apart(day: date, own: ZoneInfo, asked: ZoneInfo) -> bool:
    return any(day_start(edge, own) != day_start(edge, asked) for edge in (day, day + _DAY))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What reports say, a row for each (native campaign of a campaign, day, region), in columns."""

    natives: Sequence[tuple[CellKey, NativeDays]]
    native: I64
    day: I64
    region: Keys
    currency: Keys
    metrics: Mapping[Metric, WideSums]

    def pick(self, rows: I64 | NDArray[np.bool_]) -> "_Facts":
        return replace(
            self,
            native=self.native[rows],
            day=self.day[rows],
            region=Keys(self.region.codes[rows], self.region.names),
            currency=Keys(self.currency.codes[rows], self.currency.names),
            metrics={m: WideSums(wide.high[rows], wide.low[rows]) for m, wide in self.metrics.items()},
        )

    def only_regions(self, regions: Iterable[str]) -> "_Facts":
        wanted = set(regions)
        return self.pick(np.array([name in wanted for name in self.region.names], bool)[self.region.codes])

    def sums(self, query: InsightQuery, buckets: Sequence[Bucket]) -> StoredSums:
        bucket_of = np.zeros(len(query.days), np.int64)
        for number, bucket in enumerate(buckets):
            first = (bucket.days.first - query.days.first).days
            bucket_of[first : first + len(bucket.days)] = number
        foreign = np.array([name != query.currency for name in self.currency.names], bool)[self.currency.codes]
        return StoredSums(
            bucket=bucket_of[self.day],
            groups=tuple(self._keys(dimension) for dimension in query.group_by),
            currency=self.currency,
            money_day=np.where(foreign, self.day, -1),
            metrics=self.metrics,
            marks=np.full(len(self.native), REPORTED),
        )

    def _keys(self, dimension: Dimension) -> Keys:
        if dimension is Dimension.REGION:
            return self.region
        place = {Dimension.CAMPAIGN: 0, Dimension.PLATFORM: 1}.get(dimension)
        names: list[GroupValue] = [] if place is None else [key[place] for key, _ in self.natives]
        of_native = keys_of(names)
        return Keys(of_native.codes[self.native], of_native.names)


def _facts(natives: Sequence[tuple[CellKey, NativeDays]], decision: Decision, rows: ReportedRows) -> _Facts:
    """The rows that count: of native campaigns and days that are there and used, for each campaign that claims them."""
    used = np.array([decision.used[key] & native.there for key, native in natives], bool)
    claims: dict[int, list[int]] = {}
    for number, (_, native) in enumerate(natives):
        claims.setdefault(native.place, []).append(number)
    most = max(map(len, claims.values()), default=0)
    picked, owners = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for turn in range(most):
        owner_of = np.full(max(claims) + 1, -1)
        for place, numbers in claims.items():
            owner_of[place] = numbers[turn] if turn < len(numbers) else -1
        owner = np.where(rows.place < len(owner_of), owner_of[np.minimum(rows.place, len(owner_of) - 1)], -1)
        counts = np.flatnonzero((owner >= 0) & used[np.maximum(owner, 0), rows.day])
        picked.append(counts)
        owners.append(owner[counts])
    chosen = np.concatenate(picked)
    return _Facts(
        natives=natives,
        native=np.concatenate(owners),
        day=rows.day[chosen],
        region=Keys(rows.region.codes[chosen], rows.region.names),
        currency=Keys(rows.currency.codes[chosen], rows.currency.names),
        metrics={metric: _wide(values[chosen]) for metric, values in rows.metrics.items()},
    )


def _zeros(natives: Sequence[tuple[CellKey, NativeDays]], decision: Decision, currency: str) -> _Facts:
    """A 0 for every day of a cell whose report is used: covered without a row says 0, and that takes part."""
    owners, days, seen = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], set()
    for number, (key, _) in enumerate(natives):
        if key not in seen:
            seen.add(key)
            days.append(np.flatnonzero(decision.used[key]))
            owners.append(np.full(len(days[-1]), number))
    day = np.concatenate(days)
    nothing = _wide(np.zeros(len(day), np.int64))
    return _Facts(
        natives=natives,
        native=np.concatenate(owners),
        day=day,
        region=Keys(np.zeros(len(day), np.int64), (_TOTAL,)),
        currency=Keys(np.zeros(len(day), np.int64), (currency,)),
        metrics=dict.fromkeys(Metric, nothing),
    )


def _countries_and_rest(facts: _Facts) -> tuple[_Facts, _Facts]:
    """The rows of countries, and what they leave of each total, in its currency, where that is not 0 throughout."""
    names = facts.region.names
    is_total = np.array([name == _TOTAL for name in names], bool)[facts.region.codes]
    is_country = np.array([name not in {_TOTAL, UNKNOWN_REGION} for name in names], bool)[facts.region.codes]
    countries = facts.pick(is_country)
    parts = facts.pick(is_total | is_country)
    sign = np.where(np.array([name == _TOTAL for name in names], bool)[parts.region.codes], 1, -1)
    days = int(facts.day.max(initial=0)) + 1
    key = (parts.native * days + parts.day) * len(parts.currency.names) + parts.currency.codes
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    if not len(starts):
        return countries, parts
    rest = {m: WideSums(sign * w.high, sign * w.low).by(order, starts) for m, w in parts.metrics.items()}
    left = np.logical_or.reduce([wide.any_but_zero() for wide in rest.values()])
    of_day = parts.pick(order[starts])
    unknown = Keys(np.zeros(len(starts), np.int64), (UNKNOWN_REGION,))
    return countries, replace(of_day, region=unknown, metrics=rest).pick(left)


def _wide(values: I64) -> WideSums:
    high = values >> LIMB_BITS
    return WideSums(high, values - (high << LIMB_BITS))


def _without_buckets(sums: StoredSums, empty: Collection[int]) -> StoredSums:
    kept = ~np.isin(sums.bucket, list(empty))
    return StoredSums(
        bucket=sums.bucket[kept],
        groups=tuple(Keys(keys.codes[kept], keys.names) for keys in sums.groups),
        currency=Keys(sums.currency.codes[kept], sums.currency.names),
        money_day=sums.money_day[kept],
        metrics={metric: WideSums(wide.high[kept], wide.low[kept]) for metric, wide in sums.metrics.items()},
        marks=sums.all_marks()[kept],
    )


def _unknown_total(query: InsightQuery) -> StoredSums:
    return StoredSums(
        bucket=np.zeros(1, np.int64),
        groups=(),
        currency=keys_of([query.currency]),
        money_day=np.full(1, -1),
        metrics=dict.fromkeys(Metric, wide_of([0])),
        marks=np.full(1, REPORTED | UNKNOWN),
    )
