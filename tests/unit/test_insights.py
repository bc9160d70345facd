"""The insight service over stores in memory: what an answer says, and what is asked of the stores for it."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from campaignctl.domain.insight_questions import parse_query
from campaignctl.domain.insight_rows import MAX_GROUPED_ROWS
from campaignctl.domain.insights import InsightQuery
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Forbidden, InvalidInput, NotFound, Unavailable
from campaignctl.ports.metadata import CampaignFacts
from campaignctl.services.insights import InsightAnswer
from tests.fakes.clock import ManualClock
from tests.fakes.insights import event
from tests.unit.insight_support import ACTOR, DAY, MILLION, NOW, TODAY, Bench, Json, between, codes


@pytest.fixture
def bench() -> Bench:
    return Bench()


# What an answer says


def test_an_answer_s_members_in_their_order(bench: Bench) -> None:
    bench.store.events = [event(TODAY - DAY, impressions=4, clicks=1, conversions=500_000, spend=1_500_000, revenue=7)]
    body = bench.run(**between(TODAY - DAY, TODAY), group_by="platform").body
    assert body.decode() == (
        '{"campaign_id": 1, "start_date": "2026-11-22", "end_date": "2026-11-23", "granularity": "daily",'
        ' "timezone": "UTC", "week_start": "monday", "currency": "USD", "source": "auto", "group_by": ["platform"],'
        ' "rows": [{"period_start": "2026-11-22", "period_end": "2026-11-22", "partial": false, "platform": "meta",'
        ' "impressions": 4, "clicks": 1, "conversions": 0.5, "spend": 1.5, "revenue": 0.000007,'
        ' "ctr": 0.25, "cpc": 1.5, "cpm": 375, "cpa": 3, "cvr": 0.5, "roas": 0.000005,'
        ' "source": "stream", "finality": "provisional"}],'
        ' "totals": {"impressions": 4, "clicks": 1, "conversions": 0.5, "spend": 1.5, "revenue": 0.000007,'
        ' "ctr": 0.25, "cpc": 1.5, "cpm": 375, "cpa": 3, "cvr": 0.5, "roas": 0.000005},'
        ' "comparison": null, "next_cursor": null,'
        ' "freshness": [{"platform": "meta", "last_event_at": "2026-11-22T12:00:00Z", "last_report_at": null,'
        ' "data_through": "2026-11-22", "finality": "provisional", "expected_final_at": null}],'
        ' "warnings": []}'
    )


def test_numbers_are_exact_at_any_size(bench: Bench) -> None:
    bench.store.events = [event(TODAY, impressions=10**16, spend=10**15 - 1) for _ in range(2_000)]
    totals = bench.ask()["totals"]
    assert totals["impressions"] == 2 * 10**19
    assert totals["spend"] == Decimal("1999999999999.998000")
    assert isinstance(totals["clicks"], int)


def test_ratios_are_of_sums_and_rounded_half_to_even(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY, impressions=3, clicks=2, spend=1),
        event(TODAY - DAY, impressions=-3, clicks=1, spend=2 * MILLION, revenue=5),
    ]
    answer = bench.ask()
    earlier, today = answer["rows"]
    assert [today[name] for name in ("ctr", "cpc", "cpm", "cpa", "cvr", "roas")] == [
        Decimal("0.666667"), 0, Decimal("0.000333"), None, 0, 0,
    ]  # fmt: skip  # one column a ratio
    assert earlier["ctr"] is None
    assert earlier["roas"] == Decimal("0.000002")  # 0.0000025
    assert answer["totals"]["ctr"] is None


def test_a_total_always_has_a_row(bench: Bench) -> None:
    (row,) = bench.ask(granularity="total", **between(TODAY + DAY, TODAY + 9 * DAY))["rows"]
    assert (row["period_start"], row["period_end"], row["partial"]) == ("2026-11-24", "2026-12-02", False)
    assert (row["spend"], row["ctr"], row["source"], row["finality"]) == (0, None, "stream", "live")
    assert bench.ask(granularity="total", group_by="platform")["rows"] == []


def test_finality_is_that_of_the_weakest_day(bench: Bench) -> None:
    bench.store.events = [event(TODAY - n * DAY) for n in range(10)]
    rows = bench.ask(granularity="weekly", **between(TODAY - 9 * DAY, TODAY))["rows"]
    assert [(row["period_start"], row["finality"]) for row in rows] == [
        ("2026-11-09", "provisional"),
        ("2026-11-16", "provisional"),
        ("2026-11-23", "live"),
    ]
    (total,) = bench.ask(granularity="total", **between(TODAY - DAY, TODAY + DAY))["rows"]
    assert total["finality"] == "live"


def test_the_day_of_the_asked_zone_decides_what_is_over(bench: Bench) -> None:
    bench.clock = ManualClock(datetime(2026, 11, 23, 23, 30, tzinfo=UTC))
    bench.service = bench.new_service(b"key")
    bench.store.events = [event(TODAY)]
    here = bench.ask()
    there = bench.ask(timezone="Asia/Tokyo")
    assert (here["rows"][0]["finality"], here["freshness"][0]["data_through"]) == ("live", "2026-11-22")
    assert (there["rows"][0]["finality"], there["freshness"][0]["data_through"]) == ("provisional", "2026-11-23")
    assert there["end_date"] == "2026-11-24"


def test_rows_filled_up(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY - 2 * DAY, platform="meta", clicks=1),
        event(TODAY, platform="google", clicks=2),
        event(TODAY + DAY, platform="google", clicks=3),  # of a producer whose clock is ahead
    ]
    asked = {**between(TODAY - 2 * DAY, TODAY + 3 * DAY), "fill": "zero", "group_by": "platform"}
    rows = bench.ask(**asked)["rows"]
    assert [(row["period_start"][8:], row["platform"], row["clicks"]) for row in rows] == [
        ("21", "google", 0),
        ("21", "meta", 1),
        ("22", "google", 0),
        ("22", "meta", 0),
        ("23", "google", 2),
        ("23", "meta", 0),
        ("24", "google", 3),
    ]
    assert {row["source"] for row in rows} == {"stream"}
    assert bench.ask(**asked, platform="tiktok")["rows"] == []
    del asked["group_by"]
    assert [row["clicks"] for row in bench.ask(**asked, platform="tiktok")["rows"]] == [0, 0, 0]


def test_hours_filled_up_to_the_present(bench: Bench) -> None:
    rows = bench.ask(**between(TODAY, TODAY), granularity="hourly", fill="zero")["rows"]
    assert [row["period_start"] for row in rows] == [f"2026-11-23T{hour:02}:00:00+00:00" for hour in range(13)]
    bench.clock.advance(30 * 60)  # the next hour begins: the cached answer is another question's
    assert len(bench.ask(**between(TODAY, TODAY), granularity="hourly", fill="zero")["rows"]) == 14


def test_groups_are_in_the_order_of_code_points_and_of_campaigns_numbers(bench: Bench) -> None:
    for number in (2, 10):
        bench.metadata.add(number)
    ads = ["", "B", "a", "e\u0301", "\u00e9", "\ufb00", "\U0001f600"]
    bench.store.events = [event(TODAY, number, ad=ad, clicks=1) for ad in reversed(ads) for number in (10, 2)]
    answer = bench.ask(None, campaign="2,10", group_by="ad,campaign")
    assert answer["campaign_ids"] == [2, 10]
    assert [(row["ad_id"], row["campaign_id"]) for row in answer["rows"]] == [
        (ad, number) for ad in sorted(ads) for number in (2, 10)
    ]
    by_campaign = bench.ask(None, campaign="2,10", group_by="campaign,device")["rows"]
    assert [(row["campaign_id"], row["device"], row["clicks"]) for row in by_campaign] == [(2, "", 7), (10, "", 7)]


@pytest.mark.parametrize(
    ("sort", "order", "expected"),
    [
        ("clicks", "", ["d", "b", "c", "a"]),
        ("clicks", "asc", ["a", "b", "c", "d"]),
        ("ctr", "", ["c", "b", "a", "d"]),
        ("ctr", "asc", ["b", "c", "a", "d"]),
        ("spend", "desc", ["a", "b", "c", "d"]),
        ("ad", "", ["a", "b", "c", "d"]),
        ("ad", "desc", ["d", "c", "b", "a"]),
    ],
)
def test_sorted(bench: Bench, sort: str, order: str, expected: list[str]) -> None:
    bench.store.events = [
        event(TODAY, ad="a", clicks=1),
        event(TODAY, ad="b", clicks=2, impressions=4),
        event(TODAY, ad="c", clicks=2, impressions=3),
        event(TODAY, ad="d", clicks=3, impressions=-1),
    ]
    asked = {"sort": sort, "group_by": "ad", **({"order": order} if order else {})}
    assert [row["ad_id"] for row in bench.ask(**asked)["rows"]] == expected


def test_what_is_shown_alike_is_a_tie(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY, ad="a", clicks=1, impressions=10**9),
        event(TODAY, ad="b", clicks=4, impressions=10**9),
    ]
    rows = bench.ask(sort="ctr", group_by="ad")["rows"]
    assert [(row["ad_id"], row["ctr"]) for row in rows] == [("a", 0), ("b", 0)]


# Pages


@pytest.mark.parametrize("fill", ["none", "zero"])
@pytest.mark.parametrize("sort", ["", "clicks", "ctr", "device", "campaign"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_join_up(bench: Bench, fill: str, sort: str, order: str) -> None:
    bench.metadata.add(2)
    bench.store.events = [
        event(TODAY - (n % 7) * DAY, 1 + n % 2, device=f"d{n % 3}", clicks=n % 4, impressions=n % 5 - 1)
        for n in range(50)
    ]
    asked = {"fill": fill, "order": order, "group_by": "device,campaign", **({"sort": sort} if sort else {})}
    whole = bench.ask(None, **asked, **between(TODAY - 8 * DAY, TODAY))
    rows: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        page = bench.ask(None, **asked, **between(TODAY - 8 * DAY, TODAY), limit="7", **cursor)
        assert page["totals"] == whole["totals"]
        assert len(page["rows"]) == 7 or page["next_cursor"] is None
        rows += page["rows"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert rows == whole["rows"]
    assert len(rows) > 30


def test_a_page_begins_behind_the_last_row_although_rows_came_and_went(bench: Bench) -> None:
    bench.store.events = [event(TODAY, ad=ad, clicks=1) for ad in "bdfh"]
    first = bench.ask(group_by="ad", limit="2")
    assert [row["ad_id"] for row in first["rows"]] == ["b", "d"]
    bench.store.events = [event(TODAY, ad=ad, clicks=1) for ad in "abcefgh"]
    bench.metadata.bump_data_versions([1])
    second = bench.ask(group_by="ad", limit="2", cursor=first["next_cursor"])
    assert [row["ad_id"] for row in second["rows"]] == ["e", "f"]


def test_a_cursor_belongs_to_its_question(bench: Bench) -> None:
    bench.metadata.add(2)
    bench.store.events = [event(TODAY - n * DAY, clicks=1) for n in range(9)]
    asked = {**between(TODAY - 9 * DAY, TODAY), "limit": "3"}
    cursor = bench.ask(**asked)["next_cursor"]
    assert len(bench.ask(**{**asked, "limit": "5"}, cursor=cursor)["rows"]) == 5
    for other in ({"order": "desc", "sort": "clicks"}, {"granularity": "total"}, {"region": "US"}, {"currency": "EUR"}):
        with pytest.raises(InvalidInput) as caught:
            bench.ask(**{**asked, **other}, cursor=cursor)
        assert [error.field for error in caught.value.errors] == ["cursor"]
    with pytest.raises(InvalidInput):
        bench.ask(2, **asked, cursor=cursor)
    changed = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    for wrong in ("", "x", "😀", changed, cursor + "=", cursor.upper(), "A" * 100_000):
        with pytest.raises(InvalidInput):
            bench.ask(**asked, cursor=wrong)
    bench.service = bench.new_service(b"another key")
    bench.cache.close()
    with pytest.raises(InvalidInput):
        bench.ask(**asked, cursor=cursor)


def test_cursors_hold_the_longest_ids(bench: Bench) -> None:
    long = "".join(chr(0x1F600 + n % 70) + chr(0x4E00 + n * 37) for n in range(64))
    bench.store.events = [event(TODAY, ad=long, ad_group=long[::-1], device=long, clicks=n % 2) for n in range(3)]
    bench.store.events += [event(TODAY - DAY, ad=long, ad_group=long[::-1], device=long)]
    asked = {"group_by": "ad,ad_group,device", "limit": "1"}
    cursor = bench.ask(**asked)["next_cursor"]
    assert len(cursor) < 4_000
    assert bench.ask(**asked, cursor=cursor)["next_cursor"] is None


def test_too_many_rows_are_refused(bench: Bench) -> None:
    bench.store.events = [event(TODAY, ad=f"{n}") for n in range(MAX_GROUPED_ROWS // 2_000)]
    with pytest.raises(InvalidInput) as caught:
        bench.ask(group_by="ad", granularity="hourly", fill="zero", **between(TODAY - 92 * DAY, TODAY))
    assert "500000" in caught.value.message


# Comparisons


def test_compared_with_the_days_before(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY, impressions=3, clicks=1, spend=2),
        event(TODAY - 2 * DAY, impressions=2, clicks=-1, spend=3),
        event(TODAY - 4 * DAY, impressions=100),
    ]
    answer = bench.ask(compare="previous_period", **between(TODAY - DAY, TODAY))
    comparison = answer["comparison"]
    assert (comparison["kind"], comparison["start_date"], comparison["end_date"]) == (
        "previous_period",
        "2026-11-20",
        "2026-11-21",
    )
    assert comparison["totals"]["impressions"] == 2
    assert comparison["change"] == {
        "impressions": Decimal("0.5"),
        "clicks": None,
        "conversions": None,
        "spend": Decimal("-0.333333"),
        "revenue": None,
    }


def test_rows_beside_those_of_the_earlier_range(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY, platform="meta", clicks=3),
        event(TODAY, platform="google", clicks=1),
        event(TODAY - 2 * DAY, platform="meta", clicks=2, impressions=4),
        event(TODAY - 3 * DAY, platform="tiktok", clicks=7),
    ]
    answer = bench.ask(compare="previous_period", group_by="platform", sort="clicks", **between(TODAY - DAY, TODAY))
    assert [(row["platform"], row["clicks"]) for row in answer["rows"]] == [("meta", 3), ("google", 1)]
    meta, google = answer["comparison"]["rows"]
    assert (meta["period_start"], meta["platform"], meta["clicks"], meta["ctr"]) == (
        "2026-11-21",
        "meta",
        2,
        Decimal("0.5"),
    )
    assert (meta["change"]["clicks"], meta["change"]["impressions"]) == (Decimal("0.5"), -1)
    assert (google["platform"], google["clicks"], google["change"]["clicks"]) == ("google", 0, None)


def test_an_earlier_range_may_have_fewer_buckets(bench: Bench) -> None:
    bench.store.events = [event(TODAY - n * DAY, clicks=1) for n in range(9)]
    days = between(TODAY - DAY, TODAY)  # Sunday and Monday, before them Friday and Saturday
    answer = bench.ask(compare="previous_period", granularity="weekly", **days)
    assert [row["period_start"] for row in answer["rows"]] == ["2026-11-16", "2026-11-23"]
    week, nothing = answer["comparison"]["rows"]
    assert (week["period_start"], week["clicks"], week["partial"], nothing) == ("2026-11-16", 2, True, None)


def test_both_ranges_may_lack_rates(bench: Bench) -> None:
    bench.store.events = [event(TODAY, spend=5), event(TODAY - DAY, spend=4, currency="EUR")]
    answer = bench.ask(compare="previous_period", **between(TODAY, TODAY))
    assert answer["totals"]["spend"] == Decimal("0.000005")
    assert answer["comparison"]["totals"]["spend"] is None
    assert answer["comparison"]["change"]["spend"] is None
    assert [warning["code"] for warning in answer["warnings"]] == ["missing_rate"]


# Currencies


def test_each_day_s_own_sum_is_converted_once(bench: Bench) -> None:
    bench.rate(TODAY - DAY, "EUR", "0.5")
    bench.rate(TODAY, "EUR", "1.5")
    bench.store.events = [
        *[event(TODAY - DAY, currency="EUR", spend=1, revenue=-1) for _ in range(3)],  # 1.5, to even: 2
        *[event(TODAY, currency="EUR", spend=1) for _ in range(3)],  # 4.5, to even: 4
        event(TODAY, spend=10),
    ]
    answer = bench.ask(granularity="total")
    assert answer["totals"]["spend"] == Decimal("0.000016")
    assert answer["totals"]["revenue"] == Decimal("-0.000002")
    (warning,) = answer["warnings"]
    assert warning["code"] == "mixed_currency"
    assert "1 EUR = 0.5, 1.5" in warning["message"]


def test_a_day_that_comes_in_two_pieces_is_converted_once(bench: Bench) -> None:
    bench.service = bench.new_service(b"key", retention_days=10_000)
    bench.rate(date(2010, 11, 7), "EUR", "0.5")
    midnight_us = 1_289_098_800_000_000  # a minute later clocks in Goose Bay went back to 23:01
    day = event(date(2010, 11, 7), currency="EUR", spend=1)
    moments = [midnight_us, midnight_us + 3_600_000_000]
    bench.store.events = [type(day)(at_us=at, day=day.day, currency="EUR", spend=1) for at in moments]
    answer = bench.ask(timezone="America/Goose_Bay", **between(date(2010, 11, 7), date(2010, 11, 7)))
    assert answer["totals"]["spend"] == Decimal("0.000001")  # half of 2, not twice half of 1


def test_the_latest_rate_of_the_days_before_stands_in(bench: Bench) -> None:
    bench.rate(TODAY - 4 * DAY, "EUR", "2")
    bench.store.events = [event(TODAY - n * DAY, currency="EUR", spend=1) for n in range(5)]
    rows = bench.ask()["rows"]
    assert [row["spend"] for row in rows] == [Decimal("0.000002")] * 3 + [None, None]
    assert [row["roas"] for row in rows] == [0, 0, 0, None, None]
    answer = bench.ask(**between(TODAY - 4 * DAY, TODAY - 2 * DAY))
    assert [warning["code"] for warning in answer["warnings"]] == ["mixed_currency"]


def test_a_missing_rate_makes_that_money_null_and_nothing_else(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY, currency="EUR", revenue=0, spend=5, clicks=1, impressions=2),
        event(TODAY - DAY, currency="EUR", clicks=1),
    ]
    answer = bench.ask()
    earlier, today = answer["rows"]
    assert (today["spend"], today["revenue"], today["cpc"], today["roas"]) == (None, 0, None, None)
    assert today["ctr"] == Decimal("0.5")
    assert earlier["spend"] == 0
    assert answer["totals"]["spend"] is None
    assert answer["totals"]["revenue"] == 0
    (warning,) = answer["warnings"]
    assert warning["code"] == "missing_rate"
    assert "EUR on 2026-11-23" in warning["message"]
    assert "2026-11-22" not in warning["message"]


def test_amounts_that_cancel_out_need_no_rate(bench: Bench) -> None:
    bench.store.events = [event(TODAY, currency="EUR", spend=5), event(TODAY, currency="EUR", spend=-5)]
    answer = bench.ask()
    assert answer["totals"]["spend"] == 0
    assert answer["warnings"] == []


def test_no_rate_is_turned_around(bench: Bench) -> None:
    bench.rate(TODAY, "USD", "0.5", base="EUR")
    bench.store.events = [event(TODAY, currency="EUR", spend=MILLION), event(TODAY, spend=MILLION)]
    assert bench.ask()["totals"]["spend"] is None
    assert bench.ask(currency="EUR")["totals"]["spend"] == Decimal("1.5")


def test_sorting_by_money_puts_what_is_not_known_last(bench: Bench) -> None:
    bench.rate(TODAY, "EUR", "3")
    bench.store.events = [
        event(TODAY, ad="a", spend=2),
        event(TODAY, ad="b", spend=1, currency="GBP"),
        event(TODAY, ad="c", spend=1, currency="EUR"),
    ]
    for order, expected in (("desc", "cab"), ("asc", "acb")):
        rows = bench.ask(sort="spend", order=order, group_by="ad")["rows"]
        assert [row["ad_id"] for row in rows] == list(expected)


# As of an earlier time


def noon(day: date) -> str:
    return f"{day.isoformat()}T12:00:00Z"


def us(day: date) -> int:
    """Epoch microseconds of the day's noon in UTC."""
    return event(day).at_us


