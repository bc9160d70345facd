"""``campaignctl api-keys``: what programs sign in with."""

from typing import Annotated, Any

import typer

from campaignctl.cli.invocation import confirm, examples, invocation_of, new_app, prints_no_data, words
from campaignctl.cli.members import Cursor, Limit

app = new_app("List, create and revoke API keys.")

PATH = "/api/v1/api-keys"


@app.command("list", epilog=examples("campaignctl api-keys list", "campaignctl api-keys list -o csv"))
def list_(context: typer.Context, limit: Limit = None, cursor: Cursor = None) -> None:
    """List API keys; the keys themselves are never shown again."""
    invocation = invocation_of(context)
    params = {name: str(value) for name, value in (("limit", limit), ("cursor", cursor)) if value is not None}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import Column, Kind
    from campaignctl.cli.tables import answer_page

    with connect(invocation) as connection:
        body = connection.api.get(PATH, params).content
    answer_page(
        invocation.out(),
        body,
        Column("id", Kind.ID),
        Column("name"),
        Column("prefix", Kind.ID),
        Column("scopes"),
        Column("expires_at", Kind.ID, 1),
        Column("last_used_at", Kind.ID, 1),
        Column("created_at", Kind.ID, 2),
    )


@app.command(
    epilog=examples(
        "campaignctl api-keys create 'nightly export' --scope read",
        "campaignctl api-keys create producer --scope ingest --expires-at 2027-01-01T00:00:00Z -o json",
    )
)
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="S",
            help="read, ingest (post events only), operate or admin. Repeatable.",
            autocompletion=words("read", "ingest", "operate", "admin"),
        ),
    ],
    expires_at: Annotated[str | None, typer.Option(metavar="TIME", help="When it ends (RFC 3339).")] = None,
) -> None:
    """Create an API key; it is shown this once."""
    invocation = invocation_of(context)
    wanted: dict[str, Any] = {"name": name, "scopes": scope} | ({"expires_at": expires_at} if expires_at else {})
    from campaignctl.cli.connection import connect
    from campaignctl.cli.tables import of_one

    with connect(invocation) as connection:
        body = connection.api.post(PATH, wanted).content
    out = invocation.out()
    out.answer(body, of_one, items=None)
    out.note("note: keep the key now, it is not shown again; programs sign in with it as CA_TOKEN")


@app.command(epilog=examples("campaignctl api-keys revoke 5", "campaignctl api-keys revoke 5 --yes"))
@prints_no_data
def revoke(
    context: typer.Context,
    key: Annotated[int, typer.Argument(metavar="KEY", min=1, help="The key's number.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Revoke an API key; it is dead within 5 seconds."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        known = decode(connection.api.get(f"{PATH}/{key}").content)
        confirm(f"Revoke {known['prefix']} ({known['name']})?", yes=yes, on=invocation)
        connection.api.delete(f"{PATH}/{key}")
    invocation.out().note(f"revoked {known['prefix']}")
