"""Numbers of every spelling come out exact, by the quick way and by the long one."""

import json
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.adapters.ad_platforms import answers
from campaignctl.adapters.ad_platforms.answers import Unexpected

DECIMALS = st.decimals(min_value=-(10**11), max_value=10**11, allow_nan=False, allow_infinity=False)


def rounded(text: str) -> int:
    with localcontext() as context:
        context.prec = 200
        return int((Decimal(text) * 10**6).quantize(Decimal(1), ROUND_HALF_EVEN))


@given(DECIMALS)
def test_a_decimal_is_rounded_half_even_to_the_millionth(value: Decimal) -> None:
    for text in (str(value), f"{value:f}"):
        if len(text) <= 100:
            assert answers.millionths(text, "x") == rounded(text)


@given(st.integers(0, 10**12 - 1))
def test_whole_numbers(value: int) -> None:
    for spelling in (value, str(value), f"{value}.0", f"{value}.000000000"):
        assert answers.count(spelling, "x") == value
        assert answers.millionths(spelling, "x") == value * 10**6
    assert answers.micros(str(value), "x") == answers.micros(value, "x") == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-",
        "01",
        "00",
        "+1",
        "1.",
        ".5",
        "1,5",
        "1_0",
        "²",
        "١",
        "NaN",
        "Infinity",
        "1e99",
        "9" * 13,
        "9" * 5000,
        True,
        1.5,
        [],
        {},
        10**13,
        "0x10",
        "1.5.5",
        "1.²",
    ],
)
def test_what_is_no_number_is_refused(value: object) -> None:
    for read in (answers.count, answers.millionths):
        with pytest.raises(Unexpected, match="at spend"):
            read(value, "spend")
    if value not in ("9" * 13, 10**13):
        with pytest.raises(Unexpected):
            answers.micros(value, "spend")


def test_absent_is_nothing() -> None:
    assert answers.count(None, "x") == answers.millionths(None, "x") == answers.micros(None, "x") == 0


@pytest.mark.parametrize(
    ("told", "code"),
    [("us", "US"), (" de ", "DE"), ("unknown", "ZZ"), ("", "ZZ"), (None, "ZZ"), (7, "ZZ"), ("ß", "ZZ"), ("U1", "ZZ")],
)
def test_countries(told: object, code: str) -> None:
    assert answers.country(told) == code


def test_secrets_are_cut_out_in_every_spelling() -> None:
    body = b'{"a":"se/cr et","b":"se%2Fcr%20et","c":"?access_token=zzz&x=1","d":"se%2Fcr+et"}'
    assert answers.scrubbed(body, ["se/cr et", "a"]) == b'{"a":"-","b":"-","c":"?access_token=-&x=1","d":"-"}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_a_document_is_read_as_the_standard_library_reads_it(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert answers.parse_json(body) == json.loads(body.decode("utf-8", "surrogatepass"), parse_float=str)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123456789012345678901", 123456789012345678901),
        ("1.500", "1.500"),
        ("-1.2E-18", "-1.2E-18"),
        ("1e400", "1e400"),
        ('"\\ud800"', "\ud800"),
        ("\ufeff[1]", [1]),
    ],
)
def test_numbers_and_texts_that_a_quick_reader_trips_over(text: str, value: object) -> None:
    assert answers.parse_json(text.encode()) == value


@pytest.mark.parametrize(
    "body", [b"", b"NaN", b"[Infinity]", b"[1,]", b"01", b'{"a":1', b"\xff", b"[" * 100_000, b"9" * 5_000]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(answers.NotJson):
        answers.parse_json(body)
