"""``campaignctl audit``."""

from typing import Annotated

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.cli.members import Cursor, Limit

app = new_app()


@app.command(
    epilog=examples(
        "campaignctl audit --since 2026-10-01T00:00:00Z",
        "campaignctl audit --actor ada@example.com --action changeMemberRole -o csv",
    )
)
def audit(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only entries from this time on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only entries before this time.")] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="WHO", help="user:7, api_key:3, operator, or an e-mail address.")
    ] = None,
    action: Annotated[str | None, typer.Option(metavar="NAME", help="Only this operation of the API.")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> None:
    """Show who changed what, and from where; newest first."""
    invocation = invocation_of(context)
    params = {name: str(value) for name, value in context.params.items() if value is not None}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import Column, Kind
    from campaignctl.cli.tables import answer_page

    with connect(invocation) as connection:
        body = connection.api.get("/api/v1/audit", params).content
    answer_page(
        invocation.out(),
        body,
        Column("at", Kind.ID),
        Column("actor", Kind.ID),
        Column("actor_name", Kind.TEXT, 1),
        Column("action", Kind.ID),
        Column("object"),
        Column("details", Kind.TEXT, 2),
        Column("address", Kind.ID, 2),
        Column("request_id", Kind.ID, 3),
    )
