"""Pacing: what a campaign has spent of its budget, what it would have by now, and where it will land.

The plan is made of the campaign's settings alone: a period, its days, and the part of the budget that falls on them.
Everything is exact; an amount that does not come out even is rounded once, half to even, to 6 places.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from campaignctl.domain.campaigns import BudgetPeriod, Campaign, CampaignStatus
from campaignctl.domain.money import MILLION, div_half_even
from campaignctl.domain.periods import DayRange, day_start, local_day

RECENT_DAYS = 7
"""How many full days at most the daily spend of late is taken from."""
STOPPED_AFTER_DAYS = 2
"""An active campaign without spend for so many full days has stopped."""
STALE_AFTER = timedelta(hours=24)
"""Without anything newer than this, an active campaign's numbers are old."""
TOLERATED_PERCENT = 10
"""How far spend may be from what is expected by now before it is called over- or underspending."""
PROJECTION_METHOD = (
    f"what was spent, and for today and each day left the daily average of the last {RECENT_DAYS} full days at most"
)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Run:
    """The days on which the campaign runs."""

    first: date
    last: date | None
    """Inclusive; None: without end."""
    first_is_assumed: bool
    """Whether the campaign names no first day."""

    @classmethod
    def of(cls, campaign: Campaign) -> "Run":
        first = campaign.start_date
        if first is None:
            first = local_day(campaign.created_at, ZoneInfo(campaign.timezone))
            first = first if campaign.end_date is None else min(first, campaign.end_date)
        return cls(first, campaign.end_date, first_is_assumed=campaign.start_date is None)

    def within(self, days: DayRange) -> DayRange | None:
        first, last = max(days.first, self.first), days.last if self.last is None else min(days.last, self.last)
        return DayRange(first, last) if first <= last else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is paced: days of the campaign's run and what of the budget falls on them."""

    run: Run
    first: date
    last: date | None
    """Inclusive; None where a total budget has no end: then neither expectation nor landing can be told."""
    budget_micros: int | None
    """None without a budget, and for a part of a total budget whose end is open."""

    def elapsed_days(self, today: date) -> int:
        """Full days that are over."""
        gone = max((today - self.first).days, 0)
        total = self.total_days
        return gone if total is None else min(gone, total)

    @property
    def total_days(self) -> int | None:
        return None if self.last is None else (self.last - self.first).days + 1

    def days_left(self, today: date) -> int | None:
        """Today and the days after it."""
        total = self.total_days
        return None if total is None else total - self.elapsed_days(today)

    def days_to_date(self, today: date) -> DayRange | None:
        """The days that have begun; None before the first."""
        last = today if self.last is None else min(today, self.last)
        return DayRange(self.first, last) if self.first <= last else None

    def expected_micros(self, now: datetime, zone: ZoneInfo) -> int | None:
        """The budget's part by now: every day of the period has the same, and today as much as is over of it."""
        total = self.total_days
        if self.budget_micros is None or total is None:
            return None
        today = local_day(now, zone)
        gone = Fraction(self.elapsed_days(today))
        if self.first <= today and gone < total:
            begin, end = day_start(today, zone), day_start(today + _DAY, zone)
            gone += Fraction((now - begin) // timedelta(microseconds=1), (end - begin) // timedelta(microseconds=1))
        return _rounded(self.budget_micros * gone / total)


def plan(campaign: Campaign, today: date, start: date | None, end: date | None) -> Plan | None:
    """The period asked about, else the one that today (or the end of the run, when that is over) lies in.

    None where it holds no day of the campaign's run.
    """
    run = Run.of(campaign)
    first, last = _period(campaign.budget_period, run, today)
    first, last = start or first, end or last
    if last is None:
        first = max(first, run.first)
        whole = first == run.first
        return Plan(run, first, None, campaign.budget_micros if whole else None)
    days = run.within(DayRange(first, last))
    if days is None:
        return None
    return Plan(run, days.first, days.last, _share(campaign, run, days))


def _period(budget_period: BudgetPeriod, run: Run, today: date) -> tuple[date, date | None]:
    anchor = max(run.first, today if run.last is None else min(today, run.last))
    match budget_period:
        case BudgetPeriod.DAILY:
            return anchor, anchor
        case BudgetPeriod.MONTHLY:
            month = _month(anchor)
            return month.first, month.last
        case BudgetPeriod.TOTAL:
            return run.first, run.last


def _share(campaign: Campaign, run: Run, days: DayRange) -> int | None:
    """What of the budget falls on the days: of a month, or of the whole run, the part of its days."""
    budget = campaign.budget_micros
    if budget is None:
        return None
    match campaign.budget_period:
        case BudgetPeriod.DAILY:
            return budget * len(days)
        case BudgetPeriod.TOTAL:
            return None if run.last is None else _rounded(Fraction(budget * len(days), (run.last - run.first).days + 1))
        case BudgetPeriod.MONTHLY:
            return _rounded(sum((_of_month(budget, run, days, month) for month in _months(days)), Fraction(0)))


def _of_month(budget: int, run: Run, days: DayRange, month: DayRange) -> Fraction:
    runs = run.within(month)
    if runs is None:
        return Fraction(0)
    asked = (min(days.last, runs.last) - max(days.first, runs.first)).days + 1
    return Fraction(budget * asked, len(runs))


def _months(days: DayRange) -> Sequence[DayRange]:
    found = [_month(days.first)]
    while found[-1].last < days.last:
        found.append(_month(found[-1].last + _DAY))
    return found


def _month(day: date) -> DayRange:
    return DayRange(day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))


