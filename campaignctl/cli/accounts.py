"""``campaignctl accounts``: the accounts on ad platforms that reports are fetched from."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.exit_codes import PartlyDone
from campaignctl.cli.invocation import ask, confirm, examples, invocation_of, is_interactive, new_app, prints_no_data
from campaignctl.cli.job_wait import Timeout, Wait, follow
from campaignctl.cli.known_ids import account_ids
from campaignctl.cli.standard_input import read_text
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app("Connect, list, check and remove accounts on ad platforms.")

PATH = "/api/v1/accounts"
_ASKED = {
    "meta": ("access_token",),
    "google": ("developer_token", "client_id", "client_secret", "refresh_token"),
    "linkedin": ("client_id", "client_secret", "refresh_token"),
    "tiktok": ("access_token",),
}

Id = Annotated[
    int, typer.Argument(autocompletion=account_ids, metavar="ACCOUNT", min=1, help="The account's number here.")
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="What people call it.")]
Zone = Annotated[str | None, typer.Option(metavar="ZONE", help="IANA time zone, where the platform tells none.")]
Currency = Annotated[str | None, typer.Option(metavar="CODE", help="ISO 4217 code, where the platform tells none.")]
CredentialsFile = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="FILE",
        help="JSON object with access_token, or refresh_token, client_id, client_secret, developer_token, "
        "login_customer_id; - is standard input. Asked for on a terminal.",
    ),
]
_EXAMPLES = examples(
    "campaignctl accounts add meta act_1002003 --credentials meta.json",
    "campaignctl accounts add google 123-456-7890 --name 'Shop EU'",
    "pass show linkedin.json | campaignctl accounts add linkedin 508 --credentials -",
)


@app.command(epilog=_EXAMPLES)
def add(
    context: typer.Context,
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help="meta, google, linkedin or tiktok.")],
    account: Annotated[str, typer.Argument(metavar="ACCOUNT_ID", help="The account's id on the platform.")],
    name: Name = None,
    timezone: Zone = None,
    currency: Currency = None,
    credentials: CredentialsFile = None,
) -> None:
    """Connect an account; secrets come from a file, from standard input or from a terminal."""
    given = _credentials(credentials, platform.lower())
    body = {"platform": platform, "account_id": account, "credentials": given}
    wanted = {"name": name, "timezone": timezone, "currency": currency}
    _answered(context, "post", PATH, body | {key: value for key, value in wanted.items() if value is not None})


@app.command("list", epilog=examples("campaignctl accounts list", "campaignctl accounts list -o json"))
def list_(
    context: typer.Context,
    limit: Annotated[int | None, typer.Option(metavar="N", help="How many at once (at most 200).")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")] = None,
) -> None:
    """List accounts."""
    invocation = invocation_of(context)
    params = {name: str(value) for name, value in (("limit", limit), ("cursor", cursor)) if value is not None}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        body = connection.api.get(PATH, params).content
    out = invocation.out()
    out.answer(body, _listed)
    if following := decode(body)["next_cursor"]:
        out.note(f"note: there are more accounts; ask again with --cursor {following}")


@app.command(epilog=examples("campaignctl accounts show 3"))
def show(context: typer.Context, account: Id) -> None:
    """Show an account."""
    _answered(context, "get", f"{PATH}/{account}")


@app.command(
    epilog=examples("campaignctl accounts update 3 --credentials new.json", "campaignctl accounts update 3 --name Shop")
)
def update(
    context: typer.Context,
    account: Id,
    name: Name = None,
    timezone: Zone = None,
    currency: Currency = None,
    credentials: CredentialsFile = None,
) -> None:
    """Change what is given and leave the rest."""
    changes: dict[str, Any] = {"name": name, "timezone": timezone, "currency": currency}
    changes = {key: value for key, value in changes.items() if value is not None}
    if credentials is not None:
        changes["credentials"] = _credentials(credentials, "")
    if not changes:
        raise InvalidInput([FieldError("accounts update", "nothing to change was given")], code="usage")
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        known = decode(connection.api.get(f"{PATH}/{account}").content)
        kept = {key: known[key] for key in ("platform", "account_id", "name", "timezone", "currency") if known[key]}
        body = connection.api.put(f"{PATH}/{account}", kept | changes).content
    invocation.out().answer(body, _one, items=None)


@app.command(epilog=examples("campaignctl accounts verify 3", "campaignctl accounts verify 3 -o json"))
def verify(context: typer.Context, account: Id) -> None:
    """Ask the platform what the account is and what its credentials may do; exit code 1 when something is wrong."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.exit_codes import ExitCode
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        body = connection.api.post(f"{PATH}/{account}/verify").content
    out, found = invocation.out(), decode(body)
    out.answer(body, _verified, items=None)
    if found["status"] != "ok":
        missing = ", ".join(found["missing_permissions"])
        out.note(f"{found['status']}: {found['message'] or ''}{'missing: ' + missing if missing else ''}")
        raise typer.Exit(ExitCode.FAILED)


