"""Each client against the sandbox: with every fault that a client gets over, stored rows equal the truth to the micro."""

from datetime import date

import pytest

from campaignctl.domain.reports import Breakdown
from campaignctl.sandbox.faults import FAULTS, PLATFORMS
from campaignctl.sandbox.platforms.desk import Limits
from tests.support.sandbox import Stage, figures

FIRST, LAST = date(2026, 10, 22), date(2026, 11, 20)
PASSING = [(p, f.name) for f in FAULTS if not f.by_name_only for p in f.platforms]

NEEDS_PAGES = {("google", "google-page-token"), ("google", "duplicate-page")}
"""What a stream never shows."""


def agrees(stage: Stage, breakdown: Breakdown, level: str = "") -> None:
    found = figures(stage.fetched(FIRST, LAST, breakdown, level))
    assert found == stage.expected(FIRST, LAST, breakdown, level)
    assert found


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("breakdown", Breakdown)
def test_rows_equal_the_truth(platform: str, breakdown: Breakdown) -> None:
    agrees(Stage(platform), breakdown)


@pytest.mark.parametrize(("platform", "fault"), PASSING)
def test_rows_equal_the_truth_with_the_fault(platform: str, fault: str) -> None:
    with_it = ["google-stream-broken"] if (platform, fault) in NEEDS_PAGES else []
    stage = Stage(platform, [fault, *with_it], Limits(page_rows=5 if with_it else 20))
    agrees(stage, Breakdown.TOTAL)
    agrees(stage, Breakdown.COUNTRY)
    strikes = next(one.strikes for one in FAULTS if one.name == fault)
    assert stage.struck == ({fault} if strikes else set())


@pytest.mark.parametrize("platform", PLATFORMS)
def test_rows_equal_the_truth_with_all_faults_at_once(platform: str) -> None:
    stage = Stage(platform, ["all"], Limits(page_rows=20))
    agrees(stage, Breakdown.TOTAL)
    agrees(stage, Breakdown.COUNTRY)