def test_a_record_is_there_from_its_time_in_the_log_on(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY - 9 * DAY, taken_us=us(TODAY - 9 * DAY), clicks=1),
        event(TODAY - 9 * DAY, taken_us=us(TODAY - 3 * DAY), clicks=10),
        event(TODAY - 8 * DAY, taken_us=us(TODAY - 3 * DAY) + 1_000, clicks=100),
    ]
    asked = between(TODAY - 9 * DAY, TODAY)
    assert bench.ask(**asked, as_of=noon(TODAY - 10 * DAY))["totals"]["clicks"] == 0
    assert bench.ask(**asked, as_of=noon(TODAY - 9 * DAY))["totals"]["clicks"] == 1
    assert bench.ask(**asked, as_of=noon(TODAY - 3 * DAY))["totals"]["clicks"] == 11
    assert bench.ask(**asked, as_of=noon(TODAY - 2 * DAY))["totals"]["clicks"] == 111


def test_what_depends_on_now_follows_as_of(bench: Bench) -> None:
    then = TODAY - 40 * DAY
    bench.store.events = [event(then - n * DAY, taken_us=us(then), clicks=1) for n in (0, 5, 40)]
    answer = bench.ask(as_of=noon(then), fill="zero")
    assert (answer["start_date"], answer["end_date"]) == ((then - 29 * DAY).isoformat(), then.isoformat())
    assert [row["finality"] for row in answer["rows"]] == ["provisional"] * 29 + ["live"]
    (fresh,) = answer["freshness"]
    assert (fresh["last_event_at"], fresh["data_through"]) == (noon(then), (then - DAY).isoformat())
    ahead = bench.ask(as_of=noon(then), fill="zero", **between(then - DAY, then + 9 * DAY))
    assert [row["period_start"] for row in ahead["rows"]] == [(then - DAY).isoformat(), then.isoformat()]


