"""One statement after another on its way to the analytics store and back: what the command and its shell share."""

import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from campaignctl.cli.connection import Connection, connect
from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import Invocation
from campaignctl.cli.output import Column, Kind, Output, Table, cells, decode
from campaignctl.domain.sql_text import Statement, pointed_at, spot_of
from campaignctl.errors import CampaignctlError, FieldError, InvalidInput

PATH = "/internal/query"
STOP_PATH = "/internal/query/stop"
_STOP_WAIT_S = 3.0
"""How long an interrupted statement is given to end."""
_AROUND_S = 10.0
"""What an answer may take beyond the statement's own time."""


@dataclass(slots=True)
class Limits:
    """What goes with every statement."""

    max_rows: int
    timeout_s: float
    params: dict[str, str] = field(default_factory=dict)


class Reach:
    """The API for one statement after another (a ``with``).

    Embedded stores belong to one process at a time, so they are opened for each statement and let go: while a person
    thinks, a server may start and other commands work. Servers belong to nobody, and one connection is kept.
    """

    def __init__(self, invocation: Invocation, timeout_s: float) -> None:
        self._invocation = invocation
        self._timeout_s = timeout_s + _AROUND_S
        self._held = ExitStack()
        self._kept: Connection | None = None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        if self._kept is not None:
            yield self._kept
        elif self._invocation.place().api is None and self._invocation.settings().embedded:
            with connect(self._invocation, timeout_s=self._timeout_s) as connection:
                yield connection
        else:
            self._kept = self._held.enter_context(connect(self._invocation, timeout_s=self._timeout_s))
            yield self._kept

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept = None
        self._held.close()


def ask(connection: Connection, statement: str, limits: Limits) -> bytes:
    """The answer's body. Whatever ends the wait (Ctrl-C, SIGTERM) has the statement stopped in the store too."""
    mark = secrets.token_hex(16)
    body = {
        "sql": statement,
        "params": limits.params,
        "max_rows": limits.max_rows,
        "timeout_s": limits.timeout_s,
        "mark": mark,
    }
    answer: Future[bytes] = Future()

    def post() -> None:
        try:
            answer.set_result(connection.api.post(PATH, body).content)
        except BaseException as error:  # it is raised where the answer is waited for
            answer.set_exception(error)

    asking = threading.Thread(target=post, name="query", daemon=True)
    try:
        asking.start()
        return answer.result()
    except BaseException:  # also Ctrl-C and SIGTERM, which come to this thread, at whatever it does: `start` waits too
        if asking.is_alive():
            _stop(connection, mark)
            asking.join(_STOP_WAIT_S)
        raise


def _stop(connection: Connection, mark: str) -> None:
    try:
        connection.api.post(STOP_PATH, {"mark": mark})
    except CampaignctlError:
        return  # a store that does not answer: the statement ends at its own time limit


def show(out: Output, answer: bytes, *, expanded: bool = False) -> None:
    """Print an answer; ``expanded`` gives each column of a table a line of its own."""
    if expanded and out.format is Format.TABLE:
        out.text(_expanded(table_of(decode(answer))))
    else:
        out.answer(answer, table_of, items="rows")


def note_truncation(out: Output, answer: bytes, limits: Limits) -> None:
    if decode(answer)["truncated"]:
        out.note(f"note: only the first {limits.max_rows:,} rows are shown; raise --max-rows for more")


def table_of(body: Any) -> Table:
    rows = [list(row.values()) if isinstance(row, dict) else row for row in body["rows"]]
    numeric = [
        bool(rows) and all(isinstance(row[at], int | None) or hasattr(row[at], "quantize") for row in rows)
        for at in range(len(body["columns"]))
    ]
    names = [column if isinstance(column, str) else column["name"] for column in body["columns"]]
    return Table(
        [Column(name, Kind.RAW if right else Kind.TEXT) for name, right in zip(names, numeric, strict=True)], rows
    )


def _expanded(table: Table) -> str:
    width = max((len(column.name) for column in table.columns), default=0)
    lines: list[str] = []
    raw = [Column(column.name, Kind.RAW) for column in table.columns]
    for number, row in enumerate(table.rows, start=1):
        lines.append(f"-[ row {number:,} ]".ljust(width + 4, "-"))
        lines += [f"{c.name.ljust(width)} | {cell}" for c, cell in zip(table.columns, cells(raw, row), strict=True)]
    return "\n".join(lines) if lines else "(0 rows)"


def run_script(invocation: Invocation, statements: Sequence[Statement], limits: Limits) -> None:
    """All statements in order, each answer printed at once; the first that fails ends it, and its line is told."""
    out = invocation.out()
    if out.format is Format.PARQUET and len(statements) > 1:
        message = f"a Parquet file holds one answer, and these are {len(statements)} statements"
        raise InvalidInput([FieldError("-o", message)], hint="run them one by one", code="usage")
    with Reach(invocation, limits.timeout_s) as reach, reach.connection() as connection:
        for number, statement in enumerate(statements):
            try:
                answer = ask(connection, statement.text, limits)
            except InvalidInput as error:
                raise _located(error, statement, alone=len(statements) == 1) from error
            if number and out.format in (Format.TABLE, Format.CSV):
                out.text("")
            show(out, answer)
            note_truncation(out, answer, limits)


def param_of(text: str, name_of_option: str = "--param") -> tuple[str, str]:
    """``NAME=VALUE`` apart."""
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise InvalidInput([FieldError(name_of_option, "must be NAME=VALUE")], code="usage")
    return name, value


def _located(error: InvalidInput, statement: Statement, *, alone: bool) -> InvalidInput:
    """The error with a hint of where it is."""
    index = pointed_at(statement.text, error.message)
    if index is None and alone:
        return error
    spot = spot_of(statement.text, index or 0)
    line = statement.line + spot.line - 1
    where = f"line {line}" if index is None else f"line {line}, column {spot.column}"
    return InvalidInput(
        error.errors, message=error.message, hint=error.hint or f"at {where}: {spot.text.strip()}", code=error.code
    )
