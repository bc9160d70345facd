"""``campaignctl events erase``: single events, for good."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import Invocation, confirm, examples, invocation_of
from campaignctl.cli.job_wait import Timeout, Wait, follow, raise_for, wait_for
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.cli.standard_input import read_text
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.connection import Connection
    from campaignctl.cli.output import Table

_ERASED_AT_ONCE = 1_000

EPILOG = (
    examples(
        "campaignctl events erase --campaign 42 --event-id c-20261001-000001 --dry-run",
        "campaignctl events erase --campaign 42 --file ids.txt --reason 'request 2026-118' --yes --wait",
    )
    + "\n\n\b\nFor good: no record of these ids counts in the campaign any more, whenever and however it comes. A\n"
    "file has one id a line, - is standard input; each 1,000 ids are a job. The receipt stays with the job.\n"
)


def erase(
    context: typer.Context,
    campaign: Annotated[int, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="The campaign.")],
    event_id: Annotated[
        list[str] | None, typer.Option("--event-id", metavar="ID", help="An event's id; may be repeated.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Ids, one a line; - is standard input.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for the receipt.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = None,
    timeout: Timeout = None,
) -> None:
    """Erase single events of a campaign, for good."""
    invocation = invocation_of(context)
    event_ids = list(dict.fromkeys([*(event_id or []), *(_ids_in(file) if file is not None else [])]))
    if not event_ids:
        raise InvalidInput([FieldError("--event-id", "name at least one event, or give a --file")], code="usage")
    pieces = [event_ids[at : at + _ERASED_AT_ONCE] for at in range(0, len(event_ids), _ERASED_AT_ONCE)]
    wanted: list[dict[str, Any]] = [
        {"event_ids": piece} | ({"reason": reason} if reason is not None else {}) for piece in pieces
    ]
    from campaignctl.cli.connection import connect
    from campaignctl.cli.job_wait import job_table
    from campaignctl.cli.output import decode

    path = f"/api/v1/campaigns/{campaign}/events/erase"
    with connect(invocation) as connection:
        if dry_run or not yes:
            plans = [connection.api.post(path, one | {"dry_run": True}).content for one in wanted]
            if dry_run:
                _answer_each(invocation, plans, job_table)
                return
            _confirm_erasure(invocation, campaign, len(event_ids), list(map(decode, plans)))
        if len(wanted) == 1:
            body = connection.api.post(path, wanted[0]).content
            follow(invocation, connection, body, wait=wait, timeout_s=timeout)
            return
        bodies = [_erase_piece(invocation, connection, path, one, wait, timeout) for one in wanted]
    _answer_each(invocation, bodies, job_table)
    for job in map(decode, bodies):
        if job["finished_at"] is not None:
            raise_for(job)


def _erase_piece(
    invocation: Invocation,
    connection: "Connection",
    path: str,
    wanted: dict[str, Any],
    wait: bool | None,
    timeout_s: float | None,
) -> bytes:
    from campaignctl.cli.output import decode

    body = connection.api.post(path, wanted).content
    return body if wait is False else wait_for(invocation, connection, decode(body)["job_id"], timeout_s)


def _ids_in(file: Path) -> list[str]:
    """The lines of a file that are not blank."""
    try:
        text = read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput([FieldError("--file", f"cannot be read as text: {error}")], code="usage") from error
    return [line for line in text.splitlines() if line.strip()]


def _confirm_erasure(invocation: Invocation, campaign: int, asked: int, plans: list[dict[str, Any]]) -> None:
    events, conflicts = (sum(plan[name] for plan in plans) for name in ("events", "conflicts"))
    until = plans[0]["remains_until"]["event_log"]
    log = f"until {until}" if until else "for ever"
    plan = (
        f"{events:,} events and {conflicts:,} conflicts of campaign {campaign} go for good ({asked:,} ids);"
        f" the event log keeps its bytes {log}, and they are never counted again"
    )
    invocation.out().note(invocation.located(plan))
    confirm("Erase them?", yes=False, on=invocation)


def _answer_each(invocation: Invocation, bodies: list[bytes], table: "Callable[[Any], Table]") -> None:
    """One answer as it is, several as items."""
    if len(bodies) == 1:
        invocation.out().answer(bodies[0], table, items=None)
    else:
        invocation.out().answer(b'{"items":[' + b",".join(bodies) + b"]}", _several_erasures)


def _several_erasures(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    names = list(body["items"][0])
    rows = [
        [json.dumps(one) if isinstance(one, dict | list) else one for one in item.values()] for item in body["items"]
    ]
    return Table([Column(name, Kind.ID) for name in names], rows)
