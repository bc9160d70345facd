from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.domain.money import (
    AmountError,
    div_half_even,
    micros_to_decimal,
    micros_to_decimal_text,
    micros_to_decimal_texts,
    parse_millionths,
    parse_number,
    ratio_micros,
    ratios_micros,
)

WIDE = Context(prec=200)


@pytest.mark.parametrize(
    ("text", "millionths"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("0e-999", 0),
        ("0E+999999999999999999999", 0),
        ("1", 1_000_000),
        ("12.50", 12_500_000),
        ("0.000001", 1),
        ("-0.000001", -1),
        ("7.00000100000000", 7_000_001),
        ("999999999999999E-6", 999_999_999_999_999),
        ("999999999.999999", 999_999_999_999_999),
        ("1e3", 1_000_000_000),
        ("1E+3", 1_000_000_000),
        ("100000000000000000000e-20", 1_000_000),
        ("0.00000000000000000000000000001e29", 1_000_000),
        ("0." + "0" * 9000 + "1e9001", 1_000_000),
        ("1" + "0" * 9000 + "e-9000", 1_000_000),
    ],
)
def test_a_decimal_is_read_by_its_value(text: str, millionths: int) -> None:
    assert parse_millionths(text) == millionths


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+1",
        "01",
        "00",
        ".5",
        "1.",
        "1e",
        "1e+",
        "-",
        "--1",
        "1,000",
        "1_000",
        " 1",
        "1 ",
        "1\n",
        "12 dollars",
        "NaN",
        "nan",
        "Infinity",
        "0x10",
        "\u0661",
        "\uff11",
        "1.0.0",
        "1e1.5",
        "null",
        "true",
    ],
)
def test_another_grammar_is_no_number(text: str) -> None:
    assert parse_number(text) is None
    with pytest.raises(AmountError, match="must be a decimal number"):
        parse_millionths(text)


@pytest.mark.parametrize(
    "text",
    ["0.1234567", "1e-7", "-1e-7", "0.0000001", "1e-999999999", "1e-" + "9" * 9000, "0.1000000000000000055"],
)
def test_a_seventh_place_is_too_many(text: str) -> None:
    with pytest.raises(AmountError, match="at most 6 decimal places"):
        parse_millionths(text)


@pytest.mark.parametrize(
    "text",
    [
        "1000000000",
        "1e9",
        "-1000000000",
        "10e8",
        "9" * 5000,
        "1e999999999",
        "1e" + "9" * 9000,
        "1e18446744073709551616",
    ],
)
def test_ten_digits_before_the_point_are_too_many(text: str) -> None:
    with pytest.raises(AmountError, match="at most 9 digits"):
        parse_millionths(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-999_999_999, max_value=999_999_999))
def test_reading_agrees_with_decimal(value: Decimal) -> None:
    assert parse_millionths(f"{value:f}") == int(value.scaleb(6, WIDE))
    assert parse_millionths(f"{value:E}") == int(value.scaleb(6, WIDE))


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (2_400_500_000, "2400.5"),
        (10_000_000, "10"),
        (-500_000, "-0.5"),
        (10**38 + 1, "1" + "0" * 32 + ".000001"),
    ],
)
def test_micros_are_written_plainly(micros: int, text: str) -> None:
    assert micros_to_decimal_text(micros) == text
    assert micros_to_decimal(micros) == Decimal(text)


@given(st.integers(-(10**40), 10**40))
def test_writing_is_exact(micros: int) -> None:
    assert Decimal(micros_to_decimal_text(micros)).scaleb(6, WIDE) == micros
    assert micros_to_decimal(micros).scaleb(6, WIDE) == micros


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [
        (1, 2, 0),
        (3, 2, 2),
        (5, 2, 2),
        (-1, 2, 0),
        (-3, 2, -2),
        (1, -2, 0),
        (3, -2, -2),
        (7, 3, 2),
        (8, 3, 3),
        (6, 3, 2),
    ],
)
def test_halves_go_to_the_even_neighbour(numerator: int, denominator: int, quotient: int) -> None:
    assert div_half_even(numerator, denominator) == quotient


@given(st.integers(-(10**50), 10**50), st.integers(1, 10**30))
def test_division_agrees_with_decimal(numerator: int, denominator: int) -> None:
    exact = WIDE.divide(Decimal(numerator), Decimal(denominator))
    assert div_half_even(numerator, denominator) == int(exact.quantize(Decimal(1), ROUND_HALF_EVEN, WIDE))


def test_division_by_zero_is_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        div_half_even(1, 0)


def test_a_ratio_has_six_places_and_is_none_without_a_divisor() -> None:
    assert ratio_micros(812_345_678, 2400) == 338_477  # cpc
    assert ratio_micros(2400 * 10**6, 120_000) == 20_000  # ctr
    assert ratio_micros(812_345_678 * 10**6, 31_500_000) == 25_788_752  # cpa
    assert ratio_micros(-1_000_000, 3) == -333_333
    assert ratio_micros(5, 0) is None
    assert ratio_micros(5, -1) is None


_COLUMN = st.lists(st.one_of(st.none(), st.integers(-(10**30), 10**30)), max_size=8)


@given(_COLUMN)
def test_a_column_is_written_as_its_numbers_are(column: list[int | None]) -> None:
    expected = ["null" if micros is None else micros_to_decimal_text(micros) for micros in column]
    assert micros_to_decimal_texts(column) == expected


@given(_COLUMN, st.data(), st.integers(1, 10**12), st.integers(1, 10**6))
def test_ratios_of_columns_are_those_of_their_numbers(
    dividends: list[int | None], data: st.DataObject, dividend_scale: int, divisor_scale: int
) -> None:
    some = st.one_of(st.none(), st.integers(-3, 3), st.integers(-(10**30), 10**30))
    divisors = data.draw(st.lists(some, min_size=len(dividends), max_size=len(dividends)))
    expected = [
        None if over is None or under is None else ratio_micros(over * dividend_scale, under * divisor_scale)
        for over, under in zip(dividends, divisors, strict=True)
    ]
    assert ratios_micros(dividends, divisors, dividend_scale, divisor_scale) == expected
