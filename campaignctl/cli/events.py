"""``campaignctl events``: files of events into the log and out of the store, copies that differ, and erasing."""

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.erase_events import EPILOG, erase
from campaignctl.cli.exit_codes import ExitCode, WaitTimedOut
from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import Invocation, examples, invocation_of, new_app, prints_no_data
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.errors import FieldError, InvalidInput, NotYetVisible, Throttled, Unavailable

if TYPE_CHECKING:
    from campaignctl.api_client import ApiClient
    from campaignctl.cli.event_file import Batch, EventFile
    from campaignctl.cli.output import Output, Table

app = new_app("Send, export and erase events; list copies that differ.")

_TRIES = 6
_SHOWN_REFUSALS = 10
_EXPORTED_AT_ONCE = 5_000
"""Events of a page: as many as the server gives, a few megabytes."""


@app.command(
    epilog=examples(
        "campaignctl events send events.ndjson.gz",
        "campaignctl events send - --wait < events.ndjson",
        "campaignctl events send old.ndjson --as 43 -o json",
    )
    + "\n\n\b\nThe file: one JSON object a line, plain or gzip. Sending a file again is safe: events count once.\n"
    "Exit code 6: some events were refused; all others are stored."
)
def send(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="NDJSON, plain or gzip; - is standard input.")],
    as_campaign: Annotated[
        int | None, typer.Option("--as", metavar="N", min=1, help="Send every event as one of campaign N.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the events are counted in insights.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long --wait waits.")] = 60.0,
) -> None:
    """Send events, and say what was refused and why."""
    invocation = invocation_of(context)
    receipt = Receipt()
    try:
        _send(invocation, file, as_campaign, receipt, timeout if wait else None)
    except (InvalidInput, Unavailable, Throttled) as error:
        if receipt.sent and not isinstance(error, NotYetVisible):
            error.hint = f"{receipt.sent:,} lines were sent before; send the file again: events count once"
        raise
    out = invocation.out()
    out.answer(json.dumps(receipt.as_body()).encode(), _table, items=None)
    if receipt.refused:
        raise typer.Exit(ExitCode.PARTLY)


@app.command(
    epilog=examples(
        "campaignctl events export --campaign 42 > events.ndjson",
        "campaignctl events export --campaign 42 --start-date 2026-10-01 | gzip > since-october.ndjson.gz",
        "campaignctl events export --campaign 42 | campaignctl events send - --as 43",
    )
    + "\n\n\b\nOne JSON object a line, each event once, as events send takes it. The pipe from one command into the\n"
    "other needs a server; on embedded stores without one, write a file in between."
)
@prints_no_data
def export(
    context: typer.Context,
    campaign: Annotated[int, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="The campaign.")],
    start_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day in the campaign's zone (default: all).")
    ] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, inclusive (default: all).")] = None,
) -> None:
    """Print the events of a campaign that count, one a line."""
    invocation = invocation_of(context)
    if invocation.output not in (None, Format.NDJSON):
        raise InvalidInput([FieldError("-o", "events are exported as ndjson only")], code="usage")
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import Output
    from campaignctl.tabular import next_cursor

    out = Output(Format.NDJSON, quiet=invocation.quiet)
    given = {"start_date": start_date, "end_date": end_date, "limit": str(_EXPORTED_AT_ONCE)}
    params = {name: value for name, value in given.items() if value is not None}
    with connect(invocation) as connection:
        while True:
            body = connection.api.get(f"/api/v1/campaigns/{campaign}/events", params).content
            out.lines(body)
            following = next_cursor(body)
            if following is None:
                return
            params["cursor"] = following


@app.command(
    epilog=examples(
        "campaignctl events conflicts --campaign 42",
        "campaignctl events conflicts --since 2026-10-01T00:00:00Z -o ndjson",
    )
    + "\n\n\b\nThe same event_id is the same event. The copy that came first counts; one that says something else is "
    "listed here."
)
def conflicts(
    context: typer.Context,
    campaign: Annotated[
        int | None, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="Only those of this campaign.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only copies that came at or after it (RFC 3339).")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only copies that came before it.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="How many at once (at most 200).")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")] = None,
) -> None:
    """List copies that say something else than the event that counts."""
    invocation = invocation_of(context)
    given = {"campaign_id": campaign, "since": since, "until": until, "limit": limit, "cursor": cursor}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        params = {name: str(value) for name, value in given.items() if value is not None}
        body = connection.api.get("/api/v1/conflicts", params).content
    out.answer(body, _conflict_table)
    if following := decode(body)["next_cursor"]:
        out.note(f"note: there are more conflicts; ask again with --cursor {following}")


app.command(epilog=EPILOG)(erase)


