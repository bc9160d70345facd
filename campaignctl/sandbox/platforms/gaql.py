"""As much of GAQL as reports need: SELECT, FROM, WHERE with AND, ORDER BY, LIMIT."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

_QUERY = re.compile(
    r"\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<resource>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>[\w., ]+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_BETWEEN = re.compile(r"segments\.date\s+BETWEEN\s+'(\d{4}-\d\d-\d\d)'\s+AND\s+'(\d{4}-\d\d-\d\d)'", re.IGNORECASE)
_IN = re.compile(r"([\w.]+)\s+IN\s*\(([^)]*)\)", re.IGNORECASE)


class BadQuery(Exception):
    """The query is not answered; ``code`` is one of ``queryError``'s."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Query:
    fields: tuple[str, ...]
    resource: str
    first: date | None = None
    last: date | None = None
    within: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """A field to the values it may have."""
    limit: int | None = None


def parse(text: str, known: Mapping[str, Sequence[str]]) -> Query:
    """``known``: resources to the fields that go with them. Raises ``BadQuery``."""
    found = _QUERY.fullmatch(text)
    if found is None:
        raise BadQuery("UNEXPECTED_END_OF_QUERY", "Error in query: unexpected end of query.")
    resource = found["resource"].lower()
    if resource not in known:
        raise BadQuery("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", f"Unrecognized resource in FROM clause: {resource}.")
    fields = tuple(one.strip() for one in found["fields"].split(","))
    for one in fields:
        if one not in known[resource]:
            raise BadQuery("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{one}'.")
    first, last, within = _conditions(found["where"] or "", known[resource])
    limit = None if found["limit"] is None else int(found["limit"])
    return Query(fields, resource, first, last, within, limit)


def _conditions(text: str, known: Sequence[str]) -> tuple[date | None, date | None, Mapping[str, frozenset[str]]]:
    first = last = None
    within: dict[str, frozenset[str]] = {}
    if span := _BETWEEN.search(text):
        try:
            first, last = date.fromisoformat(span[1]), date.fromisoformat(span[2])
        except ValueError:
            raise BadQuery("INVALID_VALUE_WITH_BETWEEN_OPERATOR", "Invalid date in BETWEEN.") from None
        text = text[: span.start()] + text[span.end() :]
    for one in _IN.finditer(text):
        if one[1] not in known:
            raise BadQuery("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{one[1]}'.")
        within[one[1]] = frozenset(value.strip().strip("'") for value in one[2].split(","))
    rest = re.sub(r"\bAND\b", "", _IN.sub("", text), flags=re.IGNORECASE).strip()
    if rest:
        raise BadQuery("UNEXPECTED_INPUT", f"Error in query: unexpected input {rest[:20]}.")
    return first, last, within


def nested(values: Mapping[str, object], fields: Sequence[str]) -> dict[str, Any]:
    """The selected fields as the answer has them: objects in objects, names in lowerCamelCase, None left out."""
    found: dict[str, Any] = {}
    for name in fields:
        value = values.get(name)
        if value is None:
            continue
        *way, last = map(camel, name.split("."))
        inner = found
        for step in way:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return found


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(map(str.capitalize, tail))
