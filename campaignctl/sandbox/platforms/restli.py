"""Queries in LinkedIn's own spelling: parentheses, commas and colons as they are, inside of URNs encoded."""

import re
from collections.abc import Mapping
from datetime import date
from urllib.parse import unquote

_ENCODED = re.compile(r"%2[89C]", re.IGNORECASE)
_DAY = r"\(year:(\d{4}),month:(\d{1,2}),day:(\d{1,2})\)"
_RANGE = re.compile(rf"\(start:{_DAY},end:{_DAY}\)")
_LIST = re.compile(r"List\((.*)\)")
_VALUE = re.compile(r"\(value:(\w+)\)|(\w+)")
_URN = re.compile(r"urn:li:(\w+):(\d+)")


class BadSyntax(Exception):
    """The query is not Rest.li's."""


def parameters(query: str) -> Mapping[str, str]:
    """Values as they came. Raises ``BadSyntax`` where an ordinary encoder has been at work."""
    if _ENCODED.search(query):
        raise BadSyntax("Invalid query parameters passed to request")
    return {name: value for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)}


def urns(value: str) -> list[tuple[str, str]]:
    """Kind and number of each URN of a list."""
    found = _LIST.fullmatch(value)
    if found is None:
        raise BadSyntax("a list must be List(...)")
    if ":" in found[1]:
        raise BadSyntax("the colons inside of a URN must be encoded")
    pairs = [_URN.fullmatch(unquote(one)) for one in found[1].split(",") if one]
    if not all(pairs):
        raise BadSyntax("a list must hold URNs")
    return [(pair[1], pair[2]) for pair in pairs if pair is not None]


def word(value: str) -> str:
    """Of ``(value:DAILY)``, or of the word alone."""
    found = _VALUE.fullmatch(value)
    if found is None:
        raise BadSyntax("a value must be (value:WORD)")
    return found[1] or found[2]


def days(value: str) -> tuple[date, date]:
    found = _RANGE.fullmatch(value)
    if found is None:
        raise BadSyntax("dateRange must be (start:(year:Y,month:M,day:D),end:(...))")
    numbers = [int(one) for one in found.groups()]
    try:
        first, last = date(*numbers[:3]), date(*numbers[3:])
    except ValueError:
        raise BadSyntax("dateRange must hold days") from None
    return first, last
