"""Reports in answers: where they stand in place of the stream, what they cannot be asked, and how final they are."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from campaignctl.domain.campaigns import LinkLevel, PlatformLink
from campaignctl.domain.platforms import Platform
from tests.fakes.clock import ManualClock
from tests.fakes.insights import event
from tests.unit.insight_support import DAY, NOW, TODAY, Bench, Json, between, codes

D = [TODAY - n * DAY for n in range(60)]
"""Today and the days before it."""


def link(native: str = "c1", account: str = "1", first: date | None = None, last: date | None = None) -> PlatformLink:
    return PlatformLink(Platform.META, account, native, LinkLevel.CAMPAIGN, first, last)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.metadata.add(1, links=[link()])
    return bench


def ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000)


def shown(rows: Sequence[Json], *members: str) -> list[tuple[object, ...]]:
    return [tuple(row[member] for member in ("period_start", *members)) for row in rows]


def spend(amount: int) -> tuple[int, ...]:
    return 0, 0, 0, amount * 1_000_000


def countries(**spends: int) -> Mapping[str, tuple[int, ...]]:
    return {region: spend(amount) for region, amount in spends.items()}


# Which of the two


def test_the_report_stands_in_place_of_the_stream(bench: Bench) -> None:
    bench.store.events = [event(day, spend=5_000_000, clicks=3) for day in D[:4]]
    bench.reports.fetch(D[3], D[2], {D[3]: spend(7)})
    answer = bench.ask(**between(D[4], D[1]))
    assert shown(answer["rows"], "spend", "clicks", "source") == [
        (D[3].isoformat(), 7, 0, "report"),
        (D[2].isoformat(), 0, 0, "report"),  # covered, without a row: it says 0
        (D[1].isoformat(), 5, 3, "stream"),
    ]
    assert (answer["totals"]["spend"], answer["source"], codes(answer)) == (12, "auto", [])
    weekly = bench.ask(**between(D[6], D[1]), granularity="total")
    assert shown(weekly["rows"], "spend", "source") == [(D[6].isoformat(), 12, "mixed")]


def test_one_source_alone(bench: Bench) -> None:
    bench.store.events = [event(day, spend=5_000_000) for day in D[:4]]
    bench.reports.fetch(D[3], D[2], {D[3]: spend(7)})
    asked = between(D[4], D[1])
    stream = bench.ask(**asked, source="stream")
    assert shown(stream["rows"], "spend", "source") == [(day.isoformat(), 5, "stream") for day in D[3:0:-1]]
    assert [row["finality"] for row in stream["rows"]] == ["settling", "settling", "provisional"]
    report = bench.ask(**asked, source="report")
    assert shown(report["rows"], "spend", "source") == [
        (D[3].isoformat(), 7, "report"),
        (D[2].isoformat(), 0, "report"),
    ]
    (total,) = bench.ask(**between(D[1], D[0]), source="report", granularity="total")["rows"]
    assert (total["spend"], total["source"]) == (0, "report")


def test_zeros_take_part(bench: Bench) -> None:
    bench.store.events = [event(D[2], spend=5_000_000), event(D[3], spend=1_000_000)]
    bench.reports.fetch(D[9], D[3], {D[9]: spend(1)})
    (row,) = bench.ask(**between(D[3], D[2]), granularity="total")["rows"]
    assert (row["spend"], row["source"]) == (5, "mixed")
    (row,) = bench.ask(**between(D[3], D[3]), granularity="total")["rows"]
    assert (row["spend"], row["source"]) == (0, "report")


def test_a_native_campaign_that_never_had_a_row_leaves_the_stream_in_place(bench: Bench) -> None:
    bench.store.events = [event(D[3], clicks=1)]
    bench.reports.fetch(D[9], D[1], {})
    answer = bench.ask(**between(D[9], D[1]))
    assert (shown(answer["rows"], "clicks", "source"), codes(answer)) == ([(D[3].isoformat(), 1, "stream")], [])
    (fresh,) = answer["freshness"]
    assert fresh["last_report_at"] == "1970-01-01T00:00:00Z"
    assert fresh["finality"] == "provisional"


def test_sisters(bench: Bench) -> None:
    bench.metadata.add(1, links=[link("c1"), link("c2"), link("c3", first=D[2])])
    bench.store.events = [event(day, spend=100_000_000) for day in D[1:7]]
    bench.reports.fetch(D[6], D[1], {D[6]: spend(1), D[5]: spend(2), D[4]: spend(3), D[2]: spend(4)})
    bench.reports.fetch(D[5], D[1], {}, native="c2")  # never had a row: 0 beside its sister
    answer = bench.ask(**between(D[6], D[1]))
    assert shown(answer["rows"], "spend", "source") == [
        (D[6].isoformat(), 100, "stream"),  # c2 was not fetched
        (D[5].isoformat(), 2, "report"),
        (D[4].isoformat(), 3, "report"),
        (D[3].isoformat(), 0, "report"),
        (D[2].isoformat(), 100, "stream"),  # c3 runs from here on
        (D[1].isoformat(), 100, "stream"),
    ]
    assert codes(answer) == ["report_incomplete"]
    for day in (D[6], D[2], D[1]):
        assert day.isoformat() in answer["warnings"][0]["message"]
    reports = bench.ask(**between(D[6], D[1]), source="report")
    assert [row["spend"] for row in reports["rows"]] == [1, 2, 3, 0, 4, 0]
    assert (reports["totals"]["spend"], reports["totals"]["ctr"], codes(reports)) == (None, None, ["report_incomplete"])


def test_facts_outside_a_link_s_days_do_not_belong_to_the_campaign(bench: Bench) -> None:
    bench.metadata.add(1, links=[link(last=D[5]), link(account="act_1", first=D[3])])
    bench.reports.fetch(D[6], D[1], {day: spend(1) for day in D})
    answer = bench.ask(**between(D[7], D[1]))
    assert [row["period_start"] for row in answer["rows"]] == [d.isoformat() for d in (D[6], D[5], D[3], D[2], D[1])]


def test_a_native_campaign_may_change_hands(bench: Bench) -> None:
    bench.metadata.add(1, links=[link(last=D[4])])
    bench.metadata.add(2, links=[link(first=D[3])])
    bench.reports.fetch(D[5], D[2], {day: spend(n) for n, day in enumerate(D)})
    rows = bench.ask(None, **between(D[5], D[2]), group_by="campaign", granularity="total")["rows"]
    assert [(row["campaign_id"], row["spend"]) for row in rows] == [(1, 9), (2, 5)]


def test_a_day_that_is_not_over_in_the_account_s_zone(bench: Bench) -> None:
    bench.reports.fetch(D[1], D[0], {D[1]: spend(1), D[0]: spend(2)}, timezone="Pacific/Pago_Pago")
    bench.clock = ManualClock(datetime(2026, 11, 23, 10, 30, tzinfo=UTC))  # the 22nd there
    bench.service = bench.new_service(b"key")
    asked = between(D[1], D[0])
    answer = bench.ask(**asked)
    assert [row["spend"] for row in answer["rows"]] == [1, 2]
    assert {row["finality"] for row in answer["rows"]} == {"live"}
    bench.store.events = [event(D[1], region="US", spend=50_000_000), event(D[0], platform="google", clicks=1)]
    bench.metadata.bump_data_versions([1])
    assert [row["spend"] for row in bench.ask(**asked)["rows"]] == [50, 2]
    assert bench.ask(**asked, region="IN", source="stream")["rows"] == []
    assert [row["spend"] for row in bench.ask(**asked, source="report")["rows"]] == [1, 2]
    bench.clock.advance(3_600)  # the 23rd there: the cached answer is another moment's
    assert [row["spend"] for row in bench.ask(**asked)["rows"]] == [1, 2]


def test_the_stream_of_another_zone_gives_way_to_the_report_s_own_day(bench: Bench) -> None:
    bench.store.events = [event(day, spend=5_000_000, at_us=event(day).at_us + 8 * 3_600_000_000) for day in D[2:5]]
    bench.reports.fetch(D[3], D[3], {D[3]: spend(7)})
    answer = bench.ask(**between(D[4], D[1]), timezone="Asia/Kolkata")  # the events are after midnight there
    assert shown(answer["rows"], "spend", "source") == [
        (D[3].isoformat(), 7, "report"),
        (D[2].isoformat(), 5, "stream"),
        (D[1].isoformat(), 5, "stream"),
    ]
    assert codes(answer) == ["report_day_timezone"]
    assert "UTC" in answer["warnings"][0]["message"]
    assert codes(bench.ask(**between(D[4], D[1]), timezone="Africa/Abidjan")) == []
    assert codes(bench.ask(**between(D[2], D[1]), timezone="Asia/Kolkata")) == []


@pytest.mark.parametrize(
    ("platform", "told", "campaign_s", "warned"),
    [
        (Platform.META, "", "Asia/Kolkata", False),
        (Platform.META, "Mars/Olympus", "Asia/Kolkata", False),
        (Platform.META, "UTC", "Asia/Kolkata", True),
        (Platform.LINKEDIN, "", "Asia/Kolkata", True),
        (Platform.LINKEDIN, "", "UTC", False),
    ],
)
def test_the_account_s_zone(bench: Bench, platform: Platform, told: str, campaign_s: str, warned: bool) -> None:
    bench.metadata.add(1, timezone=campaign_s, links=[PlatformLink(platform, "1", "c1")])
    bench.reports.fetch(D[3], D[3], {D[3]: spend(7)}, platform=platform, timezone=told)
    assert codes(bench.ask()) == (["report_day_timezone"] if warned else [])


# By country


def test_what_countries_leave_of_the_total_is_zz(bench: Bench) -> None:
    bench.store.events = [event(D[2], region="US-CA", spend=1_000_000)]
    bench.reports.fetch(
        D[6],
        D[3],
        {D[6]: spend(10), D[5]: spend(5), D[4]: spend(3)},
        by_country={
            D[6]: countries(US=4, IN=3, ZZ=1),
            D[5]: countries(US=4, IN=3),
            D[4]: countries(US=3, IN=0),
        },
    )
    asked = {**between(D[6], D[2]), "group_by": "region"}
    answer = bench.ask(**asked)
    assert shown(answer["rows"], "region", "spend", "source") == [
        (D[6].isoformat(), "IN", 3, "report"),
        (D[6].isoformat(), "US", 4, "report"),
        (D[6].isoformat(), "ZZ", 3, "report"),
        (D[5].isoformat(), "IN", 3, "report"),
        (D[5].isoformat(), "US", 4, "report"),
        (D[5].isoformat(), "ZZ", -2, "report"),
        (D[4].isoformat(), "IN", 0, "report"),
        (D[4].isoformat(), "US", 3, "report"),  # and nothing left of it
        (D[2].isoformat(), "US-CA", 1, "stream"),
    ]
    assert answer["totals"]["spend"] == bench.ask(**between(D[6], D[2]))["totals"]["spend"] == 19
    assert codes(answer) == []
    filtered = bench.ask(**between(D[6], D[2]), region="US")
    assert [row["spend"] for row in filtered["rows"]] == [4, 4, 3, 1]
    rest = bench.ask(**between(D[6], D[2]), region="ZZ")
    assert shown(rest["rows"], "spend") == [(D[6].isoformat(), 3), (D[5].isoformat(), -2)]
    assert [row["cpc"] for row in rest["rows"]] == [None, None]


def test_a_metric_that_is_not_given_by_country_stays_in_zz(bench: Bench) -> None:
    bench.reports.fetch(D[6], D[6], {D[6]: (10, 2, 0, 0, 6_000_000)}, by_country={D[6]: {"US": (10, 2, 0, 0, None)}})
    rows = bench.ask(**between(D[6], D[6]), group_by="region")["rows"]
    assert [(row["region"], row["impressions"], row["revenue"]) for row in rows] == [("US", 10, 0), ("ZZ", 0, 6)]


def test_a_day_that_was_not_fetched_by_country(bench: Bench) -> None:
    bench.store.events = [event(day, region="IN", spend=1_000_000) for day in D[2:5]]
    bench.reports.fetch(D[4], D[3], {D[4]: spend(10), D[3]: spend(20)})
    bench.reports.fetch(D[4], D[4], {D[4]: spend(10)}, by_country={D[4]: countries(IN=10)}, at_ms=1)
    asked = {**between(D[4], D[2]), "region": "IN"}
    answer = bench.ask(**asked)
    assert [(row["spend"], row["source"]) for row in answer["rows"]] == [(10, "report"), (1, "stream"), (1, "stream")]
    assert codes(answer) == ["breakdown_unavailable"]
    assert D[3].isoformat() in answer["warnings"][0]["message"]
    assert D[4].isoformat() not in answer["warnings"][0]["message"]
    assert [row["finality"] for row in answer["rows"]] == ["settling", "settling", "provisional"]
    reports = bench.ask(**asked, source="report")
    assert [row["spend"] for row in reports["rows"]] == [10]
    assert (reports["totals"]["spend"], codes(reports)) == (None, ["breakdown_unavailable"])
    weekly = bench.ask(**asked, source="report", granularity="weekly", group_by="region", fill="zero")
    assert weekly["rows"] == []
    (total,) = bench.ask(**asked, source="report", granularity="total")["rows"]
    assert (total["spend"], total["cpc"], total["source"]) == (None, None, "report")


# What reports cannot be asked


@pytest.mark.parametrize(
    "params", [{"granularity": "hourly"}, {"group_by": "ad"}, {"group_by": "device,region"}, {"region": "US,US-CA"}]
)
def test_what_no_report_can_answer(bench: Bench, params: dict[str, str]) -> None:
    bench.store.events = [event(D[3], region="US-CA", clicks=1), event(D[2], region="US-CA", clicks=2)]
    bench.reports.fetch(D[3], D[3], {D[3]: spend(7)}, by_country={D[3]: countries(US=7)})
    answer = bench.ask(**between(D[3], D[2]), **params)
    assert ([row["clicks"] for row in answer["rows"]], codes(answer)) == ([1, 2], ["breakdown_unavailable"])
    assert [row["finality"] for row in answer["rows"]] == ["settling", "provisional"]
    reports = bench.ask(**between(D[3], D[2]), **params, source="report")
    assert (reports["rows"], reports["totals"]["clicks"], codes(reports)) == ([], None, ["breakdown_unavailable"])
    assert codes(bench.ask(**between(D[3], D[2]), **params, source="stream")) == []
    assert codes(bench.ask(**between(D[2], D[2]), **params)) == []


# As of an earlier time


def test_versions_as_of(bench: Bench) -> None:
    bench.store.events = [event(D[9], clicks=9)]
    for days, amount in ((8, 1), (6, 2), (4, 3)):
        bench.reports.fetch(D[9], D[9], {D[9]: spend(amount)}, at_ms=ms(NOW - timedelta(days=days)))
    bench.reports.fetch(D[9], D[9], {}, at_ms=ms(NOW - timedelta(days=2)))

    def at(days: float) -> tuple[object, ...]:
        then = (NOW - timedelta(days=days)).isoformat()
        (row,) = bench.ask(**between(D[9], D[9]), as_of=then)["rows"]
        return row["spend"], row["source"]

    found = [at(days) for days in (8.001, 8, 6.001, 6, 4, 2.001, 2)]
    assert found == [(0, "stream"), *((n, "report") for n in (1, 1, 2, 3, 3, 0))]


# How final


def test_finality_by_day(bench: Bench) -> None:
    bench.store.events = [event(D[1]), event(D[0])]
    bench.reports.fetch(D[40], D[2], {day: spend(1) for day in D})
    rows = {row["period_start"]: row["finality"] for row in bench.ask(**between(D[40], D[0]))["rows"]}
    expected = {**dict.fromkeys(D[40:28:-1], "final"), **dict.fromkeys(D[28:1:-1], "settling")}
    assert rows == {day.isoformat(): what for day, what in {**expected, D[1]: "provisional", D[0]: "live"}.items()}


def test_a_day_settles_when_the_account_s_day_is_long_enough_ago(bench: Bench) -> None:
    bench.reports.fetch(D[30], D[30], {D[30]: spend(1)}, timezone="America/New_York")
    final_at = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)  # 28 days after midnight of the 24th of October there
    for second, expected in ((-1, "settling"), (0, "final")):
        then = (final_at + timedelta(seconds=second)).isoformat()
        (row,) = bench.ask(**between(D[30], D[30]), as_of=then)["rows"]
        assert row["finality"] == expected


def test_the_weakest_of_days_and_of_platforms_with_data(bench: Bench) -> None:
    bench.store.events = [event(D[31], platform="google")]
    bench.reports.fetch(D[50], D[10], {day: spend(1) for day in D})
    asked = between(D[50], D[30])
    assert {row["finality"] for row in bench.ask(**asked)["rows"]} == {"provisional"}
    by_platform = bench.ask(**asked, group_by="platform", granularity="total")["rows"]
    assert [(row["platform"], row["finality"]) for row in by_platform] == [("google", "provisional"), ("meta", "final")]
    assert bench.ask(**asked, platform="meta", granularity="total")["rows"][0]["finality"] == "final"
    assert bench.ask(**between(D[50], D[20]), platform="meta", granularity="total")["rows"][0]["finality"] == "settling"
    assert {row["finality"] for row in bench.ask(**between(D[50], D[32]))["rows"]} == {"final"}


def test_finality_of_filled_rows(bench: Bench) -> None:
    bench.reports.fetch(D[40], D[2], {D[40]: spend(1)})
    rows = bench.ask(**between(D[3], D[0]), fill="zero")["rows"]
    assert shown(rows, "source", "finality") == [
        (D[3].isoformat(), "report", "settling"),
        (D[2].isoformat(), "report", "settling"),
        (D[1].isoformat(), "stream", "provisional"),
        (D[0].isoformat(), "stream", "live"),
    ]
    rows = bench.ask(**between(D[3], D[0]), fill="zero", source="report")["rows"]
    assert {row["source"] for row in rows} == {"report"}


# Freshness


def test_freshness(bench: Bench) -> None:
    bench.store.events = [event(D[1])]
    fetched = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    bench.reports.fetch(D[9], D[2], {D[9]: spend(1)}, at_ms=ms(fetched))
    (fresh,) = bench.ask()["freshness"]
    assert fresh == {
        "platform": "meta",
        "last_event_at": "2026-11-22T12:00:00Z",
        "last_report_at": "2026-11-23T09:00:00Z",
        "data_through": "2026-11-22",
        "finality": "provisional",
        "expected_final_at": None,
    }
    bench.reports.fetch(D[1], D[0], {}, at_ms=ms(fetched) + 1)
    bench.metadata.bump_data_versions([1])
    (fresh,) = bench.ask()["freshness"]
    assert (fresh["data_through"], fresh["finality"]) == ("2026-11-22", "settling")
    assert fresh["expected_final_at"] == "2026-12-21T00:00:00Z"
    (then,) = bench.ask(as_of="2026-11-23T08:59:59Z")["freshness"]
    assert (then["last_report_at"], then["finality"]) == (None, "provisional")


def test_data_through_follows_the_account_s_zone(bench: Bench) -> None:
    bench.reports.fetch(D[9], D[0], {day: spend(1) for day in D}, timezone="Pacific/Pago_Pago")
    early = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    (fresh,) = bench.ask(as_of=early.isoformat())["freshness"]
    assert fresh["data_through"] == "2026-11-21"
    bench.reports.fetch(D[9], D[0], {day: spend(1) for day in D}, timezone="Pacific/Kiritimati", at_ms=1)
    bench.metadata.bump_data_versions([1])
    (fresh,) = bench.ask(as_of=(early + timedelta(hours=2)).isoformat())["freshness"]
    assert (fresh["data_through"], fresh["expected_final_at"]) == ("2026-11-23", "2026-12-21T10:00:00Z")


# Comparisons, currencies


def test_both_sides_of_a_comparison_take_reports(bench: Bench) -> None:
    bench.store.events = [event(day, spend=1_000_000) for day in D[1:9]]
    bench.reports.fetch(D[8], D[6], {D[8]: spend(10), D[7]: spend(20)})
    answer = bench.ask(**between(D[4], D[1]), compare="previous_period")
    assert (answer["totals"]["spend"], answer["comparison"]["totals"]["spend"]) == (4, 31)
    assert answer["comparison"]["change"]["spend"] == Decimal("-0.870968")
    hourly = bench.ask(**between(D[4], D[1]), compare="previous_period", granularity="hourly", source="report")
    assert hourly["comparison"]["totals"]["spend"] is None
    assert hourly["comparison"]["change"]["spend"] is None
    assert codes(hourly) == ["breakdown_unavailable"]


def test_report_and_stream_of_one_day_and_currency_are_converted_together(bench: Bench) -> None:
    bench.rate(D[3], "EUR", "0.5")
    bench.metadata.add(1, links=[link()])
    bench.store.events = [event(D[3], platform="google", currency="EUR", spend=1)]
    bench.reports.fetch(D[3], D[3], {D[3]: (0, 0, 0, 2)}, currency="EUR")
    answer = bench.ask(**between(D[3], D[3]))
    assert answer["totals"]["spend"] == Decimal("0.000002")  # half of 3 to even, not half of 1 and half of 2
    assert codes(answer) == ["mixed_currency"]
    by_platform = bench.ask(**between(D[3], D[3]), group_by="platform")
    assert [row["spend"] for row in by_platform["rows"]] == [0, Decimal("0.000001")]
    assert by_platform["totals"]["spend"] == Decimal("0.000001")


def test_a_report_lacks_a_rate(bench: Bench) -> None:
    bench.reports.fetch(D[3], D[3], {D[3]: spend(2)}, currency="EUR")
    answer = bench.ask()
    assert (answer["totals"]["spend"], answer["totals"]["revenue"], codes(answer)) == (None, 0, ["missing_rate"])


# What the stores are asked


def test_without_links_nothing_is_asked_of_reports() -> None:
    bench = Bench()
    bench.ask(compare="previous_year")
    assert bench.reports.asked == {}


def test_where_nothing_was_fetched_the_stream_is_asked_alone(bench: Bench) -> None:
    bench.ask()
    bench.ask(granularity="monthly")
    assert bench.reports.asked == {"report_days": 1}
    assert bench.store.asked == {"sums_by_day": 2, "newest_events": 1}
