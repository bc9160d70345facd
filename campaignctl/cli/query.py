"""``campaignctl query``: read-only SQL for the operator of the machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app()

PATH = "/internal/query"


@app.command(
    epilog=examples(
        'campaignctl query "SELECT platform, sum(clicks) FROM events GROUP BY platform"',
        'campaignctl query "SELECT count() FROM events WHERE campaign_id = {id:UInt64}" --param id=42',
        "campaignctl query --file report.sql -o csv > report.csv",
    )
)
def query(
    context: typer.Context,
    sql: Annotated[str | None, typer.Argument(metavar="SQL", help="One SELECT; writes are refused.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the statement from a file; - is standard input.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Value of {NAME:Type} in the statement. Repeatable.")
    ] = None,
    max_rows: Annotated[int, typer.Option(metavar="N", min=1, help="Most rows answered.")] = 10_000,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.001, help="Longest run.")] = 30.0,
) -> None:
    """Run read-only SQL on the analytics store."""
    invocation = invocation_of(context)
    body = {
        "sql": _statement(sql, file),
        "params": dict(_param(text) for text in param or []),
        "max_rows": max_rows,
        "timeout_s": timeout,
    }
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation, timeout_s=timeout + 10) as connection:
        answer = connection.api.post(PATH, body).content
    out.answer(answer, _table, items="rows")
    if decode(answer)["truncated"]:
        out.note(f"note: only the first {max_rows:,} rows are shown; raise --max-rows for more")


def _statement(sql: str | None, file: Path | None) -> str:
    if (sql is None) == (file is None):
        raise InvalidInput([FieldError("SQL", "give the statement, or a file of it with --file")], code="usage")
    if file is None:
        return sql or ""
    return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")


def _param(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise InvalidInput([FieldError("--param", "must be NAME=VALUE")], code="usage")
    return name, value


def _table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    rows = [list(row.values()) if isinstance(row, dict) else row for row in body["rows"]]
    numeric = [
        bool(rows) and all(isinstance(row[at], int | None) or hasattr(row[at], "quantize") for row in rows)
        for at in range(len(body["columns"]))
    ]
    names = [column if isinstance(column, str) else column["name"] for column in body["columns"]]
    return Table(
        [Column(name, Kind.RAW if right else Kind.TEXT) for name, right in zip(names, numeric, strict=True)], rows
    )