def test_both_sides_of_a_comparison_are_as_of_then(bench: Bench) -> None:
    bench.store.events = [
        event(TODAY - n * DAY, taken_us=us(TODAY - n * DAY + late * DAY), clicks=1) for n in range(6) for late in (0, 3)
    ]
    asked = {**between(TODAY - 3 * DAY, TODAY - 2 * DAY), "compare": "previous_period"}
    answer = bench.ask(**asked, as_of=noon(TODAY - 2 * DAY))
    assert (answer["totals"]["clicks"], answer["comparison"]["totals"]["clicks"]) == (2, 3)


def test_as_of_the_present_is_the_present(bench: Bench) -> None:
    bench.store.events = [event(TODAY, taken_us=us(TODAY), clicks=1)]
    now = bench.run()
    assert bench.run(as_of=NOW.isoformat()).body == now.body
    assert bench.run(as_of=NOW.isoformat()).cache == "l1"
    earlier = bench.run(as_of=(NOW - timedelta(milliseconds=1)).isoformat())
    assert (earlier.body, earlier.cache) == (now.body, "miss")


# Raw records that have expired

EXPIRED = TODAY - 500 * DAY


@pytest.mark.parametrize(
    "params",
    [{"timezone": "Asia/Kolkata"}, {"as_of": noon(TODAY - DAY)}, {"group_by": "campaign", "timezone": "Asia/Tokyo"}],
)
def test_what_needs_expired_records_is_null(bench: Bench, params: dict[str, str]) -> None:
    bench.store.events = [event(EXPIRED, clicks=1), event(TODAY - 20 * DAY, clicks=2)]
    answer = bench.ask(**params, **between(EXPIRED - DAY, EXPIRED + 3 * DAY))
    nulls = [row for row in answer["rows"] if row["clicks"] is None and row["ctr"] is None]
    assert EXPIRED.isoformat() in [row["period_start"] for row in nulls]
    assert answer["totals"]["spend"] is None
    assert codes(answer) == ["raw_expired"]
    assert EXPIRED.isoformat() in answer["warnings"][0]["message"]
    whole = bench.ask(**params, granularity="total", **between(EXPIRED, TODAY))
    assert [row["clicks"] for row in whole["rows"]] == [None]


