"""``campaignctl campaigns``: the campaign routes of the API, one command each."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.exit_codes import Declined
from campaignctl.cli.invocation import ask, examples, invocation_of, is_interactive, new_app
from campaignctl.cli.job_wait import Timeout, Wait, follow
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.errors import FieldError, InvalidInput, NotFound

if TYPE_CHECKING:
    from campaignctl.cli.connection import Connection
    from campaignctl.cli.output import Table

app = new_app("List, show, create, change and erase campaigns.")

PATH = "/api/v1/campaigns"
_WRITABLE = (
    "name",
    "platforms",
    "budget",
    "budget_period",
    "currency",
    "timezone",
    "start_date",
    "end_date",
    "status",
)
_LINK_MEMBERS = ("platform", "account_id", "external_id", "level")

Id = Annotated[
    int, typer.Argument(autocompletion=campaign_ids, metavar="CAMPAIGN", min=1, help="The campaign's number.")
]
Link = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PLATFORM/ACCOUNT/ID[/LEVEL]",
        help="A native campaign that belongs to it; LEVEL is campaign (default) or campaign_group. Repeatable.",
    ),
]
Budget = Annotated[str | None, typer.Option(metavar="AMOUNT", help="In the campaign's currency; none for no budget.")]
Period = Annotated[str | None, typer.Option(metavar="P", help="What the budget is for: total, daily or monthly.")]
Currency = Annotated[str | None, typer.Option(metavar="CODE", help="ISO 4217 code (default at creation: USD).")]
Zone = Annotated[str | None, typer.Option(metavar="ZONE", help="IANA time zone (default at creation: UTC).")]
Start = Annotated[str | None, typer.Option(metavar="DATE", help="First day; none for open.")]
End = Annotated[str | None, typer.Option(metavar="DATE", help="Last day; none for open.")]
Status = Annotated[str | None, typer.Option(metavar="S", help="active, paused, completed or archived.")]


@app.command("list", epilog=examples("campaignctl campaigns list", "campaignctl campaigns list --status active -o csv"))
def list_(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(metavar="S", help="Only those of this status.")] = None,
    platform: Annotated[str | None, typer.Option(metavar="P", help="Only those that list this platform.")] = None,
    q: Annotated[str | None, typer.Option("--q", metavar="TEXT", help="Only those with this in the name.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="How many at once (at most 200).")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")] = None,
) -> None:
    """List campaigns."""
    invocation = invocation_of(context)
    params = {name: str(value) for name, value in context.params.items() if value is not None}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        body = connection.api.get(PATH, params).content
    out.answer(body, _listed)
    if following := decode(body)["next_cursor"]:
        out.note(f"note: there are more campaigns; ask again with --cursor {following}")


@app.command(epilog=examples("campaignctl campaigns show 42", "campaignctl campaigns show 42 -o json"))
def show(context: typer.Context, campaign: Id) -> None:
    """Show one campaign."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        body = connection.api.get(f"{PATH}/{campaign}").content
    invocation.out().answer(body, _one, items=None)


@app.command(
    epilog=examples(
        "campaignctl campaigns create 'Spring sale' --currency EUR --timezone Europe/Berlin --budget 5000",
        "campaignctl campaigns create Launch --link meta/act_1002003/2384000 --link google/1234567890/777",
    )
)
def create(
    context: typer.Context,
    title: Annotated[
        str | None, typer.Argument(metavar="NAME", help="What people call it (1 to 200 characters); or --name.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The same as the argument.")] = None,
    link: Link = None,
    budget: Budget = None,
    budget_period: Period = None,
    currency: Currency = None,
    timezone: Zone = None,
    start_date: Start = None,
    end_date: End = None,
    status: Status = None,
) -> None:
    """Create a campaign."""
    invocation = invocation_of(context)
    if (title is None) == (name is None):
        raise InvalidInput([FieldError("NAME", "give the campaign one name")], code="usage")
    wanted = _given({key: value for key, value in context.params.items() if key != "title"} | {"name": title or name})
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        body = connection.api.post(PATH, wanted).content
    invocation.out().answer(body, _one, items=None)


