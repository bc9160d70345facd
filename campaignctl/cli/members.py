"""``campaignctl members``: who belongs to the organization, with which role."""

from typing import Annotated

import typer

from campaignctl.cli.invocation import (
    ask,
    confirm,
    examples,
    first_line,
    invocation_of,
    new_app,
    prints_no_data,
)

app = new_app("List, invite, change and remove members.")

PATH = "/api/v1/members"

Id = Annotated[int, typer.Argument(metavar="MEMBER", min=1, help="The member's number.")]
RoleOption = Annotated[str, typer.Option("--role", metavar="R", help="viewer, analyst, operator or admin.")]
Limit = Annotated[int | None, typer.Option(metavar="N", help="How many at once (at most 200).")]
Cursor = Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")]


@app.command("list", epilog=examples("campaignctl members list", "campaignctl members list -o json"))
def list_(context: typer.Context, limit: Limit = None, cursor: Cursor = None) -> None:
    """List members."""
    list_members(context, limit, cursor)


def list_members(context: typer.Context, limit: int | None, cursor: str | None) -> None:
    """Print a page of members."""
    invocation = invocation_of(context)
    params = {name: str(value) for name, value in (("limit", limit), ("cursor", cursor)) if value is not None}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import Column, Kind
    from campaignctl.cli.tables import answer_page

    with connect(invocation) as connection:
        body = connection.api.get(PATH, params).content
    columns = (Column("id", Kind.ID), Column("email", Kind.ID), Column("name"), Column("role"))
    answer_page(invocation.out(), body, *columns, Column("created_at", Kind.ID, 1))


@app.command(epilog=examples("campaignctl members invite bob@example.com --role analyst"))
def invite(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Whom to invite.")],
    role: RoleOption,
) -> None:
    """Invite somebody; the token printed is theirs to accept with, once, within a week."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.tables import of_one

    with connect(invocation) as connection:
        body = connection.api.post("/api/v1/invitations", {"email": email, "role": role}).content
    out = invocation.out()
    out.answer(body, of_one, items=None)
    out.note("note: hand the token over in private; it is accepted with: campaignctl members accept")


@app.command(epilog=examples("campaignctl --api https://ads.example.com members accept --name Bob"))
def accept(
    context: typer.Context,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token, then the password, from standard input's lines.")
    ] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What people call you.")] = None,
) -> None:
    """Accept an invitation: asks for its token and for a password."""
    invocation = invocation_of(context)
    token = first_line() if token_stdin else ask("Token", flag="--token-stdin", hide=True)
    password = first_line() if token_stdin else ask("Password", flag="--token-stdin", hide=True)
    wanted = {"password": password} | ({"name": name} if name else {})
    from urllib.parse import quote

    from campaignctl.cli.connection import connect
    from campaignctl.cli.tables import of_one

    with connect(invocation) as connection:
        body = connection.api.post(f"/api/v1/invitations/{quote(token, safe='')}/accept", wanted).content
    out = invocation.out()
    out.answer(body, of_one, items=None)
    out.note("note: sign in with: campaignctl login")


@app.command("set-role", epilog=examples("campaignctl members set-role 7 --role operator"))
def set_role(context: typer.Context, member: Id, role: RoleOption) -> None:
    """Give a member another role; it holds within 5 seconds."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.tables import of_one

    with connect(invocation) as connection:
        body = connection.api.put(f"{PATH}/{member}", {"role": role}).content
    invocation.out().answer(body, of_one, items=None)


@app.command(epilog=examples("campaignctl members remove 7", "campaignctl members remove 7 --yes"))
@prints_no_data
def remove(
    context: typer.Context,
    member: Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a member; all of the member's sessions end."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        known = decode(connection.api.get(f"{PATH}/{member}").content)
        confirm(f"Remove {known['email']} ({known['role']})?", yes=yes, on=invocation)
        connection.api.delete(f"{PATH}/{member}")
    invocation.out().note(f"removed {known['email']}")
