"""``campaignctl query``: read-only SQL for the operator of the machine; without a statement, a shell for it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from campaignctl.cli.invocation import examples, invocation_of, is_interactive, new_app
from campaignctl.cli.standard_input import read_text
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.domain.sql_text import Statement

app = new_app()


@app.command(
    epilog=examples(
        "campaignctl query",
        'campaignctl query "SELECT platform, sum(clicks) FROM events GROUP BY platform"',
        'campaignctl query "SELECT count() FROM events WHERE campaign_id = {id:UInt64}" --param id=42',
        "campaignctl query --file report.sql -o csv > report.csv",
    )
)
def query(
    context: typer.Context,
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL", help="Statements that read, with ; between them; writes are refused. None: a shell."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="Read the statements from a file; - is standard input."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Value of {NAME:Type} in the statement. Repeatable.")
    ] = None,
    max_rows: Annotated[int, typer.Option(metavar="N", min=1, help="Most rows answered.")] = 10_000,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.001, help="Longest run.")] = 30.0,
) -> None:
    """Run read-only SQL on the analytics store."""
    invocation = invocation_of(context)
    from campaignctl.cli.query_run import Limits, param_of, run_script

    limits = Limits(max_rows, timeout, dict(param_of(text) for text in param or []))
    if sql is None and file is None and is_interactive():
        from campaignctl.cli.query_shell import run_shell

        run_shell(invocation, limits)
        return
    run_script(invocation, _statements(sql, file), limits)


def _statements(sql: str | None, file: Path | None) -> "list[Statement]":
    from campaignctl.domain.sql_text import all_statements

    if sql is not None and file is not None:
        raise InvalidInput(
            [FieldError("SQL", "give the statement or a file of it with --file, not both")], code="usage"
        )
    statements = all_statements(sql if sql is not None else _read(file))
    if not statements:
        raise InvalidInput(
            [FieldError("SQL", "give the statement, a file of it with --file, or statements on standard input")],
            code="usage",
        )
    return statements


def _read(file: Path | None) -> str:
    return sys.stdin.read() if file is None else read_text(file)