def test_days_of_the_rollup_stay(bench: Bench) -> None:
    bench.store.events = [event(EXPIRED, clicks=1)]
    answer = bench.ask(**between(EXPIRED, EXPIRED), group_by="platform,region")
    assert (answer["totals"]["clicks"], codes(answer)) == (1, [])


def test_days_on_which_nothing_happened_need_no_records(bench: Bench) -> None:
    bench.store.events = [event(TODAY, clicks=1), event(EXPIRED, platform="google")]
    asked = {"timezone": "Asia/Kolkata", "compare": "previous_year", "platform": "meta"}
    answer = bench.ask(**asked, **between(TODAY - 200 * DAY, TODAY))
    assert (answer["comparison"]["totals"]["clicks"], codes(answer)) == (0, [])
    answer = bench.ask(**asked | {"platform": "google"}, **between(TODAY - 200 * DAY, TODAY))
    assert (answer["comparison"]["totals"]["clicks"], codes(answer)) == (None, ["raw_expired"])


def test_expired_days_of_ads_and_hours(bench: Bench) -> None:
    horizon = (NOW - timedelta(days=400)).date()
    bench.store.events = [
        event(horizon, ad="a", clicks=1),
        event(horizon + DAY, ad="a", clicks=2),
        event(horizon + DAY, ad="b", platform="google", clicks=4),
    ]
    asked = between(horizon, horizon + DAY)
    by_ad = bench.ask(**asked, group_by="ad,platform", granularity="total")
    assert [(row["ad_id"], row["clicks"]) for row in by_ad["rows"]] == [("a", None), ("b", 4)]
    assert by_ad["totals"]["clicks"] is None
    by_hour = bench.ask(**asked, granularity="hourly")
    assert [row["clicks"] for row in by_hour["rows"]] == [None] * 24 + [6]


