"""Which days reports speak of, and how final they are: judged per (campaign, platform, day), a *cell*.

A campaign may claim several native campaigns of one platform. A native campaign *runs* on the days for which it is
linked. Its report of a day is *there* once a fetch has covered the day and any fetch has ever had a row of it; covered
and never seen it counts as 0 beside a sister that is there. The report of a cell is *whole* when all that run are
covered and one is there; it is *partial* when one is there and another one was never covered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.insights import Finality
from campaignctl.domain.periods import DayRange, day_start, local_day

Days = NDArray[np.bool_]
"""Whether something is so, for each day of a range."""
Levels = NDArray[np.int8]
"""A finality for each day of a range, as its place in ``FINALITIES``."""
FINALITIES = tuple(Finality)
_LIVE, _PROVISIONAL, _SETTLING, _FINAL = range(4)
_DAY = timedelta(days=1)

CellKey = tuple[int, str]
"""Campaign and platform."""


@dataclass(frozen=True, slots=True)
class NativeDays:
    """A native campaign that a campaign claims, and what fetches have covered of it."""

    campaign: int
    platform: str
    place: int
    """Its place among the native campaigns whose reports were asked for."""
    zone: ZoneInfo
    """Of its account."""
    runs: Days
    covered: Days
    """By a fetch of totals."""
    covered_by_country: Days
    seen: bool
    """Whether any fetch has had a row of it, of any day."""

    @property
    def there(self) -> Days:
        return self.runs & self.covered & self.seen


class Cells:
    """The days of a campaign on a platform."""

    def __init__(self, days: DayRange, natives: Sequence[NativeDays], now: datetime, lookback_days: int) -> None:
        self.days = days
        self.natives = natives
        self._now = now
        self._lookback_days = lookback_days
        someone = _any(native.there for native in natives)
        lacking = _any(native.runs & ~native.covered for native in natives)
        self.whole: Days = someone & ~lacking
        self.partial: Days = someone & lacking

    @cached_property
    def known(self) -> Days:
        """Where a report is there, also if not of all native campaigns."""
        return self.whole | self.partial

    @cached_property
    def by_country(self) -> Days:
        """Where every report that is there was also fetched by country."""
        return ~_any(native.there & ~native.covered_by_country for native in self.natives)

    @cached_property
    def over(self) -> Days:
        """Where the day is over in the zones of all its accounts."""
        return ~_any(native.runs & native.covered & ~self._before(native, 0) for native in self.natives)

    def levels(self, calendar: Levels) -> Levels:
        """The finality of each day; ``calendar`` has it for the days that have no report."""
        reported: Levels = np.full(len(self.days), _FINAL, np.int8)
        for native in self.natives:
            settled = self._before(native, self._lookback_days)
            own = np.where(settled, _FINAL, np.where(self._before(native, 0), _SETTLING, _LIVE))
            reported = np.where(native.runs & native.covered, np.minimum(reported, own), reported).astype(np.int8)
        return np.where(self.whole, reported, calendar)

    def expected_final_at(self, day: date) -> datetime:
        """When a day that has a report is final."""
        number = (day - self.days.first).days
        last = day + (1 + self._lookback_days) * _DAY
        return max(day_start(last, one.zone) for one in self.natives if one.runs[number] and one.covered[number])

    def _before(self, native: NativeDays, days: int) -> Days:
        """Where a day ended at least so many days ago in the account's zone."""
        today = local_day(self._now, native.zone)
        return np.arange(len(self.days)) < (today - self.days.first).days - days


def calendar_levels(days: DayRange, today: date) -> Levels:
    """Finality of days that have no report: whether they are over in the asked zone."""
    over = np.arange(len(days)) < (today - days.first).days
    return np.where(over, _PROVISIONAL, _LIVE).astype(np.int8)


class Judgement:
    """How final rows are: the weakest of their days and of the platforms that have data in the range."""

    def __init__(self, calendar: Levels, levels: Mapping[CellKey, Levels]) -> None:
        """``levels`` of every campaign and platform that has data in the range."""
        self._calendar = calendar
        self._levels = levels
        self._weakest: dict[tuple[int | None, str | None], Levels] = {}

    def of(self, first: int, last: int, campaign: int | None, platform: str | None) -> Finality:
        """For a row about these (inclusive) numbers of days; None: about every campaign, every platform."""
        key = (campaign, platform)
        weakest = self._weakest.get(key)
        if weakest is None:
            weakest = self._weakest[key] = self._of(campaign, platform)
        return FINALITIES[int(weakest[first : last + 1].min())]

    def _of(self, campaign: int | None, platform: str | None) -> Levels:
        about = [
            levels
            for (own_campaign, own_platform), levels in self._levels.items()
            if campaign in (None, own_campaign) and platform in (None, own_platform)
        ]
        weakest: Levels = np.minimum.reduce(about) if about else self._calendar
        return weakest


def _any(days: Iterable[Days]) -> Days:
    found: Days = np.logical_or.reduce(list(days))
    return found
