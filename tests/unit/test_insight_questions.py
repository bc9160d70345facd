"""Questions about insights, read from plain strings."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from campaignctl.domain.insight_questions import (
    PARAMETERS,
    PARAMETERS_OF_SEVERAL,
    parse_campaign_ids,
    parse_query,
)
from campaignctl.domain.insights import Compare, Dimension, Fill, InsightQuery, Metric, Order, Ratio, Source
from campaignctl.domain.periods import DayRange, Granularity, WeekStart
from campaignctl.errors import InvalidInput
from campaignctl.ports.metadata import CampaignFacts

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)  # the 24th in India


def facts(number: int = 1, timezone: str = "UTC", currency: str = "USD") -> CampaignFacts:
    return CampaignFacts(number, 1, timezone, currency, (), 1, 0, 0)


def ask(campaigns: Sequence[CampaignFacts] = (facts(),), **params: str | list[str]) -> InsightQuery:
    asked = {name: [value] if isinstance(value, str) else value for name, value in params.items()}
    ids = [one.id for one in campaigns]
    return parse_query(asked, campaign_ids=ids, several=len(campaigns) != 1, facts=campaigns, now=NOW)


def refused(*campaigns: CampaignFacts, **params: str | list[str]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        ask(campaigns or (facts(),), **params)
    assert caught.value.code == "invalid_input"
    return {error.field: error.message for error in caught.value.errors}


def days(first: str, last: str) -> DayRange:
    return DayRange(date.fromisoformat(first), date.fromisoformat(last))


def test_the_default_range_ends_on_the_day_of_as_of() -> None:
    query = ask([facts(7, "Asia/Kolkata")], as_of="2026-03-01T19:00:00.5Z")
    assert query.days == days("2026-02-01", "2026-03-02")
    assert (query.today, query.asked_at) == (date(2026, 3, 2), NOW)
    assert query.now == query.as_of == datetime(2026, 3, 1, 19, 0, 0, 500_000, tzinfo=UTC)


def test_nothing_said_is_the_last_thirty_days_by_day() -> None:
    query = ask([facts(7, "Asia/Kolkata", "INR")])
    assert query == InsightQuery(
        campaign_ids=(7,),
        several=False,
        days=days("2026-10-26", "2026-11-24"),
        granularity=Granularity.DAILY,
        zone=query.zone,
        week_start=WeekStart.MONDAY,
        currency="INR",
        source=Source.AUTO,
        group_by=(),
        platforms=(),
        regions=(),
        compare=None,
        fill=Fill.NONE,
        sort=None,
        order=Order.ASC,
        limit=10_000,
        cursor=None,
        as_of=None,
        now=NOW,
        today=date(2026, 11, 24),
        asked_at=NOW,
    )
    assert query.zone.key == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"start_date": "2026-11-20"}, ("2026-11-20", "2026-11-23")),
        ({"end_date": "2026-03-01"}, ("2026-01-31", "2026-03-01")),
        ({"start_date": "2026-03-01", "end_date": "2026-03-01"}, ("2026-03-01", "2026-03-01")),
        ({"start_date": "2026-11-20", "timezone": "Asia/Kolkata"}, ("2026-11-20", "2026-11-24")),
        ({"start_date": "2021-11-22", "end_date": "2026-11-25"}, ("2021-11-22", "2026-11-25")),
        ({"start_date": "2026-01-01", "end_date": "2026-04-03", "granularity": "hourly"}, ("2026-01-01", "2026-04-03")),
    ],
)
def test_ranges(params: dict[str, str], expected: tuple[str, str]) -> None:
    assert ask(**params).days == days(*expected)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, "end_date"),
        ({"start_date": "2026-11-24"}, "end_date"),
        ({"start_date": "2021-11-21", "end_date": "2026-11-25"}, "end_date"),
        ({"start_date": "2026-01-01", "end_date": "2026-04-04", "granularity": "hourly"}, "end_date"),
        ({"start_date": "2026-02-30"}, "start_date"),
        ({"start_date": "20260101"}, "start_date"),
        ({"start_date": "2026-W01-1"}, "start_date"),
        ({"start_date": "٢٠٢٦-٠١-٠١"}, "start_date"),
        ({"start_date": ""}, "start_date"),
        ({"end_date": "today"}, "end_date"),
        ({"end_date": "0001-01-01"}, "end_date"),
        ({"start_date": "9999-12-31"}, "start_date"),
        ({"start_date": ["2026-01-01", "2026-01-02"]}, "start_date"),
        ({"granularity": "yearly"}, "granularity"),
        ({"granularity": "Daily"}, "granularity"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "asia/kolkata"}, "timezone"),
        ({"platform": "facebook"}, "platform"),
        ({"platform": "meta,"}, "platform"),
        ({"region": "USA"}, "region"),
        ({"region": "US,"}, "region"),
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": "ad_id"}, "group_by"),
        ({"week_start": "friday"}, "week_start"),
        ({"source": "guess"}, "source"),
        ({"compare": "yesterday"}, "compare"),
        ({"start_date": "1900-01-01", "end_date": "1900-01-31", "compare": "previous_year"}, "compare"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "ﬁm"}, "currency"),
        ({"fill": "null"}, "fill"),
        ({"sort": "magic"}, "sort"),
        ({"sort": "region", "group_by": "platform"}, "sort"),
        ({"order": "up"}, "order"),
        ({"limit": "0"}, "limit"),
        ({"limit": "10001"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1.0"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"as_of": "2026-11-23T19:00:00"}, "as_of"),
        ({"as_of": "2026-11-23T19:00:01Z"}, "as_of"),
        ({"as_of": "1969-12-31T23:59:59Z"}, "as_of"),
        ({"as_of": "0000-01-01T00:00:00Z"}, "as_of"),
    ],
)
def test_what_is_wrong_is_named(params: dict[str, Any], field: str) -> None:
    assert list(refused(**params)) == [field]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    found = refused(granularity="yearly", platform="mta", sort="clikcs", limit="x")
    assert list(found) == ["granularity", "sort", "platform", "limit"]
    assert "hourly, daily, weekly, monthly, total" in found["granularity"]
    assert "did you mean meta?" in found["platform"]
    assert "did you mean clicks?" in found["sort"]


def test_a_zone_is_guessed() -> None:
    assert "did you mean Asia/Kolkata?" in refused(timezone="asia/kolkata")["timezone"]


def test_lists_are_repeated_or_have_commas_in_any_case() -> None:
    query = ask(platform=["TikTok, meta", "META"], region=["us,us-ca", "In"], group_by=["region,Platform", "region"])
    assert query.platforms == ("meta", "tiktok")
    assert query.regions == ("IN", "US", "US-CA")
    assert query.group_by == (Dimension.REGION, Dimension.PLATFORM)


@pytest.mark.parametrize(
    ("params", "sort", "order"),
    [
        ({}, None, Order.ASC),
        ({"sort": "spend"}, Metric.SPEND, Order.DESC),
        ({"sort": "roas"}, Ratio.ROAS, Order.DESC),
        ({"sort": "ad_group", "group_by": "ad_group"}, Dimension.AD_GROUP, Order.ASC),
        ({"sort": "spend", "order": "asc"}, Metric.SPEND, Order.ASC),
        ({"sort": "campaign", "group_by": "campaign", "order": "desc"}, Dimension.CAMPAIGN, Order.DESC),
    ],
)
def test_orders(params: dict[str, str], sort: object, order: Order) -> None:
    query = ask(**params)
    assert (query.sort, query.order) == (sort, order)


def test_the_range_to_compare_with() -> None:
    asked = {"start_date": "2024-02-29", "end_date": "2024-03-01"}
    assert ask(**asked).earlier_days is None
    assert ask(**asked, compare="previous_period").earlier_days == days("2024-02-27", "2024-02-28")
    query = ask(**asked, compare="previous_year")
    assert query.compare is Compare.PREVIOUS_YEAR
    assert query.earlier_days == days("2023-02-28", "2023-03-01")


def test_several_campaigns_answer_in_what_they_have_in_common() -> None:
    both = facts(1, "Asia/Kolkata", "USD"), facts(2, "UTC", "USD")
    assert list(refused(*both)) == ["timezone"]
    assert ask(both, timezone="UTC").currency == "USD"
    others = facts(1, "UTC", "EUR"), facts(2, "UTC", "USD")
    message = refused(*others)["currency"]
    assert "EUR, USD" in message
    assert ask(others, currency="inr").currency == "INR"
    assert list(refused(facts(1, "UTC", "EUR"), facts(2, "Asia/Tokyo", "USD"))) == ["timezone", "currency"]


def test_without_campaigns_there_is_an_answer_too() -> None:
    query = ask([])
    assert (query.zone.key, query.currency, query.several) == ("UTC", "USD", True)


def test_reports_may_be_asked_alone() -> None:
    assert ask(source="report").source is Source.REPORT


def test_ids_of_campaigns() -> None:
    assert parse_campaign_ids({}) is None
    assert parse_campaign_ids({"campaign": ["3,1", "2", "1"]}) == [1, 2, 3]
    for wrong in ("", "1,", "one", "-1", "1.5", "9" * 30):
        with pytest.raises(InvalidInput) as caught:
            parse_campaign_ids({"campaign": [wrong]})
        assert [error.field for error in caught.value.errors] == ["campaign"]


def test_the_names_of_parameters() -> None:
    assert len(PARAMETERS) == len(set(PARAMETERS)) == 18
    assert set(PARAMETERS_OF_SEVERAL) - set(PARAMETERS) == {"campaign", "status", "q"}
