"""Buckets of local days and clock hours, and when they are."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from campaignctl.domain.periods import (
    Bucket,
    DayRange,
    Granularity,
    Timeline,
    WeekStart,
    buckets_of_days,
    buckets_of_hours,
    day_number,
    local_day,
    timeline_of_buckets,
    timeline_of_days,
)

_ZONES = """
UTC Asia/Kolkata Asia/Kathmandu Asia/Beirut Africa/Cairo Africa/Casablanca America/New_York America/Havana
America/Santiago America/Goose_Bay America/St_Johns Australia/Lord_Howe Europe/Dublin Pacific/Apia Pacific/Chatham
Pacific/Kiritimati Pacific/Pago_Pago Antarctica/Troll
"""


def days(first: str, last: str) -> DayRange:
    return DayRange(date.fromisoformat(first), date.fromisoformat(last))


def shown(bucket: Bucket) -> tuple[str, str, bool]:
    return bucket.start.isoformat(), bucket.end.isoformat(), bucket.partial


@pytest.mark.parametrize(
    ("granularity", "week_start", "expected"),
    [
        (
            Granularity.DAILY,
            WeekStart.MONDAY,
            [("2026-10-31", "2026-10-31", False), ("2026-11-01", "2026-11-01", False)],
        ),
        (Granularity.WEEKLY, WeekStart.MONDAY, [("2026-10-26", "2026-11-01", True)]),
        (
            Granularity.WEEKLY,
            WeekStart.SUNDAY,
            [("2026-10-25", "2026-10-31", True), ("2026-11-01", "2026-11-07", True)],
        ),
        (
            Granularity.MONTHLY,
            WeekStart.MONDAY,
            [("2026-10-01", "2026-10-31", True), ("2026-11-01", "2026-11-30", True)],
        ),
        (Granularity.TOTAL, WeekStart.MONDAY, [("2026-10-31", "2026-11-01", False)]),
    ],
)
def test_buckets_are_whole_periods(
    granularity: Granularity, week_start: WeekStart, expected: list[tuple[str, str, bool]]
) -> None:
    found = buckets_of_days(days("2026-10-31", "2026-11-01"), granularity, week_start)
    assert [shown(bucket) for bucket in found] == expected


def test_a_bucket_knows_its_days_inside_the_range() -> None:
    found = buckets_of_days(days("2026-01-30", "2026-03-02"), Granularity.MONTHLY, WeekStart.MONDAY)
    assert [bucket.days for bucket in found] == [
        days("2026-01-30", "2026-01-31"),
        days("2026-02-01", "2026-02-28"),
        days("2026-03-01", "2026-03-02"),
    ]
    assert [bucket.partial for bucket in found] == [True, False, True]


def test_earlier_ranges() -> None:
    assert days("2026-03-01", "2026-03-31").before() == days("2026-01-29", "2026-02-28")
    assert days("2024-02-29", "2024-02-29").year_before() == days("2023-02-28", "2023-02-28")
    assert days("2025-02-28", "2025-03-01").year_before() == days("2024-02-28", "2024-03-01")


def test_hours_are_cut_where_the_offset_changes() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")  # clocks go half an hour forward at 02:00
    found, _ = buckets_of_hours(days("2026-10-04", "2026-10-04"), zone)
    assert len(found) == 24
    assert [shown(bucket)[:2] for bucket in found[1:4]] == [
        ("2026-10-04T01:00:00+10:30", "2026-10-04T02:30:00+11:00"),
        ("2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"),
        ("2026-10-04T03:00:00+11:00", "2026-10-04T04:00:00+11:00"),
    ]


def test_an_hour_that_comes_twice_is_two_hours() -> None:
    found, timeline = buckets_of_hours(days("2026-11-01", "2026-11-01"), ZoneInfo("America/New_York"))
    assert len(found) == 25
    assert [bucket.start.isoformat() for bucket in found[1:3]] == [
        "2026-11-01T01:00:00-04:00",
        "2026-11-01T01:00:00-05:00",
    ]
    assert timeline.owners == tuple(range(25))


def test_a_day_that_a_zone_left_out_has_no_time() -> None:
    zone = ZoneInfo("Pacific/Apia")
    left_out = days("2011-12-30", "2011-12-30")
    assert timeline_of_days(left_out, zone) == Timeline((), ())
    assert buckets_of_hours(left_out, zone) == ([], Timeline((), ()))
    around = timeline_of_days(days("2011-12-29", "2011-12-31"), zone)
    assert around.owners == (0, 2)


def test_clocks_that_go_back_over_midnight_cut_days_in_two() -> None:
    timeline = timeline_of_days(days("2010-11-06", "2010-11-07"), ZoneInfo("America/Goose_Bay"))
    assert timeline.owners == (0, 1, 0, 1)
    single = timeline_of_days(days("2010-11-07", "2010-11-07"), ZoneInfo("America/Goose_Bay"))
    assert single.owners == (0, -1, 0)


@pytest.mark.parametrize("zone_key", _ZONES.split())
def test_every_instant_belongs_to_its_local_day_and_hour(zone_key: str) -> None:
    zone, rng = ZoneInfo(zone_key), random.Random(zone_key)
    for first in (date(2010, 11, 1), date(2011, 12, 20), date(2026, 3, 20), date(2026, 10, 1), date(2026, 10, 20)):
        asked = DayRange(first, first + timedelta(days=14))
        of_days = timeline_of_days(asked, zone)
        buckets = buckets_of_days(asked, Granularity.WEEKLY, WeekStart.SUNDAY)
        of_weeks = timeline_of_buckets(buckets, asked, zone)
        hours, of_hours = buckets_of_hours(asked, zone)
        for instant in _instants(rng, asked, of_days):
            local = instant.astimezone(zone)
            inside = asked.first <= local.date() <= asked.last
            assert _owner(of_days, instant) == ((local.date() - asked.first).days if inside else None)
            week = next((n for n, bucket in enumerate(buckets) if inside and local.date() in list(bucket.days)), None)
            assert _owner(of_weeks, instant) == week
            hour = _owner(of_hours, instant)
            assert (hour is not None) == inside
            if hour is not None:
                start, end = hours[hour].start, hours[hour].end
                assert isinstance(start, datetime)
                assert isinstance(end, datetime)
                assert start <= instant < end
                assert (local.hour, local.date(), local.utcoffset()) == (start.hour, start.date(), start.utcoffset())
                assert hours[hour].days == DayRange(local.date(), local.date())


def test_what_has_begun() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    now = datetime(2026, 10, 4, 18, 30, tzinfo=UTC)  # midnight in India
    today = local_day(now, zone)
    assert today == date(2026, 10, 5)
    buckets = buckets_of_days(days("2026-10-01", "2026-10-08"), Granularity.DAILY, WeekStart.MONDAY)
    assert sum(bucket.begun(now, today) for bucket in buckets) == 5
    hours, _ = buckets_of_hours(days("2026-10-05", "2026-10-05"), zone)
    assert [hour.begun(now, today) for hour in hours].count(True) == 1
    week = buckets_of_days(days("2026-10-06", "2026-10-08"), Granularity.WEEKLY, WeekStart.MONDAY)
    assert not week[0].begun(now, today)  # Monday has begun, its days inside the range have not


def test_day_numbers() -> None:
    assert day_number(date(1970, 1, 1)) == 0
    assert day_number(date(1969, 12, 31)) == -1


def _instants(rng: random.Random, asked: DayRange, timeline: Timeline) -> list[datetime]:
    """All around the edges, and somewhere."""
    start = datetime(asked.first.year, asked.first.month, asked.first.day, tzinfo=UTC) - timedelta(days=1)
    somewhere = [start + timedelta(minutes=rng.uniform(0, 17 * 1440)) for _ in range(200)]
    edges = [datetime.fromtimestamp(edge // 1_000_000, UTC) for edge in timeline.edges_us]
    around = [edge + timedelta(microseconds=n) for edge in edges for n in (-1, 0, 1)]
    return somewhere + around


def _owner(timeline: Timeline, instant: datetime) -> int | None:
    time_us = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for start, end, owner in zip(timeline.edges_us, timeline.edges_us[1:], timeline.owners, strict=False):
        if start <= time_us < end:
            return owner if owner >= 0 else None
    return None