@app.command(epilog=examples("campaignctl accounts remove 3", "campaignctl accounts remove 3 --yes"))
@prints_no_data
def remove(
    context: typer.Context,
    account: Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget an account and its credentials; what it has reported stays."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        known = decode(connection.api.get(f"{PATH}/{account}").content)
        confirm(f"Remove {known['platform']} account {known['account_id']} ({known['name']})?", yes=yes, on=invocation)
        connection.api.delete(f"{PATH}/{account}")
    invocation.out().note(f"removed {known['platform']} account {known['account_id']}")


@app.command(
    epilog=examples(
        "campaignctl accounts unmapped 3",
        "campaignctl accounts unmapped 3 --start-date 2026-10-01 --end-date 2026-10-31 -o csv",
    )
)
def unmapped(
    context: typer.Context,
    account: Id,
    start_date: Annotated[
        str | None, typer.Option(metavar="D", help="The first day (default: 30 days up to the last).")
    ] = None,
    end_date: Annotated[str | None, typer.Option(metavar="D", help="The last day, inclusive (default: today).")] = None,
) -> None:
    """List native campaigns of an account that no campaign claims, the most spend first."""
    invocation = invocation_of(context)
    given = {"start_date": start_date, "end_date": end_date}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        params = {name: value for name, value in given.items() if value is not None}
        body = connection.api.get(f"{PATH}/{account}/unmapped", params).content
    out.answer(body, _unmapped)
    answer = decode(body)
    if answer["truncated"]:
        out.note("note: there are more; ask for fewer days with --start-date and --end-date")
    if answer["items"]:
        out.note("hint: claim one with campaignctl campaigns create|update --link PLATFORM/ACCOUNT/ID")


@app.command(
    epilog=examples(
        "campaignctl accounts conversions 3",
        "campaignctl accounts conversions 3 --action omni_purchase --action lead --wait",
        "campaignctl accounts conversions 3 --default",
    )
    + "\n\n\b\nA choice holds from now on, and a job applies it to what was fetched: from the platform's\n"
    "kept answers (fetch.keep_answers_days), without asking the platform."
)
def conversions(
    context: typer.Context,
    account: Id,
    action: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The platform's name of what counts; repeat, or separate by commas."),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Back to what is configured, else to the platform's default.")
    ] = False,
    wait: Wait = None,
    timeout: Timeout = None,
) -> None:
    """Show what counts as a conversion in an account, or choose it."""
    if action and default:
        raise InvalidInput([FieldError("--default", "cannot stand beside --action")], code="usage")
    path = f"{PATH}/{account}/conversions"
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        if not action and not default:
            body = connection.api.get(path).content
            invocation.out().answer(body, _counted, items=None)
            return
        names = [name.strip() for given in action or () for name in given.split(",") if name.strip()]
        if action and not names:
            raise InvalidInput([FieldError("--action", "must name something")], code="usage")
        follow(
            invocation, connection, connection.api.put(path, {"actions": names}).content, wait=wait, timeout_s=timeout
        )


@app.command("rotate-keys", epilog=examples("campaignctl accounts rotate-keys"))
def rotate_keys(context: typer.Context) -> None:
    """Encrypt all credentials with the current secrets.key; for the operator of the machine.

    Accounts go on being used meanwhile. Exit code 6: the credentials of the accounts that are named open with no key.
    """
    answer = _answered(context, "post", "/internal/accounts/rotate-keys")
    if unreadable := answer["unreadable"]:
        raise PartlyDone(
            f"the credentials of account {', '.join(map(str, unreadable))} cannot be opened with the configured keys",
            hint="put the key they were sealed with into secrets.previous_keys, or give new ones: accounts update",
            code="credentials_unreadable",
        )


def _answered(context: typer.Context, method: str, path: str, body: Any = None) -> Any:
    """Ask, print the answer, and return it."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        api = connection.api
        answer = api.get(path) if method == "get" else api.post(path, body)
    invocation.out().answer(answer.content, _one, items=None)
    return answer.json()


def _credentials(file: Path | None, platform: str) -> dict[str, str]:
    if file is None:
        if not is_interactive():
            raise InvalidInput([FieldError("--credentials", "must name a file, or - for standard input")], code="usage")
        return {name: ask(name.replace("_", " "), flag="--credentials", hide=True) for name in _ASKED.get(platform, ())}
    text = read_text(file)
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise InvalidInput([FieldError("--credentials", "must hold a JSON object")], code="usage")
    return given


def _flat(account: dict[str, Any]) -> dict[str, Any]:
    credentials = account["credentials"]
    return account | {
        "credentials": "set" if credentials["set"] else "none",
        "expires_at": credentials["expires_at"],
    }


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("id", Kind.ID),
        Column("platform", Kind.ID),
        Column("account_id", Kind.ID),
        Column("name"),
        Column("credentials"),
        Column("expires_at", Kind.ID, 1),
        Column("timezone", Kind.ID, 2),
        Column("currency", Kind.ID, 2),
        Column("verified_at", Kind.ID, 3),
    ]
    return Table(columns, [[_flat(item)[column.name] for column in columns] for item in body["items"]])


def _unmapped(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind
    from campaignctl.cli.tables import of_items

    table: Table = of_items(
        Column("external_id", Kind.ID),
        Column("spend", Kind.RAW),
        Column("currency", Kind.ID),
        Column("impressions", Kind.COUNT, 1),
        Column("clicks", Kind.COUNT, 1),
        Column("conversions", Kind.RAW, 2),
        Column("revenue", Kind.RAW, 2),
        Column("first_day", Kind.ID, 3),
        Column("last_day", Kind.ID, 3),
    )(body)
    return table


def _one(body: Any) -> "Table":
    from campaignctl.cli.tables import of_one

    return of_one(_flat(body) if "credentials" in body else body)


def _counted(body: Any) -> "Table":
    from campaignctl.cli.tables import of_one

    chosen = [f"{one['chosen_at']}: {one['definition']}{'' if one['own'] else ' (default)'}" for one in body["history"]]
    known = body["known"]
    return of_one(
        body
        | {
            "actions": ", ".join(body["actions"]),
            "known": None if known is None else ", ".join(known),
            "history": "; ".join(chosen) or None,
        }
    )


def _verified(body: Any) -> "Table":
    from campaignctl.cli.tables import of_one

    told = {name: value for name, value in body.items() if name != "account"}
    return of_one(told | {f"account.{name}": value for name, value in _flat(body["account"]).items()})
