"""Gathering a report's rows: the same in memory and on disk."""

import random
from datetime import date, timedelta

import pytest

from campaignctl.domain.reports import Figures, ReportRow
from campaignctl.services import report_spool
from campaignctl.services.report_spool import ReportSpool

DAY = date(2026, 10, 1)


def gathered(rows: list[ReportRow]) -> dict[tuple[str, date], dict[str, Figures]]:
    with ReportSpool() as spool:
        for start in range(0, len(rows), 7):
            spool.add(rows[start : start + 7])
        assert spool.count == len(rows)
        found = list(spool.slices())
    assert len({key for key, _ in found}) == len(found)
    return {key: {one.region: one for one in figures} for key, figures in found}


def test_rows_of_one_region_add_up_and_what_is_not_given_stays_so() -> None:
    rows = [ReportRow("n", DAY, "US", 1, None, 2, 3, None), ReportRow("n", DAY, "US", 10, 5, None, 30, None)]
    assert gathered(rows) == {("n", DAY): {"US": Figures("US", 11, 5, 2, 33, None)}}


def test_on_disk_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(5)
    rows = [
        ReportRow(
            f"n{dice.randrange(200)}",
            DAY + timedelta(days=dice.randrange(5)),
            dice.choice(["", "US", "DE"]),
            dice.randrange(10**12),
            None,
            dice.randrange(9),
            -dice.randrange(9),
            2**62,
        )
        for _ in range(3_000)
    ]
    rows = list({(row.native_id, row.day, row.region): row for row in rows}.values())
    in_memory = gathered(rows)
    monkeypatch.setattr(report_spool, "_IN_MEMORY_ROWS", 100)
    assert gathered(rows) == in_memory
