"""JSON bodies as rows: what the command line and the API make of them must be the same bytes.

Text that came from outside (names, ids) is never trusted: a spreadsheet sees no formula in it, a terminal no control
character.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from campaignctl.telemetry import one_line

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def decode(body: bytes) -> Any:
    """The JSON value with every number exact."""
    return json.loads(body, parse_float=Decimal)


def raw_items(body: bytes, member: str) -> list[bytes]:
    """The items' own bytes: cutting keeps every number as it was written."""
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return [bytes(item) for item in msgspec.json.decode(members[member], type=list[msgspec.Raw])]


class _Page(msgspec.Struct):
    next_cursor: str | None


def next_cursor(body: bytes) -> str | None:
    """Where the page behind this one begins, found without making values of the items."""
    return msgspec.json.decode(body, type=_Page).next_cursor


def csv_text(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """RFC 4180 with a header; numbers as they are in JSON, text that a spreadsheet would compute in a leading quote."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _csv_cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case str():
            return one_line("'" + value if value.startswith(_FORMULA_STARTS) else value)
    return one_line(json.dumps(value, default=str))
