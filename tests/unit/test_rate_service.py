"""Currency rates: what is taken, and how what is wrong is told."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.rates import Rate
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Forbidden, InvalidInput
from campaignctl.services.rates import RateService, parse_rates
from campaignctl.services.schema import SchemaService
from tests.contracts.metadata_contract import StillClock

RATE = {"date": "2026-10-01", "currency": "EUR", "base": "USD", "rate": "1.1"}


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[SQLiteMetadata]:
    store = SQLiteMetadata(tmp_path / "metadata.sqlite", StillClock())
    SchemaService([store]).apply(1)
    yield store
    store.close()


@pytest.fixture
def analyst(metadata: SQLiteMetadata) -> Actor:
    return Actor(metadata.ensure_organization("acme"), Role.ANALYST, user_id=1, session_id=1)


@pytest.fixture
def rates(metadata: SQLiteMetadata) -> RateService:
    return RateService(metadata)


def wrong(values: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        parse_rates(values)
    return [error.field for error in caught.value.errors]


@pytest.mark.parametrize(
    ("rate", "value"),
    [
        (1, "1"),
        ("1.10", "1.1"),
        (Decimal("1.0837"), "1.0837"),
        ("1e-18", "0.000000000000000001"),
        ("123456789.123456789012345678", "123456789.123456789012345678"),
        ("1e8", "100000000"),
    ],
)
def test_rates_are_exact(rate: object, value: str) -> None:
    (parsed,) = parse_rates([RATE | {"rate": rate, "currency": "eur"}])
    assert parsed == Rate(date(2026, 10, 1), "EUR", "USD", Decimal(value))
    assert f"{parsed.rate:f}" == value


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"rate": 0}, ["0.rate"]),
        ({"rate": "-1"}, ["0.rate"]),
        ({"rate": "1e9"}, ["0.rate"]),
        ({"rate": "1e-19"}, ["0.rate"]),
        ({"rate": "1,1"}, ["0.rate"]),
        ({"rate": True}, ["0.rate"]),
        ({"rate": None}, ["0.rate"]),
        ({"date": "2026-13-01"}, ["0.date"]),
        ({"date": None}, ["0.date"]),
        ({"base": "EUR"}, ["0.base"]),
        ({"base": "eur"}, ["0.base"]),
        ({"currency": "EURO"}, ["0.currency"]),
        ({"currency": None, "base": ""}, ["0.currency", "0.base"]),
        ({"rates": 1}, ["0.rates"]),
    ],
)
def test_what_is_no_rate(change: dict[str, Any], fields: list[str]) -> None:
    assert wrong([RATE | change]) == fields


def test_every_wrong_field_of_a_list_is_named() -> None:
    assert wrong([RATE, "x", RATE, RATE | {"rate": "x"}]) == ["1", "3.rate"]
    for values in (None, {}, RATE, "x", 5, [RATE] * 10_001):
        assert wrong(values) == ["body"]


def test_of_two_for_one_day_the_later_counts(rates: RateService, analyst: Actor) -> None:
    assert rates.put([RATE, RATE | {"rate": 2}], analyst) == 2
    assert [rate.rate for rate in rates.list(analyst).items] == [2]
    assert rates.put([RATE | {"rate": 3}], analyst) == 1
    assert [rate.rate for rate in rates.list(analyst).items] == [3]
    assert rates.put([], analyst) == 0


def test_all_or_nothing(rates: RateService, analyst: Actor) -> None:
    with pytest.raises(InvalidInput):
        rates.put([RATE, RATE | {"rate": -1}], analyst)
    assert rates.list(analyst).items == ()


def test_ten_thousand(rates: RateService, analyst: Actor, metadata: SQLiteMetadata) -> None:
    many = [RATE | {"date": date.fromordinal(730_000 + n).isoformat()} for n in range(10_000)]
    assert rates.put(many, analyst) == 10_000
    assert analyst.organization_id is not None
    assert len(metadata.rates_between(analyst.organization_id, "USD", date.min, date.max)[1]) == 10_000


def test_who_may(rates: RateService, analyst: Actor, metadata: SQLiteMetadata) -> None:
    viewer = Actor(analyst.organization_id, Role.VIEWER, user_id=1, session_id=1)
    with pytest.raises(Forbidden):
        rates.put([RATE], viewer)
    operator = Actor.machine_operator()
    rates.put([RATE], operator)
    assert rates.list(viewer).items == rates.list(operator).items != ()
    other = metadata.ensure_organization("other")
    assert rates.list(Actor(other, Role.ADMIN, 2, 2)).items == ()
    for attempt in (lambda: rates.put([RATE], operator), lambda: rates.list(operator)):
        with pytest.raises(InvalidInput, match="--organization"):
            attempt()


def test_pages_and_filters(rates: RateService, analyst: Actor, metadata: SQLiteMetadata) -> None:
    rates.put(
        [
            {"date": f"2026-10-0{day}", "currency": currency, "base": base, "rate": day}
            for day in range(1, 6)
            for currency, base in (("EUR", "USD"), ("INR", "USD"), ("USD", "EUR"))
        ],
        analyst,
    )
    seen, cursor = [], None
    while True:
        page = rates.list(analyst, base="usd", first=date(2026, 10, 2), limit=3, cursor=cursor)
        seen += [(rate.day.day, rate.currency) for rate in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        with pytest.raises(InvalidInput, match="cursor"):
            rates.list(analyst, base="EUR", first=date(2026, 10, 2), cursor=cursor)
    assert seen == [(day, currency) for day in range(2, 6) for currency in ("EUR", "INR")]
    assert len(rates.list(analyst, currency="EUR", last=date(2026, 10, 2)).items) == 2
    for filters in (
        {"base": "dollar"},
        {"currency": ""},
        {"first": date(2026, 2, 1), "last": date(2026, 1, 1)},
        {"limit": 0},
    ):
        with pytest.raises(InvalidInput):
            rates.list(analyst, **filters)  # type: ignore[arg-type]
