"""``campaignctl dlq``: the dead letters, records that were refused."""

import base64
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.exit_codes import Declined
from campaignctl.cli.invocation import Invocation, ask, examples, invocation_of, new_app
from campaignctl.cli.job_wait import Timeout, Wait, follow
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app("List, show, replay and remove refused records.")

PATH = "/api/v1/dead-letters"
PURGE_PATH = "/internal/dead-letters/purge"
_PURGE_TIMEOUT_S = 900.0

LetterId = Annotated[str, typer.Argument(metavar="ID", help="The letter's id, as a listing names it.")]
Reason = Annotated[str | None, typer.Option(metavar="CODE", help="Only those of this reason code.")]
Campaign = Annotated[
    int | None,
    typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="Only those that named this campaign."),
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Only those refused at or after it (RFC 3339).")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only those refused before it (RFC 3339).")]


@app.command(
    "list",
    epilog=examples(
        "campaignctl dlq list",
        "campaignctl dlq list --reason invalid_value --campaign 42 --since 2026-10-01T00:00:00Z -o ndjson",
    ),
)
def list_(
    context: typer.Context,
    reason: Reason = None,
    campaign: Campaign = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="How many at once (at most 200).")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")] = None,
) -> None:
    """List refused records, newest first."""
    invocation = invocation_of(context)
    params = _filters(reason, campaign, since, until) | _given({"limit": limit, "cursor": cursor})
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        body = connection.api.get(PATH, {name: str(value) for name, value in params.items()}).content
    out.answer(body, _listed)
    if following := decode(body)["next_cursor"]:
        out.note(f"note: there are more dead letters; ask again with --cursor {following}")


@app.command(
    epilog=examples(
        "campaignctl dlq show 0-17",
        "campaignctl dlq show 0-17 --raw > record.json",
    )
)
def show(
    context: typer.Context,
    letter: LetterId,
    raw: Annotated[bool, typer.Option("--raw", help="Print the record's original bytes, and nothing else.")] = False,
) -> None:
    """Show one refused record with its original bytes."""
    invocation = invocation_of(context)
    from urllib.parse import quote

    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        body = connection.api.get(f"{PATH}/{quote(letter, safe='')}").content
    if raw:
        sys.stdout.buffer.write(_original(decode(body)))
    else:
        invocation.out().answer(body, _one, items=None)


@app.command(
    epilog=examples(
        "campaignctl dlq replay 0-17 0-18",
        "campaignctl dlq replay --reason unknown_campaign --campaign 42 --wait",
        "campaignctl dlq replay --all --again",
    )
    + "\n\n\b\nEach event counts once however often it is replayed; what is still bad becomes a dead letter again."
)
def replay(
    context: typer.Context,
    letters: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Letters, as a listing names them.")
    ] = None,
    reason: Reason = None,
    campaign: Campaign = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters, without any filter.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed before.")] = False,
    wait: Wait = None,
    timeout: Timeout = None,
) -> None:
    """Produce refused records again, after what was wrong is put right."""
    invocation = invocation_of(context)
    wanted = _filters(reason, campaign, since, until)
    if sum((bool(letters), bool(wanted), everything)) != 1:
        raise InvalidInput(
            [FieldError("dlq replay", "say which, in one way: ids, filters (--reason, ...), or --all")], code="usage"
        )
    body: dict[str, Any] = {"ids": letters} if letters else {**wanted, "again": again}
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        started = connection.api.post(f"{PATH}/replay", body).content
        follow(invocation, connection, started, wait=wait, timeout_s=timeout)


@app.command(
    epilog=examples(
        "campaignctl dlq purge --until 2026-10-01T00:00:00Z --dry-run",
        "campaignctl dlq purge --until 2026-10-01T00:00:00Z --reason malformed_json --yes",
    )
    + "\n\n\b\nA log lets go of its oldest records only: a letter that is not meant keeps every younger one of its\n"
    "partition. For the operator of the machine.\n"
)
def purge(
    context: typer.Context,
    reason: Reason = None,
    campaign: Campaign = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove the oldest refused records for good."""
    invocation = invocation_of(context)
    wanted = _filters(reason, campaign, None, until)
    if not wanted:
        raise InvalidInput([FieldError("dlq purge", "say which: --until, --reason or --campaign")], code="usage")
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation, timeout_s=_PURGE_TIMEOUT_S) as connection:
        body = connection.api.post(PURGE_PATH, wanted | {"dry_run": True}).content
        plan = decode(body)
        if not dry_run:
            if plan["removed"] and not yes:
                _confirm(plan, invocation)
            body = connection.api.post(PURGE_PATH, wanted | {"dry_run": False}).content
    out.answer(body, _receipt, items=None)


def _confirm(plan: dict[str, Any], invocation: Invocation) -> None:
    invocation.out().note(
        f"{plan['removed']:,} dead letters go for good; {plan['kept_behind']:,} that are meant stay behind others"
    )
    if ask(invocation.located("Type yes to remove them"), flag="--yes").lower() != "yes":
        raise Declined("nothing was removed")


def _filters(reason: str | None, campaign: int | None, since: str | None, until: str | None) -> dict[str, Any]:
    return _given({"reason": reason, "campaign_id": campaign, "since": since, "until": until})


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _original(letter: dict[str, Any]) -> bytes:
    if letter["value"] is not None:
        return str(letter["value"]).encode()
    return base64.b64decode(letter["value_base64"])


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("id", Kind.ID),
        Column("at", Kind.ID, 1),
        Column("code", Kind.ID),
        Column("campaign_id", Kind.ID, 2),
        Column("source", rank=3),
        Column("message"),
        Column("replayed_at", Kind.ID, 5),
        Column("value", rank=4),
    ]
    rows = [[_cell(letter, column.name) for column in columns] for letter in body["items"]]
    return Table(columns, rows)


def _one(letter: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    shown = [[name, _cell(letter, name)] for name in letter if name != "value_base64"]
    return Table([Column("field", Kind.ID), Column("value", Kind.ID)], [row for row in shown if row[1] is not None])


def _cell(letter: dict[str, Any], name: str) -> Any:
    if name == "value" and letter["value"] is None:
        return f"base64:{letter['value_base64']}"
    return letter[name]


def _receipt(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    return Table([Column("what", Kind.ID), Column("value", Kind.COUNT)], [[name, body[name]] for name in body])
