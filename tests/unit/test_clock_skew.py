"""When a machine's clock counts as wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from campaignctl.errors import ClockSkew
from campaignctl.services.clock_skew import ClockComparison
from tests.fakes.clock import ManualClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Server:
    clock: ManualClock
    off_s: float
    takes_s: float = 0.0

    def server_time(self) -> datetime:
        self.clock.advance(self.takes_s / 2)
        theirs = self.clock.now() + timedelta(seconds=self.off_s)
        self.clock.advance(self.takes_s / 2)
        return theirs


def check(off_s: float, takes_s: float = 0.0) -> None:
    clock = ManualClock(NOW)
    ClockComparison(clock, {"ClickHouse": Server(clock, off_s, takes_s)}).check()


@pytest.mark.parametrize(("off_s", "takes_s"), [(0, 0), (29, 0), (-29, 0), (0, 300), (40, 60), (-40, 60)])
def test_what_may_be_right_is_not_told(off_s: float, takes_s: float) -> None:
    check(off_s, takes_s)


@pytest.mark.parametrize(
    ("off_s", "told"),
    [
        (-300, "is 300 s ahead of that of ClickHouse"),
        (300, "is 300 s behind that of ClickHouse"),
        (31, "is 31 s behind"),
    ],
)
def test_a_difference_is_told_with_its_side(off_s: float, told: str) -> None:
    with pytest.raises(ClockSkew, match=told):
        check(off_s)


def test_a_slow_answer_hides_no_more_than_it_took() -> None:
    with pytest.raises(ClockSkew):
        check(300, 60)