@app.command(
    epilog=examples(
        "campaignctl campaigns update 42 --status paused",
        "campaignctl campaigns update 42 --budget none --end-date 2026-12-31",
    )
)
def update(
    context: typer.Context,
    campaign: Id,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="A new name.")] = None,
    link: Link = None,
    budget: Budget = None,
    budget_period: Period = None,
    currency: Currency = None,
    timezone: Zone = None,
    start_date: Start = None,
    end_date: End = None,
    status: Status = None,
) -> None:
    """Change what is given and leave the rest; --link replaces all native campaigns."""
    invocation = invocation_of(context)
    changes = _given({key: value for key, value in context.params.items() if key != "campaign"})
    if not changes:
        raise InvalidInput([FieldError("campaigns update", "nothing to change was given")], code="usage")
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        before = connection.api.get(f"{PATH}/{campaign}")
        wanted = {key: _plain(decode(before.content)[key]) for key in _WRITABLE} | changes
        headers = {"If-Match": before.headers["ETag"]}
        body = connection.api.put(f"{PATH}/{campaign}", wanted, headers=headers).content
    invocation.out().answer(body, _one, items=None)


@app.command(
    epilog=examples(
        "campaignctl campaigns delete 42", "campaignctl campaigns delete 42 --confirm 'Spring sale' --wait -o json"
    )
    + "\n\n\b\nNothing answers the campaign from then on, and nothing brings it back. The receipt stays with the job.\n"
)
def delete(
    context: typer.Context,
    campaign: Id,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="NAME", help="The campaign's name, instead of typing it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = None,
    timeout: Timeout = None,
) -> None:
    """Erase a campaign with all its events, for good."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        known = _known(connection, campaign)
        if not yes and known is not None:
            plan = (
                f"campaign {campaign} ({known['name']}): its settings, events, sums, conflicts and dead letters go for"
                " good; what the event log keeps goes with its retention, and is never counted again"
            )
            invocation.out().note(invocation.located(plan))
            _confirm_name(known["name"], confirm)
        body = connection.api.delete(f"{PATH}/{campaign}").content
        follow(invocation, connection, body, wait=wait, timeout_s=timeout)


def _known(connection: "Connection", campaign: int) -> dict[str, Any] | None:
    """The campaign; None where there is none: one whose erasure has failed is erased again, unasked."""
    from campaignctl.cli.output import decode

    try:
        known: dict[str, Any] = decode(connection.api.get(f"{PATH}/{campaign}").content)
    except NotFound:
        return None
    return known


def _confirm_name(name: str, typed: str | None) -> None:
    if typed is None:
        if not is_interactive():
            raise Declined("nothing was erased, as there is no terminal to ask on", hint="add --confirm NAME, or --yes")
        typed = ask("Type the campaign's name to erase it", flag="--confirm")
    if typed != name:
        raise Declined("nothing was erased: that is not the campaign's name")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The body's members that the options name; ``none`` empties one."""
    body: dict[str, Any] = {}
    for key, value in options.items():
        if key == "link" and value:
            body["platforms"] = [_link(text) for text in value]
        elif key != "link" and value is not None:
            body[key] = None if value == "none" and key in ("budget", "start_date", "end_date") else value
    return body


def _link(text: str) -> dict[str, str]:
    parts = text.split("/")
    if len(parts) not in (3, 4) or not all(parts):
        raise InvalidInput(
            [FieldError("--link", "must be PLATFORM/ACCOUNT/ID, or PLATFORM/ACCOUNT/ID/LEVEL")], code="usage"
        )
    return dict(zip(_LINK_MEMBERS, parts, strict=False))


def _plain(value: Any) -> Any:
    """As the API takes it: exact decimals travel as text."""
    from decimal import Decimal

    return format(value, "f") if isinstance(value, Decimal) else value


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("id", Kind.ID),
        Column("name"),
        Column("status", rank=1),
        Column("platforms", rank=3),
        Column("budget", Kind.MONEY, 2),
        Column("budget_period", rank=4),
        Column("currency", rank=2),
        Column("timezone", rank=3),
        Column("start_date", Kind.ID, 5),
        Column("end_date", Kind.ID, 5),
    ]
    rows = [[_cell(item, column.name) for column in columns] for item in body["items"]]
    return Table(columns, rows)


def _cell(campaign: dict[str, Any], name: str) -> Any:
    if name != "platforms":
        return campaign[name]
    return ",".join(dict.fromkeys(link["platform"] for link in campaign["platforms"]))


def _one(campaign: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    rows: list[list[Any]] = [[key, _plain(value)] for key, value in campaign.items() if key != "platforms"]
    rows += [[f"platforms.{at}", _link_text(link)] for at, link in enumerate(campaign["platforms"])]
    return Table([Column("field", Kind.ID), Column("value", Kind.ID)], rows)


def _link_text(link: dict[str, Any]) -> str:
    days = f" {link['valid_from'] or ''}..{link['valid_to'] or ''}" if link["valid_from"] or link["valid_to"] else ""
    return "/".join(link[member] for member in _LINK_MEMBERS) + days
