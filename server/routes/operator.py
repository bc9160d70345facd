"""For the operator of the machine alone, with the server's own token: not part of the API, and in no document.

The command line comes this way when a server owns the embedded stores.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.dead_letters import letter_filter
from campaignctl.domain.fields import FieldReader
from campaignctl.errors import FieldError, InvalidInput
from server.dependencies import Call
from server.operations import Answer, Body, Operation, serves

router = APIRouter(prefix="/internal")

_MEMBERS = ("sql", "params", "max_rows", "timeout_s", "mark")
_MARK = re.compile(r"[A-Za-z0-9]{1,64}")
_MAX_ROWS = 1_000_000
_MAX_TIMEOUT_S = 600
_DEFAULT_ROWS, _DEFAULT_TIMEOUT_S = 10_000, 30
_ANY = {"application/json": {"type": "object"}}


@serves(
    router,
    Operation(
        "POST",
        "/query",
        id="query",
        tag="operator",
        summary="Run read-only SQL on the analytics store",
        body=Body(_ANY),
        answers={200: Answer("Columns and rows.", _ANY)},
        documented=False,
    ),
)
def query(call: Call) -> Response:
    call.require_machine_operator()
    asked = _Question(call.json())
    found = call.app.analytics.run_sql(
        asked.sql, asked.params, max_rows=asked.max_rows, timeout_s=asked.timeout_s, mark=asked.mark
    )
    body = {
        "columns": [{"name": column.name, "type": column.type} for column in found.columns],
        "rows": found.rows,
        "truncated": found.truncated,
    }
    return call.answer(json.dumps(body, separators=(",", ":")).encode())  # its integers may have more than 64 bits


@serves(
    router,
    Operation(
        "POST",
        "/query/stop",
        id="stopQuery",
        tag="operator",
        summary="Have a query that runs end",
        body=Body(_ANY),
        answers={200: Answer("Told to end, if it runs.", _ANY)},
        documented=False,
    ),
)
def stop_query(call: Call) -> Response:
    call.require_machine_operator()
    errors: list[FieldError] = []
    fields = FieldReader(call.json(), ("mark",), errors)
    mark = _mark(fields) if fields.required("mark") else ""
    if errors:
        raise InvalidInput(errors)
    call.app.analytics.stop_sql(mark)
    return call.answer({"mark": mark})


@serves(
    router,
    Operation(
        "POST",
        "/dead-letters/purge",
        id="purgeDeadLetters",
        tag="operator",
        summary="Remove the oldest dead letters that are meant",
        body=Body(_ANY),
        answers={200: Answer("How many go, and how many stay behind others.", _ANY)},
        documented=False,
    ),
)
def purge_dead_letters(call: Call) -> Response:
    call.require_machine_operator()
    body = call.json()
    members = dict(body) if isinstance(body, Mapping) else {}
    dry_run = members.pop("dry_run", None)
    if not isinstance(dry_run, bool):
        raise InvalidInput.of("dry_run", "must be true or false")
    wanted = letter_filter(members)
    plan = call.app.letter_purge.plan(wanted)
    if not dry_run:
        call.app.letter_purge.apply(plan)
    return call.answer({"removed": plan.removed, "kept_behind": plan.kept_behind, "dry_run": dry_run})


@serves(
    router,
    Operation(
        "POST",
        "/accounts/rotate-keys",
        id="rotateKeys",
        tag="operator",
        summary="Encrypt all credentials with the current key",
        answers={200: Answer("How many were under an earlier key.", _ANY)},
        documented=False,
    ),
)
def rotate_keys(call: Call) -> Response:
    call.require_machine_operator()
    done = call.app.accounts.seal_anew()
    return call.answer({"sealed_anew": done.count, "unreadable": list(done.unreadable)})


class _Question:
    """The body: ``sql``, and optionally ``params`` (of strings), ``max_rows``, ``timeout_s`` and ``mark``.

    Who gives a mark can have the query stopped by it.
    """

    def __init__(self, value: object) -> None:
        errors: list[FieldError] = []
        fields = FieldReader(value, _MEMBERS, errors)
        sql, params = fields.value("sql"), fields.value("params") or {}
        if not isinstance(sql, str) or not sql.strip():
            fields.fail("sql", "must be a statement")
        if not isinstance(params, Mapping) or not all(isinstance(given, str) for given in params.values()):
            fields.fail("params", "must be an object of strings")
        self.sql = sql if isinstance(sql, str) else ""
        self.params: dict[str, str] = dict(params) if isinstance(params, Mapping) else {}
        self.max_rows = int(_within(fields, "max_rows", _DEFAULT_ROWS, _MAX_ROWS))
        self.timeout_s = _within(fields, "timeout_s", _DEFAULT_TIMEOUT_S, _MAX_TIMEOUT_S)
        self.mark = _mark(fields)
        if errors:
            raise InvalidInput(errors)


def _mark(fields: FieldReader) -> str:
    mark = fields.value("mark")
    if mark is None:
        return ""
    if not isinstance(mark, str) or not _MARK.fullmatch(mark):
        fields.fail("mark", "must be 1 to 64 letters and digits")
        return ""
    return mark


def _within(fields: FieldReader, name: str, default: int, most: int) -> float:
    value = default if fields.value(name) is None else fields.value(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value <= most:
        fields.fail(name, f"must be a number above 0 and at most {most}")
        return default
    return max(1, int(value)) if name == "max_rows" else float(value)
