"""Answers beside what is expected: numbers as exact decimals, every difference as one readable line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

COUNTS = ("impressions", "clicks")
_FREE_ROW_MEMBERS = {"source", "finality"}
_CHANGE = "comparison.change"
_MAX_SHOWN_CHARACTERS = 400


def decoded(body: bytes) -> Any:
    """JSON with exact numbers: no value passes through binary floating point."""
    return json.loads(body, parse_float=Decimal)


def differences(answer: Json, expected: Mapping[str, Any]) -> list[str]:
    """What is not as expected. A member that an expected row lacks may be anything; ``warnings`` are codes."""
    return list(_differences(answer, expected))


def _differences(answer: Json, expected: Mapping[str, Any]) -> Iterator[str]:
    for name in ("timezone", "currency", "start_date", "end_date"):
        if name in expected and answer.get(name) != expected[name]:
            yield f"{name}: {answer.get(name)!r} instead of {expected[name]!r}"
    codes = sorted(warning["code"] for warning in answer["warnings"])
    if codes != sorted(expected["warnings"]):
        yield f"warnings: {codes} instead of {sorted(expected['warnings'])}"
    yield from _of_rows(answer["rows"], expected["rows"])
    yield from _of_members("totals", answer["totals"], expected["totals"])
    comparison = expected.get("comparison")
    if comparison is None:
        if answer["comparison"] is not None:
            yield f"comparison: {_short(answer['comparison'])} where none was asked"
    elif answer["comparison"] is None:
        yield "comparison: null"
    else:
        for name in ("kind", "start_date", "end_date"):
            if answer["comparison"][name] != comparison[name]:
                yield f"comparison.{name}: {answer['comparison'][name]!r} instead of {comparison[name]!r}"
        yield from _of_members("comparison.totals", answer["comparison"]["totals"], comparison["totals"])
        yield from _of_members(_CHANGE, answer["comparison"]["change"], comparison["change"])
        found, wanted = answer["comparison"]["rows"], comparison.get("rows")
        if wanted is not None and found != wanted:
            place = next((n for n, pair in enumerate(zip(found, wanted, strict=False)) if pair[0] != pair[1]), -1)
            yield f"comparison.rows[{place}]: {_short(found[place : place + 1])} instead of {_short(wanted[place : place + 1])}"


def _of_rows(rows: Sequence[Json], expected: Sequence[Json]) -> Iterator[str]:
    if len(rows) != len(expected):
        yield f"rows: {len(rows)} instead of {len(expected)}"
    for index, (row, wanted) in enumerate(zip(rows, expected, strict=False)):
        yield from _of_members(f"rows[{index}]", row, wanted)
        strange = row.keys() - wanted.keys() - _FREE_ROW_MEMBERS
        if strange:
            yield f"rows[{index}]: the members {sorted(strange)} were not asked for"


def _of_members(path: str, answer: Json, expected: Json) -> Iterator[str]:
    for name, wanted in expected.items():
        if name not in answer:
            yield f"{path}.{name}: missing"
        elif answer[name] != wanted or isinstance(answer[name], bool) != isinstance(wanted, bool):
            yield f"{path}.{name}: {_short(answer[name])} instead of {_short(wanted)}"
        elif name in COUNTS and path != _CHANGE and not isinstance(answer[name], int | None):
            yield f"{path}.{name}: {answer[name]!r} is no integer"
        elif isinstance(answer[name], Decimal) and -int(answer[name].as_tuple().exponent) > 6:
            yield f"{path}.{name}: {answer[name]} has more than 6 places"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else text[:_MAX_SHOWN_CHARACTERS] + "..."
