"""``campaignctl lag``: how far the workers are behind."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.errors import CampaignctlError, Unavailable

if TYPE_CHECKING:
    from campaignctl.api_client import ApiClient
    from campaignctl.cli.output import Output, Table

app = new_app()

PATH = "/api/v1/system"
_COLUMNS = ("partition", "committed", "end", "lag_records", "lag_seconds")


@app.command(
    epilog=examples(
        "campaignctl lag",
        "campaignctl lag --watch --interval 5",
        "campaignctl lag --max-lag 10000 -o json",
    )
    + "\n\n\b\n-o json is the member lag of GET /api/v1/system.\n"
)
def lag(
    context: typer.Context,
    max_lag: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="End with exit code 1 when more records wait.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.5, max=3600, help="Time between two looks of --watch.")
    ] = 2.0,
) -> None:
    """Show how many records wait to be counted, and for how long."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    out = invocation.out()
    with connect(invocation) as connection:
        for body in _looks(connection.api, interval if watch else None):
            _print(body, out, clear=watch)
            _gate(body, max_lag)


def _looks(api: "ApiClient", interval_s: float | None) -> Iterator[bytes]:
    while True:
        yield _lag_of(api.get(PATH).content)
        if interval_s is None:
            return
        time.sleep(interval_s)


def _lag_of(system: bytes) -> bytes:
    """The member's own bytes."""
    import msgspec

    found = bytes(msgspec.json.decode(system, type=dict[str, msgspec.Raw])["lag"])
    if found == b"null":
        raise Unavailable("the event log cannot be asked now", service="event_log", hint="try again in a moment")
    return found


def _print(body: bytes, out: "Output", *, clear: bool) -> None:
    if clear and out.format is Format.TABLE:
        out.clear()
    out.answer(body, _listed, items="partitions")


def _gate(body: bytes, max_lag: int | None) -> None:
    from campaignctl.cli.output import decode

    waiting = decode(body)["lag_records"]
    if max_lag is not None and waiting > max_lag:
        raise CampaignctlError(
            f"{waiting:,} records wait to be counted, more than {max_lag:,}",
            hint="see whether workers run (campaignctl work), and what GET /health says of the stores",
            code="lag_exceeded",
        )


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [Column("partition", Kind.ID), *(Column(name, Kind.COUNT) for name in _COLUMNS[1:])]
    rows = [[one[name] for name in _COLUMNS] for one in body["partitions"]]
    return Table(columns, rows, totals=[["all", None, None, body["lag_records"], body["lag_seconds"]]])