@dataclass(frozen=True, slots=True)
class Spent:
    """What insights say, in millionths of the campaign's currency; None where they cannot tell."""

    to_date_micros: int | None
    """Of the period's days that have begun."""
    today_micros: int | None
    recent_micros: Mapping[date, int | None]
    """Of the full days before today, of those with anything: the others are 0."""
    newest_at: datetime | None
    """The newest event or fetch."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What is not as it should be; None where it cannot be told."""

    stopped: bool | None
    stale: bool
    overspending: bool | None
    underspending: bool | None


@dataclass(frozen=True, slots=True)
class Pace:
    expected_micros: int | None
    remaining_micros: int | None
    """Below 0 once more than the budget is spent."""
    percent_micros: int | None
    """What of the budget is spent, in millionths of a percent."""
    daily_micros: int | None
    """The average of the full days of late."""
    projected_micros: int | None
    flags: Flags


def pace(campaign: Campaign, plan: Plan, spent: Spent, now: datetime) -> Pace:
    """The verdict."""
    zone = ZoneInfo(campaign.timezone)
    today = local_day(now, zone)
    budget, so_far = plan.budget_micros, spent.to_date_micros
    expected = plan.expected_micros(now, zone)
    runs = campaign.status is CampaignStatus.ACTIVE and plan.run.within(DayRange(today, today)) is not None
    recent = _recent(plan.run, spent, today)
    daily = Fraction(sum(recent), len(recent)) if recent else None
    known = None if budget is None or so_far is None else (budget, so_far)
    return Pace(
        expected_micros=expected,
        remaining_micros=None if known is None else known[0] - known[1],
        percent_micros=None if not budget or so_far is None else div_half_even(so_far * 100 * MILLION, budget),
        daily_micros=None if daily is None else _rounded(daily),
        projected_micros=_projected(plan, spent, daily, today, runs=runs),
        flags=Flags(
            stopped=_stopped(plan.run, spent, today) if runs else False,
            stale=runs and (spent.newest_at is None or now - spent.newest_at > STALE_AFTER),
            overspending=None if known is None else _is_over(known[1], known[0], expected),
            underspending=None if so_far is None or expected is None else _is_under(so_far, expected),
        ),
    )


def _recent(run: Run, spent: Spent, today: date) -> list[int] | None:
    """The spend of each full day of late on which the campaign ran; None where one of them cannot be told."""
    # Data may be older than a campaign that names no first day: what was there before it was made is no gap.
    begin = min([*spent.recent_micros, run.first]) if run.first_is_assumed else run.first
    first = max(today - RECENT_DAYS * _DAY, begin)
    last = today - _DAY if run.last is None else min(today - _DAY, run.last)
    if last < first:
        return None
    found = [spent.recent_micros.get(day, 0) for day in DayRange(first, last)]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None


def _projected(plan: Plan, spent: Spent, daily: Fraction | None, today: date, *, runs: bool) -> int | None:
    if plan.last is None or spent.to_date_micros is None or today < plan.run.first:
        return None
    if not runs or plan.last < today:
        return spent.to_date_micros  # as things are, nothing is added to it any more
    if daily is None or spent.today_micros is None:
        return None
    if plan.first > today:
        return _rounded(daily * ((plan.last - plan.first).days + 1))
    full_days = spent.to_date_micros - spent.today_micros
    return _rounded(full_days + max(daily, Fraction(spent.today_micros)) + daily * (plan.last - today).days)


def _stopped(run: Run, spent: Spent, today: date) -> bool | None:
    days = DayRange(today - STOPPED_AFTER_DAYS * _DAY, today - _DAY)
    if days.first < run.first:
        return False
    found = [spent.recent_micros.get(day, 0) for day in days]
    if any(found):
        return False
    return None if None in found else True


def _is_over(so_far: int, budget: int, expected: int | None) -> bool:
    return so_far > budget or (expected is not None and 100 * so_far > (100 + TOLERATED_PERCENT) * expected)


def _is_under(so_far: int, expected: int) -> bool:
    return 100 * so_far < (100 - TOLERATED_PERCENT) * expected


def _rounded(value: Fraction) -> int:
    return div_half_even(value.numerator, value.denominator)
