"""Periods of an answer: buckets of local days or clock hours, and where they lie in time.

``zoneinfo`` alone says what the offset of a zone is. The store only compares instants with the edges that are made
here, so it needs no time zone database of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = date(1970, 1, 1)
_DAY = timedelta(days=1)
_DAY_S, _HOUR_S = 86_400, 3_600
_MICROSECONDS = 1_000_000
# Offsets are compared this far apart. No zone of the database changes twice within it and ends where it began.
_STEP_S = 6 * _HOUR_S


class Granularity(StrEnum):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    TOTAL = "total"


class WeekStart(StrEnum):
    MONDAY = "monday"
    SUNDAY = "sunday"


@dataclass(frozen=True, slots=True)
class DayRange:
    """Calendar days, both inclusive."""

    first: date
    last: date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        return (self.first + n * _DAY for n in range(len(self)))

    def before(self) -> "DayRange":
        """As many days directly before."""
        return DayRange(self.first - len(self) * _DAY, self.first - _DAY)

    def year_before(self) -> "DayRange":
        """The same dates a year before; 28 February for the 29th."""
        return DayRange(_year_before(self.first), _year_before(self.last))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One period, as a whole and as far as it lies inside the asked range."""

    start: date | datetime
    """The first day, or the first instant of a clock hour, of the whole period."""
    end: date | datetime
    """The last day; of a clock hour the instant at which the next one starts."""
    days: DayRange
    """Its days inside the asked range; of a clock hour the day it belongs to."""

    @property
    def partial(self) -> bool:
        """Whether the asked range covers only a part of the period."""
        return not isinstance(self.start, datetime) and (self.start, self.end) != (self.days.first, self.days.last)

    def begun(self, now: datetime, today: date) -> bool:
        """Whether any of its time inside the range has begun; ``today`` is the day of ``now`` in the asked zone."""
        return self.start <= now if isinstance(self.start, datetime) else self.days.first <= today


@dataclass(frozen=True, slots=True)
class Timeline:
    """Consecutive stretches of time, each belonging to one of some numbered things, or to none of them.

    Stretch ``i`` runs from ``edges_us[i]`` (inclusive, epoch microseconds) to ``edges_us[i + 1]`` and belongs to
    ``owners[i]``, -1 for none. Local time may run backwards over midnight, so a thing can own several stretches; a day
    that a zone left out owns none.
    """

    edges_us: tuple[int, ...]
    owners: tuple[int, ...]


def buckets_of_days(days: DayRange, granularity: Granularity, week_start: WeekStart) -> list[Bucket]:
    """The days, weeks or months that the range touches, or the one total; in order of time."""
    if granularity is Granularity.TOTAL:
        return [Bucket(days.first, days.last, days)]
    buckets = []
    first = _bucket_start(days.first, granularity, week_start)
    while first <= days.last:
        following = _following(first, granularity)
        inside = DayRange(max(first, days.first), min(following - _DAY, days.last))
        buckets.append(Bucket(first, following - _DAY, inside))
        first = following
    return buckets


