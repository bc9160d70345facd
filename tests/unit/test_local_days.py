"""Local days, against zoneinfo asked one by one."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest

from campaignctl.domain.local_days import LocalDays

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SAMPLE = sorted(available_timezones())


def expected(zone: str, times_us: list[int]) -> list[int]:
    local = [(EPOCH + timedelta(microseconds=time_us)).astimezone(ZoneInfo(zone)) for time_us in times_us]
    return [time.date().toordinal() - EPOCH.date().toordinal() for time in local]


@pytest.mark.parametrize("zone", [*Random(5).sample(SAMPLE, 60), "Australia/Lord_Howe", "Africa/Casablanca", "UTC"])
def test_every_zone_agrees_with_zoneinfo(zone: str) -> None:
    random, days = Random(zone), LocalDays()
    for first_year, last_year in ((2025, 2027), (2010, 2012), (2026, 2026)):
        bounds = [int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (first_year, last_year + 1)]
        times_us = [random.randrange(bounds[0] * 10**6, bounds[1] * 10**6) for _ in range(400)]
        assert days.days(zone, np.array(times_us, np.int64)).tolist() == expected(zone, times_us)


def test_the_microseconds_around_midnight_and_around_a_change_fall_on_the_right_day() -> None:
    zone, days = "America/New_York", LocalDays()
    midnight = int(datetime(2026, 11, 1, 4, tzinfo=UTC).timestamp()) * 10**6
    times_us = [midnight + step for step in (-1, 0, 1)]
    for hour in range(48):
        times_us += [midnight + hour * 3_600 * 10**6 + step for step in (-1, 0, 1)]
    assert days.days(zone, np.array(times_us, np.int64)).tolist() == expected(zone, times_us)


def test_days_before_1970_count_backwards() -> None:
    times_us = [-1, -86_400_000_000, -86_400_000_001]
    for zone in ("UTC", "Asia/Kolkata", "Pacific/Honolulu"):
        assert LocalDays().days(zone, np.array(times_us, np.int64)).tolist() == expected(zone, times_us)
