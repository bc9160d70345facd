"""Conversions tell the rates they used, in one order whatever order the rows came in."""

from datetime import date
from decimal import Decimal
from itertools import permutations

from campaignctl.domain.insight_rates import Conversions, RateTable
from campaignctl.domain.rates import Rate

DAYS = [date(2026, 10, day) for day in (1, 5, 9)]
RATES = [Decimal("1.2"), Decimal("1.1"), Decimal("1.2")]


def test_rates_are_told_in_the_order_of_their_first_use() -> None:
    told = set()
    for days in permutations(DAYS):
        stored = [Rate(day, "EUR", "USD", rate) for day, rate in zip(DAYS, RATES, strict=True)]
        table = RateTable("USD", stored, max_age_days=7)
        conversions = Conversions(lambda table=table: table)
        for day in days:
            conversions.convert(1_000_000, "EUR", day)
        told.add(conversions.warnings()[0].message)
    assert len(told) == 1
    assert "1 EUR = 1.2, 1.1." in told.pop()