@dataclass(slots=True)
class Receipt:
    """What became of the lines so far."""

    sent: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By reason code."""
    positions: list[str] = field(default_factory=list)
    """One of each request."""
    campaign_id: int | None = None
    """Of an event that was accepted: whose insights tell when all is counted."""

    def as_body(self) -> dict[str, Any]:
        position = self.positions[-1] if self.positions else None
        refused = dict(sorted(self.refused.items()))
        return {"sent": self.sent, "accepted": self.accepted, "rejected": refused, "position": position}


def _send(invocation: Invocation, file: Path, as_campaign: int | None, receipt: Receipt, wait_s: float | None) -> None:
    from campaignctl.cli.connection import connect
    from campaignctl.cli.event_file import batches, open_events, with_campaign
    from campaignctl.cli.progress import progress

    out = invocation.out()
    with (
        open_events(file) as opened,
        connect(invocation) as connection,
        connection.counting(),
        progress(_sent(0, opened), opened.size_bytes, quiet=invocation.quiet) as told,
    ):
        read_bytes = 0
        for batch in batches(opened.unpacked):
            if as_campaign is not None:
                batch.lines = [with_campaign(line, as_campaign) for line in batch.lines]
            answer = _post(connection.api, batch)
            _note_down(out, receipt, batch, answer)
            if opened.size_bytes is None:
                told.advance(len(batch.lines))
            else:  # how many events there are nobody knows before the end, how many bytes the file has everybody
                told.describe(_sent(receipt.sent, opened))
                told.advance(opened.read_bytes - read_bytes)
                read_bytes = opened.read_bytes
        if wait_s is not None or connection.counts_by_itself:  # whose worker ends with this process
            _wait(connection.api, receipt, wait_s if wait_s is not None else 600.0)


def _sent(events: int, opened: "EventFile") -> str:
    """What stands before the figures of the progress, which count the file's bytes where it has a size."""
    return "events sent" if opened.size_bytes is None else f"{events:,} events sent, bytes of the file"


def _post(api: "ApiClient", batch: "Batch") -> dict[str, Any]:
    """Send one batch, again and again while the server is away or busy: the same key makes that harmless."""
    key, body = uuid.uuid4().hex, batch.body()
    for attempt in range(1, _TRIES + 1):
        try:
            answer: dict[str, Any] = api.send_events(body, idempotency_key=key).json()
        except (Unavailable, Throttled) as error:
            if attempt == _TRIES:
                raise
            time.sleep(max(error.retry_after_s, min(2.0**attempt / 4, 10.0)))
        else:
            return answer
    raise AssertionError("the last try returns or raises")


def _note_down(out: "Output", receipt: Receipt, batch: "Batch", answer: dict[str, Any]) -> None:
    from campaignctl.cli.event_file import campaign_of

    refused = {entry["index"]: entry for entry in answer["rejected"]}
    for index, entry in refused.items():
        if receipt.refused.total() < _SHOWN_REFUSALS:
            out.note(f"line {batch.numbers[index]}: {entry['code']}: {entry['message']}")
        elif receipt.refused.total() == _SHOWN_REFUSALS:
            out.note("further refusals are counted, not shown")
        receipt.refused[entry["code"]] += 1
    receipt.sent += len(batch.lines)
    receipt.accepted += answer["accepted"]
    receipt.positions.append(answer["position"])
    if receipt.campaign_id is None:
        taken = (line for index, line in enumerate(batch.lines) if index not in refused)
        receipt.campaign_id = next((found for line in taken if (found := campaign_of(line)) is not None), None)


def _wait(api: "ApiClient", receipt: Receipt, wait_s: float) -> None:
    """Return when every request's events are counted. The newest position is asked for first: it takes longest."""
    if receipt.campaign_id is None:
        return
    path = f"/api/v1/campaigns/{receipt.campaign_id}/insights"
    deadline_s = time.monotonic() + wait_s
    for position in reversed(receipt.positions):
        while True:
            try:
                api.get(path, {"granularity": "total", "after": position})
            except NotYetVisible:
                if time.monotonic() < deadline_s:
                    continue
                raise WaitTimedOut(
                    "the events are stored safely, but not all of them are counted yet",
                    hint="see whether a worker is running, or wait longer with --timeout",
                ) from None
            break


def _table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    rows: list[list[Any]] = [["sent", body["sent"]], ["accepted", body["accepted"]]]
    rows += [[f"rejected {code}", count] for code, count in body["rejected"].items()]
    return Table([Column("events", Kind.ID), Column("count", Kind.COUNT)], rows)


def _conflict_table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("campaign_id", Kind.ID),
        Column("event_id", Kind.ID),
        Column("at", Kind.ID, 1),
        Column("counted"),
        Column("value"),
        Column("partition", Kind.ID, 2),
        Column("offset", Kind.ID, 2),
    ]
    rows = [[_conflict_cell(item, column.name) for column in columns] for item in body["items"]]
    return Table(columns, rows)


def _conflict_cell(conflict: dict[str, Any], name: str) -> Any:
    if name == "value" and conflict["value"] is None:
        return f"base64:{conflict['value_base64']}"
    if name == "counted" and conflict["counted"] is not None:
        return json.dumps(conflict["counted"], default=str, separators=(",", ":"))
    return conflict[name]