# Freshness


def test_freshness_of_the_platforms_asked_or_known(bench: Bench) -> None:
    linked = bench.metadata.facts[1]
    bench.metadata.facts[1] = replace(linked, platforms=("linkedin", "meta"))
    bench.store.events = [event(TODAY - 90 * DAY, platform="google"), event(TODAY, platform="meta", at_us=1_500_000)]
    found = {one["platform"]: one for one in bench.ask()["freshness"]}
    assert list(found) == ["google", "linkedin", "meta"]
    assert found["google"]["last_event_at"] == "2026-08-25T12:00:00Z"
    assert found["meta"]["last_event_at"] == "1970-01-01T00:00:01.500000Z"
    assert found["meta"]["data_through"] == "2026-11-22"
    nothing = {"last_event_at": None, "data_through": None, "finality": None}
    assert nothing.items() <= found["linkedin"].items()
    asked = bench.ask(platform="tiktok,google")["freshness"]
    assert [(one["platform"], one["last_event_at"] is None) for one in asked] == [("google", False), ("tiktok", True)]


# Who may ask


def test_campaigns_of_others_are_not_there(bench: Bench) -> None:
    bench.metadata.add(2, organization_id=2)
    for asked in (2, 3):
        with pytest.raises(NotFound):
            bench.ask(asked)
    with pytest.raises(NotFound):
        bench.ask(None, campaign="1,2")
    assert bench.ask(None)["campaign_ids"] == [1]
    assert bench.ask(2, Actor.machine_operator())["campaign_id"] == 2


