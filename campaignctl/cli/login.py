"""``campaignctl login``."""

from typing import Annotated

import typer

from campaignctl.cli.invocation import Invocation, ask, examples, first_line, invocation_of, new_app, prints_no_data

app = new_app()


@app.command(
    epilog=examples(
        "campaignctl login --email ada@example.com",
        "campaignctl --api https://ads.example.com login --email ada@example.com --password-stdin < password.txt",
        "campaignctl login --forget",
    )
)
@prints_no_data
def login(
    context: typer.Context,
    email: Annotated[str | None, typer.Option(help="Who signs in; asked for on a terminal.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Sign out instead, and forget the session.")] = False,
) -> None:
    """Sign in to a server and keep the session."""
    invocation = invocation_of(context)
    url = invocation.api_url or _configured_url(invocation)
    if forget:
        _sign_out(url)
        invocation.out().note(f"signed out of {url}")
        return
    email = email or ask("E-mail", flag="--email")
    password = first_line() if password_stdin else ask("Password", flag="--password-stdin", hide=True)

    from campaignctl.api_client import ApiClient
    from campaignctl.cli.sessions import Session, SessionFile

    with ApiClient(url) as api:
        tokens = api.post("/api/v1/auth/login", {"email": email, "password": password}).json()
    file = SessionFile()
    file.put(url, Session.of_answer(tokens))
    invocation.out().note(f"signed in to {url} as {email}; the session is kept in {file.path}")


def _configured_url(invocation: Invocation) -> str:
    settings = invocation.settings()
    return f"http://{settings.server.host}:{settings.server.port}"


def _sign_out(url: str) -> None:
    from campaignctl.api_client import ApiClient
    from campaignctl.cli.sessions import SessionFile
    from campaignctl.errors import NotSignedIn

    file = SessionFile()
    session = file.get(url)
    if session is None:
        return
    file.put(url, None)
    with ApiClient(url, session.access_token) as api:
        try:
            api.post("/api/v1/auth/logout", {"refresh_token": session.refresh_token})
        except NotSignedIn:
            return  # it had ended already
