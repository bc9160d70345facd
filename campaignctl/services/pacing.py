"""Pacing of one campaign: its budget held against what insights answer. Nothing is added up here a second time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from campaignctl.domain.campaigns import Campaign, CampaignStatus
from campaignctl.domain.fields import FieldReader
from campaignctl.domain.insight_questions import MAX_DAYS
from campaignctl.domain.insights import Warning_
from campaignctl.domain.money import parse_number
from campaignctl.domain.pacing import RECENT_DAYS, Pace, Plan, Spent, pace, plan
from campaignctl.domain.periods import DayRange, local_day
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.ports.clock import Clock
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.insights import InsightAnswer

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2299, 12, 31)
"""What insights can be asked about."""
PARAMETERS = ("start_date", "end_date", "platform")
_DAY = timedelta(days=1)
Parameters = Mapping[str, Sequence[str]]


class Answering(Protocol):
    """What pacing needs of the insight service."""

    def run(self, parameters: Parameters, actor: Actor, *, campaign_id: int | None = None) -> InsightAnswer: ...


@dataclass(frozen=True, slots=True)
class Pacing:
    """An answer; money in millionths of the campaign's currency."""

    campaign: Campaign
    at: datetime
    plan: Plan
    spent: Spent
    pace: Pace
    days_left: int | None
    elapsed_days: int
    warnings: tuple[Warning_, ...]
    """By code."""


class PacingService:
    """May be used by several threads."""

    def __init__(self, campaigns: CampaignService, insights: Answering, clock: Clock) -> None:
        self._campaigns = campaigns
        self._insights = insights
        self._clock = clock

    def of(self, campaign_id: int, parameters: Parameters, actor: Actor) -> Pacing:
        """Of the days ``start_date`` to ``end_date`` (default: the budget's own period that today lies in).

        ``platform`` leaves other platforms' spend out; a budget is one for all of them, so nothing is then held
        against it. Raises ``NotFound``, ``InvalidInput`` or ``Unavailable``.
        """
        actor.require(Role.VIEWER)
        campaign = self._campaigns.get(campaign_id, actor)
        now = self._clock.now()
        today = local_day(now, ZoneInfo(campaign.timezone))
        planned = _plan(campaign, today, parameters)
        platforms = list(parameters.get("platform", ()))
        asking = _Asking(self._insights, actor, campaign, platforms)
        spent = asking.spent(planned, today)
        judged = pace(campaign, replace(planned, budget_micros=None) if platforms else planned, spent, now)
        own = _warnings(campaign, planned, judged, today, platforms)
        return Pacing(
            campaign,
            now,
            planned,
            spent,
            judged,
            planned.days_left(today),
            planned.elapsed_days(today),
            tuple(sorted((*own, *asking.warnings()), key=lambda one: one.code)),
        )


def _plan(campaign: Campaign, today: date, parameters: Parameters) -> Plan:
    errors: list[FieldError] = []
    reader = FieldReader(
        {name: parameters[name][0] for name in PARAMETERS[:2] if name in parameters}, PARAMETERS, errors
    )
    start, end = reader.day("start_date"), reader.day("end_date")
    if errors:
        raise InvalidInput(errors)
    for name, day in (("start_date", start), ("end_date", end)):
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise InvalidInput.of(name, f"must lie from {FIRST_DAY.isoformat()} to {LAST_DAY.isoformat()}")
    if start and end and end < start:
        raise InvalidInput.of("end_date", "must not lie before start_date")
    planned = plan(campaign, today, start, end)
    if planned is None:
        raise InvalidInput.of("start_date" if start else "end_date", "the campaign runs on none of these days")
    return planned


class _Asking:
    """The questions that one answer takes, and the warnings that came with their answers."""

    def __init__(self, insights: Answering, actor: Actor, campaign: Campaign, platforms: list[str]) -> None:
        self._insights = insights
        self._actor = actor
        self._campaign = campaign
        self._platforms = platforms
        self._warnings: dict[str, Warning_] = {}

    def spent(self, planned: Plan, today: date) -> Spent:
        recent = self._ask(DayRange(today - RECENT_DAYS * _DAY, today), "daily")
        by_day = {date.fromisoformat(row["period_start"]): _micros(row["spend"]) for row in recent["rows"]}
        today_micros = by_day.pop(today, 0)
        to_date: int | None = 0
        for piece in _pieces(planned.days_to_date(today)):
            found = _micros(self._ask(piece, "total")["totals"]["spend"])
            to_date = None if to_date is None or found is None else to_date + found
        ages = [one[name] for one in recent["freshness"] for name in ("last_event_at", "last_report_at")]
        newest_at = max((datetime.fromisoformat(one) for one in ages if one is not None), default=None)
        return Spent(to_date, today_micros, by_day, newest_at)

    def warnings(self) -> list[Warning_]:
        return list(self._warnings.values())

    def _ask(self, days: DayRange, granularity: str) -> dict[str, Any]:
        asked = {
            "start_date": [days.first.isoformat()],
            "end_date": [days.last.isoformat()],
            "granularity": [granularity],
            **({"platform": self._platforms} if self._platforms else {}),
        }
        found = self._insights.run(asked, self._actor, campaign_id=self._campaign.id)
        answer: dict[str, Any] = json.loads(found.body, parse_float=Decimal)
        for one in answer["warnings"]:
            self._warnings.setdefault(one["code"], Warning_(one["code"], one["message"]))
        return answer


def _pieces(days: DayRange | None) -> Iterator[DayRange]:
    """The days in ranges that one question may be about."""
    first = None if days is None else days.first
    while days is not None and first is not None and first <= days.last:
        last = min(first + (MAX_DAYS - 1) * _DAY, days.last)
        yield DayRange(first, last)
        first = last + _DAY


def _micros(amount: Decimal | int | None) -> int | None:
    number = (
        None if amount is None else parse_number(format(amount, "f") if isinstance(amount, Decimal) else str(amount))
    )
    return None if number is None else number.times_power_of_ten(6)


def _warnings(
    campaign: Campaign, planned: Plan, judged: Pace, today: date, platforms: Sequence[str]
) -> Iterator[Warning_]:
    if campaign.budget_micros is None:
        yield Warning_("no_budget", "the campaign has no budget: nothing is expected, and nothing held against it")
    elif platforms:
        yield Warning_(
            "budget_of_all_platforms",
            "the budget is one for all platforms: ask without platform to hold spend against it",
        )
    if campaign.budget_micros is not None and (planned.last is None or planned.budget_micros is None):
        yield Warning_("open_end", "the campaign names no end_date: its total budget cannot be spread over days")
    if planned.run.first_is_assumed:
        text = f"the campaign names no start_date: {planned.run.first.isoformat()} is taken for its first day"
        yield Warning_("start_assumed", text)
    is_running = campaign.status is CampaignStatus.ACTIVE and planned.last is not None and today <= planned.last
    if is_running and judged.daily_micros is None:
        yield Warning_("no_full_days", "there is no full day of late to project from")
    if judged.flags.stale:
        yield Warning_("stale_data", "nothing has come for 24 hours: spend may be more than is known")
