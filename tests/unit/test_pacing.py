"""Pacing: periods, the budget's part of them, expectation, landing, flags; and the answers it is built on."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from campaignctl.domain.campaigns import BudgetPeriod, Campaign, CampaignStatus
from campaignctl.domain.pacing import Plan, Spent, pace, plan
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput
from campaignctl.services.insights import InsightAnswer
from campaignctl.services.pacing import PacingService
from tests.fakes.clock import ManualClock

NOW = datetime(2026, 10, 16, 12, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)
MILLION = 1_000_000
CAMPAIGN = Campaign(
    42, 1, "Diwali", (), 3_100 * MILLION, BudgetPeriod.MONTHLY, "USD", "UTC", date(2026, 9, 1), None,
    CampaignStatus.ACTIVE, 1, datetime(2026, 8, 30, tzinfo=UTC), datetime(2026, 8, 30, tzinfo=UTC),
)  # fmt: skip


def planned(campaign: Campaign = CAMPAIGN, start: date | None = None, end: date | None = None) -> Plan:
    found = plan(campaign, TODAY, start, end)
    assert found is not None
    return found


def spent(to_date: int | None, *, today: int | None = 0, daily: int | None = 100, age: timedelta = DAY / 24) -> Spent:
    recent = {TODAY - n * DAY: None if daily is None else daily * MILLION for n in range(1, 8)}
    return Spent(
        None if to_date is None else to_date * MILLION, None if today is None else today * MILLION, recent, NOW - age
    )


def total(**members: Any) -> Campaign:
    return replace(CAMPAIGN, budget_period=BudgetPeriod.TOTAL, **members)


# Periods


@pytest.mark.parametrize(
    ("campaign", "first", "last", "budget"),
    [
        (CAMPAIGN, date(2026, 10, 1), date(2026, 10, 31), 3_100),
        (replace(CAMPAIGN, start_date=date(2026, 10, 11)), date(2026, 10, 11), date(2026, 10, 31), 3_100),
        (replace(CAMPAIGN, end_date=date(2026, 9, 20)), date(2026, 9, 1), date(2026, 9, 20), 3_100),
        (replace(CAMPAIGN, start_date=date(2026, 12, 5)), date(2026, 12, 5), date(2026, 12, 31), 3_100),
        (replace(CAMPAIGN, budget_period=BudgetPeriod.DAILY), TODAY, TODAY, 3_100),
        (total(end_date=date(2026, 10, 30)), date(2026, 9, 1), date(2026, 10, 30), 3_100),
        (total(), date(2026, 9, 1), None, 3_100),
        (total(start_date=None), date(2026, 8, 30), None, 3_100),
        (total(budget_micros=None), date(2026, 9, 1), None, None),
        (replace(CAMPAIGN, start_date=date(9999, 12, 20)), date(9999, 12, 20), date(9999, 12, 31), 3_100),
    ],
)
def test_the_period_that_today_lies_in(campaign: Campaign, first: date, last: date | None, budget: int | None) -> None:
    found = planned(campaign)
    assert (found.first, found.last) == (first, last)
    assert found.budget_micros == (None if budget is None else budget * MILLION)


def test_the_budgets_part_of_the_days_asked_about() -> None:
    # half of September's 30 days and 10 of October's 31
    part = planned(CAMPAIGN, date(2026, 9, 16), date(2026, 10, 10)).budget_micros
    assert part == 2_550 * MILLION
    assert planned(CAMPAIGN, date(2026, 8, 1), date(2026, 9, 30)).first == date(2026, 9, 1)
    daily = replace(CAMPAIGN, budget_period=BudgetPeriod.DAILY)
    assert planned(daily, date(2026, 10, 1), date(2026, 10, 10)).budget_micros == 31_000 * MILLION
    whole = total(end_date=date(2026, 9, 3), budget_micros=1)
    assert planned(whole, date(2026, 9, 1), date(2026, 9, 2)).budget_micros == 1
    assert planned(whole, date(2026, 9, 1), date(2026, 9, 1)).budget_micros == 0
    assert planned(total(), date(2026, 9, 1), date(2026, 9, 2)).budget_micros is None
    assert plan(CAMPAIGN, TODAY, date(2026, 7, 1), date(2026, 8, 31)) is None


def test_days() -> None:
    found = planned()
    assert (found.total_days, found.elapsed_days(TODAY), found.days_left(TODAY)) == (31, 15, 16)
    assert found.elapsed_days(date(2026, 9, 1)) == 0
    assert (found.elapsed_days(date(2027, 1, 1)), found.days_left(date(2027, 1, 1))) == (31, 0)
    open_end = planned(total())
    assert (open_end.total_days, open_end.days_left(TODAY), open_end.elapsed_days(TODAY)) == (None, None, 45)


# Expectation and landing


def test_expected_counts_as_much_of_today_as_is_over() -> None:
    judged = pace(CAMPAIGN, planned(), spent(1_550), NOW)
    assert judged.expected_micros == 1_550 * MILLION
    later = pace(CAMPAIGN, planned(), spent(1_550), NOW + timedelta(hours=6))
    assert later.expected_micros == 1_575 * MILLION
    over = pace(CAMPAIGN, planned(CAMPAIGN, date(2026, 9, 1), date(2026, 9, 30)), spent(3_100), NOW)
    assert over.expected_micros == 3_100 * MILLION
    assert pace(CAMPAIGN, planned(CAMPAIGN, date(2026, 11, 1), date(2026, 11, 30)), spent(0), NOW).expected_micros == 0


def test_a_day_of_25_hours_is_one_day() -> None:
    berlin = replace(CAMPAIGN, timezone="Europe/Berlin", budget_period=BudgetPeriod.DAILY, budget_micros=25 * MILLION)
    at = datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(hours=10)
    found = plan(berlin, date(2026, 10, 25), None, None)
    assert found is not None
    assert pace(berlin, found, spent(10), at).expected_micros == 10 * MILLION


def test_the_landing_is_the_days_of_late_for_what_is_left() -> None:
    judged = pace(CAMPAIGN, planned(), spent(1_540, today=40), NOW)
    assert judged.daily_micros == 100 * MILLION
    assert judged.projected_micros == (1_500 + 100 + 15 * 100) * MILLION
    more_today = pace(CAMPAIGN, planned(), spent(1_700, today=200), NOW)
    assert more_today.projected_micros == (1_500 + 200 + 15 * 100) * MILLION
    assert (judged.remaining_micros, judged.percent_micros) == (1_560 * MILLION, 49_677_419)


def test_a_landing_that_does_not_come_out_even_is_rounded_once() -> None:
    recent = {TODAY - DAY: 1, TODAY - 2 * DAY: 0, TODAY - 3 * DAY: 0}
    campaign = replace(CAMPAIGN, start_date=TODAY - 3 * DAY)
    judged = pace(campaign, planned(campaign), Spent(1, 0, recent, NOW), NOW)
    assert (judged.daily_micros, judged.projected_micros) == (0, 6)  # 1 + 16/3


def test_nothing_is_projected_where_nothing_is_known() -> None:
    first_day = replace(CAMPAIGN, start_date=TODAY)
    assert pace(first_day, planned(first_day), Spent(5, 5, {}, NOW), NOW).projected_micros is None
    assert pace(CAMPAIGN, planned(), spent(1_550, daily=None), NOW).projected_micros is None
    assert pace(CAMPAIGN, planned(), spent(1_550, today=None), NOW).projected_micros is None
    assert pace(total(), planned(total()), spent(1_550), NOW).projected_micros is None
    unknown = pace(CAMPAIGN, planned(), spent(None), NOW)
    assert (unknown.remaining_micros, unknown.percent_micros, unknown.projected_micros) == (None, None, None)
    assert (unknown.flags.overspending, unknown.flags.underspending) == (None, None)
    not_begun = replace(CAMPAIGN, start_date=TODAY + DAY)
    assert pace(not_begun, planned(not_begun), Spent(0, 0, {}, None), NOW).projected_micros is None


def test_what_does_not_run_lands_where_it_is() -> None:
    paused = replace(CAMPAIGN, status=CampaignStatus.PAUSED)
    assert pace(paused, planned(paused), spent(700), NOW).projected_micros == 700 * MILLION
    ended = replace(CAMPAIGN, end_date=date(2026, 10, 10))
    assert pace(ended, planned(ended), spent(700), NOW).projected_micros == 700 * MILLION


# Flags


@pytest.mark.parametrize(
    ("to_date", "over", "under"),
    [(1_705, False, False), (1_706, True, False), (1_395, False, False), (1_394, False, True), (3_101, True, False)],
)
def test_over_and_under_begin_beyond_a_tenth_of_what_is_expected(to_date: int, over: bool, under: bool) -> None:
    flags = pace(CAMPAIGN, planned(), spent(to_date), NOW).flags
    assert (flags.overspending, flags.underspending) == (over, under)


def test_more_than_the_budget_is_over_without_an_end_too() -> None:
    assert pace(total(), planned(total()), spent(3_101), NOW).flags.overspending is True
    flags = pace(total(), planned(total()), spent(3_100), NOW).flags
    assert (flags.overspending, flags.underspending) == (False, None)


def test_stopped_and_stale_are_said_of_what_should_run_alone() -> None:
    def flags(campaign: Campaign = CAMPAIGN, **of: Any) -> tuple[bool | None, bool]:
        found = pace(campaign, planned(campaign), spent(1_550, **of), NOW).flags
        return found.stopped, found.stale

    assert flags() == (False, False)
    assert flags(daily=0) == (True, False)
    assert flags(daily=None) == (None, False)
    assert flags(age=timedelta(hours=24)) == (False, False)
    assert flags(age=timedelta(hours=24, seconds=1)) == (False, True)
    assert flags(replace(CAMPAIGN, status=CampaignStatus.PAUSED), daily=0, age=9 * DAY) == (False, False)
    assert flags(replace(CAMPAIGN, end_date=TODAY - DAY), daily=0, age=9 * DAY) == (False, False)
    assert flags(replace(CAMPAIGN, start_date=TODAY - DAY), daily=0) == (False, False)
    assert pace(CAMPAIGN, planned(), Spent(0, 0, {}, None), NOW).flags.stale is True


# The service


class Insights:
    """Answers as the insight service does: a row a day, or the total."""

    def __init__(self, spend: dict[date, str | None], warnings: tuple[str, ...] = ()) -> None:
        self.spend = spend
        self.warnings = warnings
        self.last_event_at = "2026-10-16T11:00:00Z"
        self.asked: list[tuple[str, str, str]] = []
        self.platforms: list[Any] = []

    def run(self, parameters: Any, actor: Actor, *, campaign_id: int | None = None) -> InsightAnswer:
        asked = {name: value[0] for name, value in parameters.items()}
        self.asked.append((asked["granularity"], asked["start_date"], asked["end_date"]))
        self.platforms.append(parameters.get("platform"))
        days = {
            d.isoformat(): s for d, s in self.spend.items() if asked["start_date"] <= d.isoformat() <= asked["end_date"]
        }
        amounts = [None if one is None else Decimal(one) for one in days.values()]
        total = None if None in amounts else sum((one for one in amounts if one is not None), Decimal(0))
        rows = [f'{{"period_start": "{day}", "spend": {one or "null"}}}' for day, one in days.items()]
        warned = json.dumps([{"code": code, "message": f"the {code}"} for code in self.warnings])
        fresh = json.dumps([{"last_event_at": self.last_event_at, "last_report_at": None}])
        shown = "null" if total is None else format(total, "f")
        body = f'{{"rows": [{", ".join(rows)}], "totals": {{"spend": {shown}}}, "freshness": {fresh}, "warnings": {warned}}}'
        return InsightAnswer(body.encode(), '"x"', "miss", 0.0)


class Campaigns:
    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign

    def get(self, campaign_id: int, actor: Actor) -> Campaign:
        return self.campaign


def ask(insights: Insights, campaign: Campaign = CAMPAIGN, **asked: str) -> Any:
    service = PacingService(Campaigns(campaign), insights, ManualClock(NOW))  # type: ignore[arg-type]
    viewer = Actor(organization_id=1, role=Role.VIEWER, user_id=5)
    return service.of(42, {name: [value] for name, value in asked.items()}, viewer)


def test_the_sums_are_those_of_insights() -> None:
    insights = Insights({TODAY - n * DAY: "123456789012.000001" for n in range(16)}, ("mixed_currency",))
    found = ask(insights)
    assert insights.asked == [("daily", "2026-10-09", "2026-10-16"), ("total", "2026-10-01", "2026-10-16")]
    assert found.spent.to_date_micros == 16 * 123_456_789_012_000_001
    assert found.pace.daily_micros == 123_456_789_012_000_001
    assert [one.code for one in found.warnings] == ["mixed_currency"]


def test_a_rate_that_is_missing_is_null_all_the_way() -> None:
    found = ask(Insights({TODAY - DAY: None}, ("missing_rate",)))
    assert (found.spent.to_date_micros, found.pace.projected_micros, found.pace.daily_micros) == (None, None, None)
    assert "missing_rate" in [one.code for one in found.warnings]


def test_a_platforms_spend_is_not_held_against_everybodys_budget() -> None:
    insights = Insights({TODAY - DAY: "5"})
    found = ask(insights, platform="meta")
    assert insights.platforms == [["meta"], ["meta"]]
    assert found.plan.budget_micros == 3_100 * MILLION
    assert (found.pace.remaining_micros, found.pace.expected_micros, found.pace.flags.overspending) == (
        None,
        None,
        None,
    )
    assert [one.code for one in found.warnings] == ["budget_of_all_platforms"]


def test_long_runs_are_asked_about_in_pieces() -> None:
    long_ago = total(start_date=date(2016, 1, 1), end_date=date(2026, 12, 31))
    insights = Insights({date(2016, 1, 1): "1", TODAY: "2"})
    assert ask(insights, long_ago).spent.to_date_micros == 3 * MILLION
    assert [one[1:] for one in insights.asked[1:]] == [
        ("2016-01-01", "2021-01-03"), ("2021-01-04", "2026-01-07"), ("2026-01-08", "2026-10-16"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"budget_micros": None}, {"no_budget"}),
        ({"budget_period": BudgetPeriod.TOTAL}, {"open_end"}),
        ({"start_date": None}, {"start_assumed"}),
        ({"start_date": TODAY}, {"no_full_days"}),
        ({"start_date": TODAY + DAY}, {"no_full_days"}),
        ({"start_date": TODAY - DAY}, set()),
    ],
)
def test_what_cannot_be_told_is_warned_of(members: dict[str, Any], expected: set[str]) -> None:
    found = ask(Insights({TODAY - n * DAY: "5" for n in range(9)}), replace(CAMPAIGN, **members))
    assert {one.code for one in found.warnings} == expected


def test_what_has_not_come_for_a_day_is_warned_of() -> None:
    insights = Insights({TODAY - n * DAY: "5" for n in range(9)})
    insights.last_event_at = "2026-10-14T11:00:00Z"
    assert [one.code for one in ask(insights).warnings] == ["stale_data"]
    assert not ask(insights, replace(CAMPAIGN, status=CampaignStatus.PAUSED)).warnings


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"start_date": "2026-10-32"}, "start_date"),
        ({"end_date": "tomorrow"}, "end_date"),
        ({"start_date": "2026-10-02", "end_date": "2026-10-01"}, "end_date"),
        ({"start_date": "9999-12-31"}, "start_date"),
        ({"end_date": "1800-01-01"}, "end_date"),
        ({"start_date": "2026-08-01", "end_date": "2026-08-31"}, "start_date"),
    ],
)
def test_wrong_days_are_named(asked: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        ask(Insights({}), **asked)
    assert [one.field for one in raised.value.errors] == [field]
