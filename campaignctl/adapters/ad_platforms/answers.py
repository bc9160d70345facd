"""Reading what platforms answer: exact numbers, opaque ids, and one error for everything that is not as documented.

Numbers stay the text they came as until they are integers: of micros, of millionths, or of things counted. What a
message says of a bad answer is where it is bad, never what stood there.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final, TypeGuard
from urllib.parse import quote, quote_plus

import msgspec

from campaignctl.domain.money import MILLION, PLACES, ExactNumber, div_half_even, parse_number
from campaignctl.domain.regions import UNKNOWN_REGION

NATIVE_ID_MAX_CHARACTERS: Final = 128
_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(float_hook=str).decode
_MILLION: int = MILLION
_UP: tuple[int, ...] = tuple(10 ** (PLACES - places) for places in range(PLACES + 1))
_LARGEST_DIGITS = 12
"""No amount and no count of one campaign and day has more digits before its point."""
_TOO_LARGE: Final = 10**_LARGEST_DIGITS
_LONGEST_NUMBER = 100
"""Characters; the longest that was seen has 25."""
_MANY_ROWS = 100
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
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
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError):
        pass  # the slower reader also takes a byte order mark and halves of surrogate pairs
    try:
        return json.loads(body, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotJson("with something that is no JSON") from None


def _refuse(name: str) -> None:
    raise ValueError(name)


@dataclass(frozen=True, slots=True)
class Figures:
    """Those of a platform whose absence means 0, by the names that they have in its rows."""

    numbers: frozenset[str]
    lists: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    """Other members that a row may have, asked for or not."""
    common: frozenset[str] = frozenset()
    """Those of the numbers that hardly ever are 0 in all of many rows."""

    def check(self, platform: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse an answer in which a figure has got another name: it would be 0 for ever.

        A single row may lack any figure, and all rows of a small report may. But platforms give what was asked for:
        where no row has a figure, and there is a member that nobody asked for and that could be it, no number is
        right. Where there is no such member, many rows without a common figure are worth a line in the log.
        """
        seen = set[str]().union(*rows)
        missing = (self.numbers | self.lists) - seen
        if not missing or not rows:
            return
        for name in sorted(seen - self.numbers - self.lists - self.beside):
            value = next(row[name] for row in rows if name in row)
            renamed = missing & self.lists if isinstance(value, list) else missing & self.numbers
            if renamed and (isinstance(value, list) or _is_number(value)):
                raise Unexpected(
                    f"without {' or '.join(sorted(renamed))}, but with {_told(name)}, which nobody asked for"
                )
        if len(rows) >= _MANY_ROWS and missing & self.common:
            names = " and ".join(sorted(missing & self.common))
            _log.warning("%s: none of %d rows has %s, which counts as 0", platform, len(rows), names)


def _is_number(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and parse_number(value.strip()[:_LONGEST_NUMBER]) is not None)


def _told(name: str) -> str:
    """The name of a member as it may stand in a message: what is no ordinary name is not repeated."""
    return name if _NAME.fullmatch(name) else "a member"


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
    if type(value) is str:  # as ``_is_plain`` says, without a call: this is done for every figure of every row
        if value.isdigit() and value.isascii() and len(value) <= _LARGEST_DIGITS and (value[0] != "0" or value == "0"):
            return int(value)
    elif type(value) is int and 0 <= value < _TOO_LARGE:
        return value
    number = _number(value, where)
    if not number.is_integer:
        raise Unexpected(f"with a fraction where things are counted, at {where}")
    return number.times_power_of_ten(0)


def millionths(value: object, where: str) -> int:
    """A decimal of any length, in millionths, rounded half-even. Absent is 0, and nothing is a negative zero."""
    if value is None:
        return 0
    if type(value) is str:
        whole, point, places = value.partition(".")
        digits = whole + places
        if (
            digits.isdigit()
            and digits.isascii()
            and 0 < len(whole) <= _LARGEST_DIGITS
            and (whole[0] != "0" or whole == "0")
            and len(places) <= PLACES
            and (places or not point)
        ):
            return int(digits) * _UP[len(places)]
    elif type(value) is int and 0 <= value < _TOO_LARGE:
        return value * _MILLION
    return rounded_millionths(_number(value, where))


def _is_plain(value: object) -> TypeGuard[int | str]:
    """Whether a value is digits alone, as nearly all are: what decides how fast a page is read."""
    if type(value) is str:
        return (
            len(value) <= _LARGEST_DIGITS and value.isascii() and value.isdigit() and (value[0] != "0" or value == "0")
        )
    return type(value) is int and 0 <= value < _TOO_LARGE


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