def test_one_organization_at_a_time(bench: Bench) -> None:
    bench.metadata.add(2, organization_id=2)
    with pytest.raises(InvalidInput) as caught:
        bench.ask(None, Actor.machine_operator())
    assert [error.field for error in caught.value.errors] == ["campaign"]
    assert bench.ask(None, Actor.machine_operator(2))["campaign_ids"] == [2]


def test_no_organization_gets_the_answer_of_another(bench: Bench) -> None:
    bench.metadata.add(2, organization_id=2)
    for organization in (1, 2, 1):
        assert bench.ask(None, Actor.machine_operator(organization))["campaign_ids"] == [organization]


def test_without_campaigns_the_answer_is_empty(bench: Bench) -> None:
    answer = bench.ask(None, Actor(organization_id=9, role=Role.VIEWER, user_id=1))
    assert (answer["campaign_ids"], answer["rows"], answer["currency"]) == ([], [], "USD")


# What the stores are asked


@pytest.mark.parametrize(
    ("params", "road"),
    [
        ({}, "sums_by_day"),
        ({"granularity": "monthly", "group_by": "region,platform,campaign", "region": "US-CA"}, "sums_by_day"),
        ({"timezone": "UTC"}, "sums_by_day"),
        ({"timezone": "Asia/Kolkata"}, "sums_by_time"),
        ({"granularity": "hourly"}, "sums_by_time"),
        ({"group_by": "device"}, "sums_by_time"),
        ({"group_by": "platform,ad"}, "sums_by_time"),
    ],
)
def test_the_rollup_answers_what_it_can(bench: Bench, params: dict[str, str], road: str) -> None:
    bench.ask(**params)
    assert bench.store.asked == {road: 1, "newest_events": 1}


def test_campaigns_in_different_zones_are_asked_by_time(bench: Bench) -> None:
    bench.metadata.add(2, timezone="Asia/Kolkata")
    bench.ask(None, timezone="UTC")
    assert bench.store.asked["sums_by_time"] == 1


def test_equal_questions_are_answered_from_the_cache(bench: Bench) -> None:
    first = bench.run(platform="meta,google", region="US")
    bench.clock.advance(7)
    second = bench.run(platform=["GOOGLE", "meta"], region="us", granularity="daily", currency="usd", timezone="UTC")
    assert (first.cache, second.cache) == ("miss", "l1")
    assert (first.body, first.etag) == (second.body, second.etag)
    assert (first.age_s, second.age_s) == (0, 7)
    assert bench.store.asked["sums_by_day"] == 1


