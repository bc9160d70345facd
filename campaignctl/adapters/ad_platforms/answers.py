"""Reading what platforms answer: exact numbers, opaque ids, and one error for everything that is not as documented.

Numbers stay the text they came as until they are integers: of micros, of millionths, or of things counted. What a
message says of a bad answer is where it is bad, never what stood there.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final, TypeGuard
from urllib.parse import quote, quote_plus

from campaignctl.domain.money import MILLION, PLACES, ExactNumber, div_half_even, parse_number
from campaignctl.domain.regions import UNKNOWN_REGION

NATIVE_ID_MAX_CHARACTERS: Final = 128
_MILLION: int = MILLION
_UP: tuple[int, ...] = tuple(10 ** (PLACES - places) for places in range(PLACES + 1))
_LARGEST_DIGITS = 12
"""No amount and no count of one campaign and day has more digits before its point."""
_LONGEST_NUMBER = 100
"""Characters; the longest that was seen has 25."""
_SCRUBBED = "-"
_QUERY_NAMES = (b"access_token", b"appsecret_proof")
_IN_QUERIES = re.compile(rb"(access_token(?:=|%3D)|appsecret_proof(?:=|%3D))[^&\"\\\s]*")
_SHORTEST_SECRET = 6
"""Shorter values of credentials are no secrets, and too common to be cut out of an answer."""


class Unexpected(Exception):
    """The answer is not as documented; the message ends a sentence ("answered ...") and repeats nothing of it."""


class NotJson(Unexpected):
    """Cut off on its way, or a page for people of something in between."""


def parse_json(body: bytes) -> Any:
    """The document, with every fractional number as its own text; ``NotJson`` when it is none."""
    try:
        return json.loads(body, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotJson("with something that is no JSON") from None


def _refuse(name: str) -> None:
    raise ValueError(name)


def an_object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unexpected(f"without an object at {where}")
    return value


def a_list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unexpected(f"without a list at {where}")
    return value


def objects(value: object, where: str) -> list[Mapping[str, Any]]:
    entries = a_list(value, where)
    for entry in entries:
        if not isinstance(entry, dict):
            raise Unexpected(f"without an object at {where}")
    return entries


def an_id(value: object, where: str) -> str:
    """A text, or an integer of any size; never a fraction."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= NATIVE_ID_MAX_CHARACTERS or not text.isprintable():
        raise Unexpected(f"without an id at {where}")
    return text


def a_text(value: object) -> str:
    """A text for people; "" for anything else. Control characters are left out."""
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else ""


def a_day(value: object, where: str) -> date:
    """The calendar day at the start of a text (``2026-03-01``, ``2026-03-01 00:00:00``), never moved between zones."""
    if not isinstance(value, str) or (len(value) > 10 and value[10] not in " T"):
        raise Unexpected(f"without a day at {where}")
    try:
        return _day(value[:10])
    except ValueError:
        raise Unexpected(f"without a day at {where}") from None


@lru_cache(1_000)
def _day(text: str) -> date:
    return date.fromisoformat(text)


def count(value: object, where: str) -> int:
    """A whole number of things. Absent is 0; a value such as ``12.0`` is whole."""
    if _is_plain(value):
        return int(value)
    number = _number(value, where)
    if not number.is_integer:
        raise Unexpected(f"with a fraction where things are counted, at {where}")
    return number.times_power_of_ten(0)


def millionths(value: object, where: str) -> int:
    """A decimal of any length, in millionths, rounded half-even. Absent is 0, and nothing is a negative zero."""
    if value is None:
        return 0
    if isinstance(value, str):
        whole, point, places = value.partition(".")
        if _is_plain(whole):
            if not point:
                return int(whole) * _MILLION
            if len(places) <= PLACES and places.isascii() and places.isdigit():
                return int(whole) * _MILLION + int(places) * _UP[len(places)]
    elif _is_plain(value):
        return int(value) * _MILLION
    return rounded_millionths(_number(value, where))


def _is_plain(value: object) -> TypeGuard[int | str]:
    """Whether a value is digits alone, as nearly all are: what decides how fast a page is read."""
    if type(value) is str:
        return (
            len(value) <= _LARGEST_DIGITS and value.isascii() and value.isdigit() and (value[0] != "0" or value == "0")
        )
    return type(value) is int and 0 <= value < 10**_LARGEST_DIGITS


def rounded_millionths(number: ExactNumber) -> int:
    if number.exponent >= -PLACES:
        return number.times_power_of_ten(PLACES)
    if number.integer_digits < -PLACES:  # below 10^-6 by at least a digit, so rounded to 0
        return 0
    magnitude = div_half_even(int(number.digits), int(10 ** (-number.exponent - PLACES)))
    return -magnitude if number.negative else magnitude


def micros(value: object, where: str) -> int:
    """An integer that already is micros, as a number or a text. Absent is 0."""
    if _is_plain(value):
        return int(value)
    number = _number(value, where, _LARGEST_DIGITS + PLACES)
    if not number.is_integer:
        raise Unexpected(f"with a fraction of a micro at {where}")
    return number.times_power_of_ten(0)


def _number(value: object, where: str, largest_digits: int = _LARGEST_DIGITS) -> ExactNumber:
    text = "0" if value is None else str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    number = parse_number(text.strip()) if len(text) <= _LONGEST_NUMBER else None
    if number is None or number.integer_digits > largest_digits:
        raise Unexpected(f"without a number at {where}")
    return number


def country(value: object) -> str:
    """ISO 3166-1 alpha-2 in upper case; "ZZ" for anything else, ``unknown`` and nothing among it."""
    text = value.strip() if isinstance(value, str) else ""
    return text.upper() if len(text) == 2 and text.isascii() and text.isalpha() else UNKNOWN_REGION


def scrubbed(body: bytes, secrets: Iterable[str]) -> bytes:
    """The answer without credentials: Meta puts the access token into the addresses of its next pages."""
    starts = [at for name in _QUERY_NAMES if (at := body.find(name)) >= 0]
    if starts:  # mostly in the address of the next page, at the very end
        body = body[: min(starts)] + _IN_QUERIES.sub(rb"\1" + _SCRUBBED.encode(), body[min(starts) :])
    for secret in secrets:
        if len(secret) < _SHORTEST_SECRET:
            continue
        for spelling in {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}:
            body = body.replace(spelling.encode(), _SCRUBBED.encode())
    return body