def buckets_of_hours(days: DayRange, zone: ZoneInfo) -> tuple[list[Bucket], Timeline]:
    """The clock hours of the days in the zone, cut where the offset changes, in order of time; and when they are."""
    stretches = list(_stretches(days, zone, _HOUR_S))
    instants = [datetime.fromtimestamp(start, zone) for start, _ in stretches]
    buckets: list[Bucket] = []
    owned = []
    for n, (start, hour) in enumerate(stretches):
        inside = _is_inside(hour // 24, days)
        owned.append((start, len(buckets) if inside else -1))
        if inside:
            day = EPOCH + hour // 24 * _DAY
            buckets.append(Bucket(instants[n], instants[n + 1], DayRange(day, day)))
    return buckets, _timeline(owned)


def timeline_of_days(days: DayRange, zone: ZoneInfo) -> Timeline:
    """When each day of the range is in the zone; the owners are numbers of days, from 0 for the first."""
    return _owned_by_day(days, zone, range(len(days)))


def timeline_of_buckets(buckets: Sequence[Bucket], days: DayRange, zone: ZoneInfo) -> Timeline:
    """When each bucket of ``buckets_of_days`` is in the zone, as far as it lies inside the range."""
    return _owned_by_day(days, zone, [n for n, bucket in enumerate(buckets) for _ in range(len(bucket.days))])


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day in a zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def _owned_by_day(days: DayRange, zone: ZoneInfo, owner_of_day: Sequence[int]) -> Timeline:
    first = day_number(days.first)
    return _timeline(
        [
            (start, owner_of_day[day - first] if _is_inside(day, days) else -1)
            for start, day in _stretches(days, zone, _DAY_S)
        ]
    )


def _timeline(stretches: list[tuple[int, int]]) -> Timeline:
    """From (start in seconds, owner); neighbours of one owner become one stretch, what nobody owns at the ends goes."""
    joined: list[tuple[int, int]] = []
    for start, owner in stretches:
        if (joined and joined[-1][1] != owner) or (not joined and owner >= 0):
            joined.append((start, owner))
    edges_us = tuple(start * _MICROSECONDS for start, _ in joined)
    return Timeline(edges_us, tuple(owner for _, owner in joined[:-1]))


def _is_inside(day: int, days: DayRange) -> bool:
    return day_number(days.first) <= day <= day_number(days.last)


def _stretches(days: DayRange, zone: ZoneInfo, unit_s: int) -> Iterator[tuple[int, int]]:
    """(Start in epoch seconds, number of the local unit since 1970) from before the range to behind it, in order."""
    segments = _offsets(days, zone)
    ends = [*(start for start, _ in segments[1:]), (day_number(days.last) + 3) * _DAY_S]
    for (start, offset), end in zip(segments, ends, strict=True):
        unit = (start + offset) // unit_s
        while (unit_start := unit * unit_s - offset) < end:
            yield max(unit_start, start), unit
            unit += 1


def _offsets(days: DayRange, zone: ZoneInfo) -> list[tuple[int, int]]:
    """(From which epoch second, the offset in seconds) from two days before the range to two days behind it."""
    start_s = (day_number(days.first) - 2) * _DAY_S
    end_s = (day_number(days.last) + 3) * _DAY_S
    years = range(days.first.year - 1, days.last.year + 2)
    changes = [change for year in years for change in _changes_in_year(zone.key, year)]
    inside = [(at, offset) for at, offset in changes if start_s < at < end_s]
    return [(start_s, _offset_s(zone, start_s)), *inside]


@lru_cache(maxsize=2_048)
def _changes_in_year(zone_key: str, year: int) -> tuple[tuple[int, int], ...]:
    """(Epoch second, offset from then on) for each change of a UTC year's offset; 1 ms, once for a zone and year."""
    zone = ZoneInfo(zone_key)
    at, end = (round(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
    offset = _offset_s(zone, at)
    changes = []
    while at < end:
        step = min(at + _STEP_S, end)
        if _offset_s(zone, step) != offset:
            at, offset = _first_change(zone, at, step)
            changes.append((at, offset))
        else:
            at = step
    return tuple(changes)


def _first_change(zone: ZoneInfo, from_s: int, to_s: int) -> tuple[int, int]:
    before = _offset_s(zone, from_s)
    while to_s - from_s > 1:
        middle = (from_s + to_s) // 2
        if _offset_s(zone, middle) == before:
            from_s = middle
        else:
            to_s = middle
    return to_s, _offset_s(zone, to_s)


def _offset_s(zone: ZoneInfo, epoch_s: int) -> int:
    offset = datetime.fromtimestamp(epoch_s, zone).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0


def _bucket_start(day: date, granularity: Granularity, week_start: WeekStart) -> date:
    if granularity is Granularity.WEEKLY:
        back = day.weekday() if week_start is WeekStart.MONDAY else day.isoweekday() % 7
        return day - back * _DAY
    return day.replace(day=1) if granularity is Granularity.MONTHLY else day


def _following(first: date, granularity: Granularity) -> date:
    if granularity is Granularity.WEEKLY:
        return first + 7 * _DAY
    if granularity is Granularity.MONTHLY:
        return (first + 31 * _DAY).replace(day=1)
    return first + _DAY


def _year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year - 1, day=28)