def test_what_has_landed_is_seen_at_once(bench: Bench) -> None:
    bench.store.events = [event(TODAY, clicks=1)]
    first = bench.run()
    bench.store.events.append(event(TODAY, clicks=1))
    assert bench.run().etag == first.etag
    bench.metadata.bump_data_versions([1])
    assert bench.ask()["totals"]["clicks"] == 2
    assert bench.run().etag != first.etag


def test_new_rates_and_new_settings_are_seen_at_once(bench: Bench) -> None:
    bench.store.events = [event(TODAY, currency="EUR", spend=MILLION)]
    assert bench.ask()["totals"]["spend"] is None
    bench.rate(TODAY, "EUR", "2")
    assert bench.ask()["totals"]["spend"] == 2
    facts = bench.metadata.facts[1]
    bench.metadata.facts[1] = replace(facts, platforms=("tiktok",), version=2)
    assert "tiktok" in [one["platform"] for one in bench.ask()["freshness"]]


def test_a_new_day_is_a_new_answer(bench: Bench) -> None:
    asked = between(TODAY, TODAY)
    bench.store.events = [event(TODAY, clicks=1)]
    assert bench.ask(**asked)["rows"][0]["finality"] == "live"
    bench.clock.advance(86_400)
    assert bench.ask(**asked)["rows"][0]["finality"] == "provisional"


def test_freshness_is_asked_for_once_for_many_questions(bench: Bench) -> None:
    for granularity in ("daily", "weekly", "monthly"):
        bench.ask(granularity=granularity)
    assert bench.store.asked == {"sums_by_day": 3, "newest_events": 1}


def test_a_question_put_again_is_not_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []

    def parsed(parameters: Mapping[str, Sequence[str]], **given: Any) -> InsightQuery:
        read.append(parameters)
        return parse_query(parameters, **given)

    monkeypatch.setattr("campaignctl.services.insights.parse_query", parsed)
    bench.metadata.add(2)
    first = bench.run(group_by="platform", after="a position")
    again = bench.run(group_by="platform", after="a later one")
    assert (first.cache, again.cache, again.body, len(read)) == ("miss", "l1", first.body, 1)
    assert bench.ask(2, group_by="platform")["campaign_id"] == 2  # the same words about another campaign
    assert bench.ask(group_by="region")["group_by"] == ["region"]
    with pytest.raises(NotFound):
        bench.run(1, Actor(organization_id=2, role=Role.ADMIN, user_id=6), group_by="platform")
    with pytest.raises(Forbidden):
        bench.run(1, Actor(organization_id=1, role=None, user_id=None, may_ingest=True), group_by="platform")
    with pytest.raises(InvalidInput):
        bench.run(group_by=["platform", "zone"])
    # What words mean changes with the campaign's settings and with the time.
    bench.metadata.facts[1] = replace(bench.metadata.facts[1], timezone="Asia/Kolkata", version=2)
    assert bench.ask(group_by="platform")["timezone"] == "Asia/Kolkata"
    bench.clock.advance(86_400)
    assert bench.ask(group_by="platform")["end_date"] == (TODAY + DAY).isoformat()
    long = ["US"] * 400
    assert [bench.run(region=long).cache for _ in range(2)] == ["miss", "l1"]


def test_what_is_at_hand_is_what_would_be_answered(bench: Bench) -> None:
    asked = {name: [value] for name, value in between(TODAY, TODAY).items()}

    def at_hand(actor: Actor = ACTOR) -> InsightAnswer | None:
        return bench.service.at_hand(asked, actor, 1)

    assert at_hand() is None  # nobody has asked yet
    first = bench.service.run(asked, ACTOR, campaign_id=1)
    found = at_hand()
    assert found == replace(first, cache="l1")
    assert at_hand(Actor(99, Role.ADMIN)) is None
    with pytest.raises(Forbidden):
        at_hand(Actor(1, None))
    bench.clock.advance(20)
    aged = at_hand()
    assert aged is not None and aged.age_s == 20
    bench.store.events = [event(TODAY, clicks=3)]
    bench.metadata.bump_data_versions([1])
    assert at_hand() is None
    second = bench.service.run(asked, ACTOR, campaign_id=1)
    assert at_hand() == replace(second, cache="l1") and second.etag != first.etag
    bench.metadata.put_rates(1, [])
    assert at_hand() is None
    bench.service.run(asked, ACTOR, campaign_id=1)
    bench.clock.advance(15 * 60)
    assert at_hand() is None  # another quarter of an hour
    assert bench.service.at_hand(asked, ACTOR, 2) is None


