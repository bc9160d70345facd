"""Decoding never raises, and says the same as an independent, slow reading by json, Decimal and datetime."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from campaignctl.domain.currencies import CURRENCIES
from campaignctl.domain.events import EventColumns, EventLimits, EventRow, Reject, decode_events
from campaignctl.domain.events.times import parse_time, parse_times

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
LIMITS = EventLimits(max_record_bytes=4_000)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# --- The independent reading ------------------------------------------------------------------------------------------


class RuleBrokenError(Exception):
    """A rule is broken: reason and field."""


class Number(str):
    __slots__ = ()


def reading(value: bytes, time_ms: int = NOW_MS) -> tuple[Any, ...]:
    """The fields in order, or (reason, field)."""
    try:
        return fields(parsed(value), time_ms)
    except RuleBrokenError as broken:
        return broken.args


def parsed(value: bytes) -> dict[str, Any]:
    if len(value) > LIMITS.max_record_bytes:
        raise RuleBrokenError("too_large", "")
    try:
        text = value.decode()
        pairs = json.loads(
            text, parse_int=Number, parse_float=Number, parse_constant=no_constant, object_pairs_hook=Pairs
        )
        everything(pairs).encode()  # fails for half a surrogate pair
    except (ValueError, RecursionError):
        raise RuleBrokenError("malformed_json", "") from None
    if depth(text) > 128:
        raise RuleBrokenError("malformed_json", "")
    if not isinstance(pairs, Pairs):
        raise RuleBrokenError("invalid_type", "")
    return dict(pairs)


class Pairs(list[Any]):
    """An object with all its keys, also those given twice."""


def no_constant(name: str) -> None:
    raise ValueError(name)


def everything(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "".join(map(everything, value))
    return value if isinstance(value, str) else ""


def depth(text: str) -> int:
    deepest = level = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


def fields(members: dict[str, Any], time_ms: int) -> tuple[Any, ...]:
    def get(name: str) -> Any:
        found = members.get(name)
        return None if type(found) is str and found == "" else found

    event_id = text_of(get, "event_id", required=True)
    campaign_id = integer_of(get, "campaign_id")
    if campaign_id <= 0:
        raise RuleBrokenError("invalid_value", "campaign_id")
    platform = ascii_lower(text_of(get, "platform", required=True, longest=None))
    if platform not in {"meta", "google", "linkedin", "tiktok"}:
        raise RuleBrokenError("unknown_platform", "platform")
    event_time = time_of(get)
    if event_time > (time_ms + 86_400_000) * 1000:
        raise RuleBrokenError("event_time_in_future", "event_time")
    if event_time < (time_ms - 400 * 86_400_000) * 1000:
        raise RuleBrokenError("event_time_too_old", "event_time")
    kind = ascii_lower(text_of(get, "event_type", longest=None) or "metrics")
    if kind not in {"impression", "click", "conversion", "metrics", "adjustment"}:
        raise RuleBrokenError("invalid_value", "event_type")
    region = text_of(get, "region", longest=None) or "ZZ"
    if not re.fullmatch("[A-Za-z][A-Za-z](-[A-Za-z0-9]{1,3})?", region):
        raise RuleBrokenError("invalid_region", "region")
    labels = [text_of(get, name) for name in ("ad_group_id", "ad_id", "device")]
    numbers = [number_of(get, name, kind) for name in ("impressions", "clicks", "conversions", "spend", "revenue")]
    currency = text_of(get, "currency", longest=None)
    if currency and not (currency.isascii() and currency.upper() in CURRENCIES):
        raise RuleBrokenError("invalid_value", "currency")
    return event_id, campaign_id, platform, event_time, kind, region.upper(), *labels, *numbers, currency.upper()


def ascii_lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def text_of(get: Callable[[str], Any], name: str, *, required: bool = False, longest: int | None = 128) -> str:
    found = get(name)
    if found is None:
        if required:
            raise RuleBrokenError("missing_field", name)
        return ""
    if type(found) is not str:
        raise RuleBrokenError("invalid_type", name)
    if longest is not None and len(found) > longest:
        raise RuleBrokenError("invalid_value", name)
    return found


def integer_of(get: Callable[[str], Any], name: str) -> int:
    found = get(name)
    if found is None:
        raise RuleBrokenError("missing_field", name)
    if type(found) is not Number:
        raise RuleBrokenError("invalid_type", name)
    value = Decimal(found)
    if value != value.to_integral_value():
        raise RuleBrokenError("invalid_type", name)
    limit = 10**39  # stands for everything above it
    return int(max(min(value, limit), -limit))


def time_of(get: Callable[[str], Any]) -> int:
    found = get("event_time")
    if type(found) is not str:
        return integer_of(get, "event_time") * 1000
    match = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", found, re.ASCII | re.IGNORECASE
    )
    try:
        if match is None or not found.isascii():
            raise ValueError
        leap_second = match[6] == "60"
        second = 59 if leap_second else int(match[6])
        moment = datetime(*map(int, match.group(1, 2, 3, 4, 5)), second, tzinfo=UTC)
        zone = timedelta()
        if match[8] not in "Zz":
            if int(match[8][1:3]) > 23 or int(match[8][4:]) > 59:
                raise ValueError
            zone = timedelta(hours=int(match[8][1:3]), minutes=int(match[8][4:])) * (-1 if match[8][0] == "-" else 1)
        micros = int(((match[7] or ".")[1:] + "000000")[:6])
        return (moment - EPOCH - zone) // timedelta(microseconds=1) + leap_second * 1_000_000 + micros
    except ValueError:
        raise RuleBrokenError("invalid_value", "event_time") from None


IMPLIED = {"impressions": "impression", "clicks": "click", "conversions": "conversion"}


def number_of(get: Callable[[str], Any], name: str, kind: str) -> int:
    found = get(name)
    is_count = name in ("impressions", "clicks")
    unit = 1 if is_count else 10**6
    if found is None:
        return unit if IMPLIED.get(name) == kind else 0
    if type(found) not in (Number, str) or (is_count and type(found) is str):
        raise RuleBrokenError("invalid_type", name)
    if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", found):
        raise RuleBrokenError("invalid_value", name)
    value = Decimal(found)
    if is_count and value != value.to_integral_value():
        raise RuleBrokenError("invalid_type", name)
    too_large = value.copy_abs() > 10**16 if is_count else value.copy_abs() >= 10**9
    if too_large or (value < 0 and kind != "adjustment") or not has_six_places(value):
        raise RuleBrokenError("invalid_value", name)
    sign, digits, exponent = value.as_tuple()
    magnitude = int("".join(map(str, digits)))
    assert isinstance(exponent, int)
    scale = exponent + (0 if is_count else 6)
    magnitude = magnitude * 10**scale if scale >= 0 else magnitude // 10**-scale if scale > -6000 else 0
    return -magnitude if sign else magnitude


def has_six_places(value: Decimal) -> bool:
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    trailing_zeros = next((i for i, digit in enumerate(reversed(digits)) if digit), len(digits))
    return not any(digits) or exponent + trailing_zeros >= -6


# --- What producers send ----------------------------------------------------------------------------------------------

DIGITS = st.text("0123456789", min_size=1, max_size=3)
NUMBERS = st.one_of(
    st.integers(-2, 10**10).map(str),
    st.decimals(-5, 10**10, places=6).map(lambda d: f"{d:f}"),
    st.decimals(-5, 10**9, places=3).map(lambda d: f"{d:E}"),
    st.decimals(0, 10**9, places=9).map(lambda d: f"{d:f}"),
    st.builds(
        "{}.{}e{}{}".format, st.integers(-1, 10**17), DIGITS, st.sampled_from(["", "-", "+"]), st.integers(0, 30)
    ),
    st.sampled_from(
        [
            "-0",
            "-0.0",
            "1.0",
            "1e3",
            "0e-999",
            "1e999999",
            "1e-999999",
            "9007199254740993.0",
            "10000000000000000",
            "10000000000000001",
            "999999999999999E-6",
            "0.1000000000000000055",
            "9" * 400,
            "1." + "0" * 400,
            "0.0000005",
            "999999999.9999995",
            "123456789012345.5",
            "1E400",
            "-1e400",
        ]
    ),
)
NO_NUMBERS = st.sampled_from(["+1", "01", ".5", "1.", "NaN", "1e", "1,2", " 1", "1\n", "\u0661", "null", "x"])
TEXTS = st.one_of(
    st.text(max_size=6),
    st.text('ab\u212a\u017f\0"\\\n\U0001f600', max_size=130),
    st.sampled_from(["", " ", "x" * 128, "x" * 129, "é" * 128, "\U0001f600" * 128, "\U0001f600" * 129]),
)
ANY_CASE = [str.upper, str.lower, str.title, lambda text: text]


def spelled(*texts: str) -> st.SearchStrategy[str]:
    return st.builds(lambda text, case: case(text), st.sampled_from(texts), st.sampled_from(ANY_CASE))


def as_json(text: str, *, escape: bool) -> str:
    return json.dumps(text, ensure_ascii=escape)


def quoted(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(as_json, texts, escape=st.booleans())


ODD = st.sampled_from(["null", "null", '""', '""', "true", "[]", '{"a":[1,{"b":false}]}'])
BROKEN = st.sampled_from(['"\\ud800"', '"\\udc00\\ud800"', "tru", "", "01", "NaN", '"\\x"', '"\t"'])
TIMES = st.one_of(
    st.datetimes(datetime(2025, 10, 15), datetime(2026, 11, 26)).map(lambda t: t.isoformat() + "Z"),
    st.builds(
        "{}{}{:02}:{:02}:{:02}{}{}".format,
        st.dates(datetime(2025, 10, 15).date(), datetime(2026, 11, 26).date()),
        st.sampled_from("TTTt "),
        st.integers(0, 24),
        st.integers(0, 60),
        st.integers(0, 61),
        st.one_of(st.just(""), st.text("0123456789", max_size=9).map(".{}".format)),
        st.one_of(
            st.sampled_from(["Z", "z", "", "+00:00", "-00:00", "+24:00", "+0530", "\n", "\u212a"]),
            st.builds("{}{:02}:{:02}".format, st.sampled_from("+-"), st.integers(0, 24), st.integers(0, 60)),
        ),
    ),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:60Z",
            "2026-02-29T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-23T12:00:00Z\n2026-11-23T12:00:00Z",
            "1792497600000",
            "now",
            "2026-11-23T11:59:60.9999999Z",
        ]
    ),
)
EPOCHS = st.one_of(
    st.integers(NOW_MS - 401 * 86_400_000, NOW_MS + 2 * 86_400_000).map(str),
    st.integers(-(10**25), 10**25).map(str),
    NUMBERS,
)
SPELLINGS = {
    "event_id": st.one_of(quoted(TEXTS), NUMBERS, ODD),
    "campaign_id": st.one_of(st.integers(1, 9).map(str), NUMBERS, quoted(TEXTS), ODD),
    "platform": st.one_of(quoted(spelled("meta", "google", "linkedin", "tiktok", "x", "tiKto\u212a")), NUMBERS, ODD),
    "event_time": st.one_of(quoted(TIMES), EPOCHS, ODD),
    "event_type": st.one_of(
        quoted(spelled("impression", "click", "conversion", "metrics", "adjustment", "view", "clic\u212a")), ODD
    ),
    "region": st.one_of(
        quoted(spelled("us", "us-ca", "fr-75c", "gb-eng", "usa", "u-s", "\u212ar", "us-")), NUMBERS, ODD
    ),
    "ad_group_id": st.one_of(quoted(TEXTS), ODD),
    "ad_id": st.one_of(quoted(TEXTS), ODD),
    "device": st.one_of(quoted(TEXTS), ODD),
    "impressions": st.one_of(NUMBERS, quoted(NUMBERS), ODD),
    "clicks": st.one_of(NUMBERS, quoted(NUMBERS), ODD),
    "conversions": st.one_of(NUMBERS, quoted(NUMBERS), quoted(NO_NUMBERS), ODD),
    "spend": st.one_of(NUMBERS, quoted(NUMBERS), quoted(NO_NUMBERS), ODD),
    "revenue": st.one_of(NUMBERS, quoted(NUMBERS), quoted(NO_NUMBERS), ODD),
    "currency": st.one_of(quoted(spelled("usd", "eur", "xau", "xyz", "u\u017fd")), ODD),
    "other": st.one_of(
        quoted(TEXTS), NUMBERS, ODD, BROKEN, st.sampled_from([127, 128]).map(lambda n: "[" * n + "]" * n)
    ),
}
GOOD = {"event_id": '"e"', "campaign_id": "1", "platform": '"meta"', "event_time": '"2026-11-23T11:00:00.5Z"'}
MEMBERS = st.sampled_from(sorted(SPELLINGS)).flatmap(lambda name: st.tuples(st.just(name), SPELLINGS[name]))


def written(members: list[tuple[str, str]], blank: str) -> bytes:
    """The good members first, so that those drawn are keys given twice or new ones."""
    every = [*GOOD.items(), *members]
    return ("{" + blank + f",{blank}".join(f'"{name}"{blank}:{text}' for name, text in every) + "}").encode()


RECORDS = st.builds(written, st.lists(MEMBERS, max_size=5), st.sampled_from(["", "", " ", "\r\n\t "]))


def mutated(value: bytes, place: int, length: int, instead: bytes) -> bytes:
    place %= len(value) + 1
    return value[:place] + instead + value[place + length :]


MUTATED = st.builds(mutated, RECORDS, st.integers(0, 500), st.integers(0, 5), st.binary(max_size=3))
VALUES = st.integers(0, 9).flatmap(lambda n: RECORDS if n < 8 else MUTATED if n < 9 else st.binary(max_size=40))


# --- The properties ---------------------------------------------------------------------------------------------------


def decoded(values: list[bytes]) -> list[tuple[Any, ...]]:
    columns, rejects = decode_events(values, [NOW_MS] * len(values), LIMITS)
    outcomes: list[Any] = [None] * len(values)
    for reject in rejects:
        check(reject)
        outcomes[reject.index] = (reject.reason.value, reject.field)
    for row, index in enumerate(columns.index):
        assert outcomes[index] is None
        outcomes[index] = tuple(getattr(columns, name)[row] for name in EventRow._fields)
    assert [r.index for r in rejects] == sorted(r.index for r in rejects)
    assert all(type(count) is int for name in EventRow._fields[9:14] for count in getattr(columns, name))
    return outcomes


def check(reject: Reject) -> None:
    assert 10 < len(reject.message) <= 300
    assert reject.message.isprintable()
    assert reject.campaign_id is None or reject.campaign_id > 0


@settings(max_examples=400)
@given(st.lists(VALUES, min_size=1, max_size=40))
def test_decoding_agrees_with_an_independent_reading(values: list[bytes]) -> None:
    expected = [reading(value) for value in values]
    assert decoded(values) == expected  # in columns, when there are enough
    assert [decoded([value])[0] for value in values] == expected  # one by one


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=10))
def test_no_bytes_whatsoever_raise(values: list[bytes]) -> None:
    assert all(outcome is not None for outcome in decoded(values))


@settings(max_examples=100)
@given(st.lists(st.one_of(TIMES, st.text(max_size=30)), max_size=40))
def test_both_readings_of_times_agree(texts: list[str]) -> None:
    times_us, refused = parse_times(texts) if texts else (None, [])
    for place, text in enumerate(texts):
        assert times_us is not None
        assert parse_time(text) == (None if place in refused else times_us[place])


def test_the_empty_batch() -> None:
    assert decode_events([], [], LIMITS) == (EventColumns(), [])
