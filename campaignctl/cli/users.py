"""``campaignctl users``: help for people who cannot sign in."""

from typing import Annotated

import typer

from campaignctl.cli.invocation import ask, examples, first_line, invocation_of, new_app, prints_no_data
from campaignctl.cli.members import Cursor, Id, Limit, list_members

app = new_app("List users, and set forgotten passwords anew.")


@app.command("list", epilog=examples("campaignctl users list", "campaignctl --organization 2 users list"))
def list_(context: typer.Context, limit: Limit = None, cursor: Cursor = None) -> None:
    """List users; for the operator of the machine those of every organization."""
    list_members(context, limit, cursor)


@app.command("reset-password", epilog=examples("campaignctl users reset-password 7"))
def reset_password(context: typer.Context, member: Id) -> None:
    """Issue a one-time token with which the user sets a new password within a day."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.tables import of_one

    with connect(invocation) as connection:
        body = connection.api.post(f"/api/v1/members/{member}/password-reset").content
    out = invocation.out()
    out.answer(body, of_one, items=None)
    out.note("note: hand the token over in private; it is used with: campaignctl users set-password")


@app.command("set-password", epilog=examples("campaignctl --api https://ads.example.com users set-password"))
@prints_no_data
def set_password(
    context: typer.Context,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token, then the password, from standard input's lines.")
    ] = False,
) -> None:
    """Set a new password with a one-time token: asks for both."""
    invocation = invocation_of(context)
    token = first_line() if token_stdin else ask("Token", flag="--token-stdin", hide=True)
    password = first_line() if token_stdin else ask("New password", flag="--token-stdin", hide=True)
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        connection.api.post("/api/v1/auth/password/reset", {"token": token, "new_password": password})
    invocation.out().note("the password is set; sign in with: campaignctl login")