def test_what_another_process_has_answered_is_found_under_the_versions_at_hand(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.run(granularity="total")
    (known,) = bench.metadata.campaign_facts([1]).values()

    def asked_for(_ids: object) -> Mapping[int, CampaignFacts]:
        raise AssertionError("metadata was asked")

    monkeypatch.setattr(bench.metadata, "campaign_facts", asked_for)
    monkeypatch.setattr(bench.metadata, "facts_at_hand", {1: known}.get)
    bench.service = bench.new_service(b"key")  # another process, which shares the cache
    assert bench.run(granularity="total") == replace(first, cache="l1")
    with pytest.raises(AssertionError, match="asked"):
        bench.run(granularity="total", after="position")  # who waited is told of versions of now
    with pytest.raises(AssertionError, match="asked"):
        bench.run(granularity="monthly")  # nothing is computed from versions that may be old
    with pytest.raises(AssertionError, match="asked"):
        bench.run(1, Actor(99, Role.ADMIN), granularity="total")  # nor is anything shown to strangers
    with pytest.raises(InvalidInput, match="granularity"):
        bench.run(granularity="yearly")


def test_the_newest_events_are_read_beside_the_sums(bench: Bench) -> None:
    both = threading.Barrier(2)

    def before(_name: str) -> None:
        both.wait(10)  # broken unless the other one comes

    bench.store.before = before
    bench.store.events = [event(TODAY, platform="meta")]
    assert [one["platform"] for one in bench.ask()["freshness"]] == ["meta"]


def test_nothing_is_read_any_more_once_a_question_has_failed(bench: Bench) -> None:
    reading, ended = threading.Event(), threading.Event()

    def before(name: str) -> None:
        if name == "newest_events":
            reading.set()
            time.sleep(0.05)
            ended.set()
        else:
            assert reading.wait(10)
            raise Unavailable("away", service="analytics")

    bench.store.before = before
    with pytest.raises(Unavailable):
        bench.run()
    assert ended.is_set()


def test_rates_are_read_only_for_what_is_in_another_currency(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    right, read = bench.metadata.rates_between, []
    monkeypatch.setattr(bench.metadata, "rates_between", lambda *asked: read.append(asked) or right(*asked))
    bench.store.events = [event(TODAY, spend=MILLION)]
    assert bench.ask()["totals"]["spend"] == 1 and not read
    assert bench.ask(currency="EUR", compare="previous_period")["totals"]["spend"] is None
    assert len(read) == 1


def test_equal_questions_at_one_time_are_computed_once(bench: Bench) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def before(_name: str) -> None:
        waiting.set()
        assert go_on.wait(10)

    bench.store.before = before
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(bench.run)
        assert waiting.wait(10)
        others = [pool.submit(bench.run) for _ in range(4)]
        go_on.set()
        bodies = {one.result().body for one in [first, *others]}
    assert len(bodies) == 1
    assert bench.store.asked["sums_by_day"] == 1


def test_a_failure_is_everyone_s_and_is_not_kept(bench: Bench) -> None:
    def before(_name: str) -> None:
        raise Unavailable("away", service="analytics")

    bench.store.before = before
    for _ in range(2):
        with pytest.raises(Unavailable):
            bench.ask()
    bench.store.before = lambda name: None
    assert bench.ask()["rows"] == []


# While a store is away


def _away(_name: str) -> None:
    raise Unavailable("away", service="analytics")


def test_without_analytics_the_last_answer_is_given_and_marked(bench: Bench) -> None:
    bench.store.events = [event(TODAY, clicks=3)]
    asked = between(TODAY, TODAY)
    before = bench.ask(**asked)
    bench.metadata.bump_data_versions([1])
    bench.store.before = _away
    bench.clock.advance(60)
    found = bench.run(**asked)
    body = json.loads(found.body, parse_float=Decimal)
    assert (found.cache, found.age_s) == ("stale", 60)
    assert [warning["code"] for warning in body["warnings"]] == ["stale"]
    assert "2026-11-23T12:30:00Z" in body["warnings"][0]["message"]
    assert body | {"warnings": []} == before
    with pytest.raises(Unavailable):
        bench.run(**asked, group_by="region")
    bench.store.before = lambda name: None
    assert bench.run(**asked).cache == "miss"


def test_the_mark_stands_before_other_warnings(bench: Bench) -> None:
    bench.store.events = [event(TODAY, currency="EUR", spend=1_000_000)]
    bench.ask()
    bench.metadata.bump_data_versions([1])
    bench.store.before = _away
    assert [warning["code"] for warning in bench.ask()["warnings"]] == ["stale", "missing_rate"]


def test_without_metadata_the_last_answer_is_given_to_whom_it_was_given(bench: Bench) -> None:
    bench.store.events = [event(TODAY, clicks=3)]
    bench.ask()
    bench.metadata.down = True
    assert bench.run().cache == "stale"
    for campaign, actor in ((2, ACTOR), (1, Actor(organization_id=2, role=Role.VIEWER, user_id=6))):
        with pytest.raises(Unavailable):
            bench.run(campaign, actor)
    bench.clock.advance(15 * 60 + 1)
    with pytest.raises(Unavailable):
        bench.run()


def test_who_waited_for_their_events_gets_no_older_answer(bench: Bench) -> None:
    bench.ask()
    bench.metadata.bump_data_versions([1])
    bench.store.before = _away
    with pytest.raises(Unavailable):
        bench.run(after="a position")
