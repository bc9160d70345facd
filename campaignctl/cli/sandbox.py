"""``campaignctl sandbox``: the four ad platforms, simulated on this machine, and what is true."""

import json
import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, words
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.output import Output, Table
    from campaignctl.sandbox.server import Sandbox

app = new_app()

_DEFAULT_DAYS = 60
_MOST_DAYS = 1_200


@app.command(
    epilog=examples(
        "campaignctl sandbox",
        "campaignctl sandbox --faults all --latency-ms 200",
        "campaignctl sandbox --faults 429-retry-after,google-token-expired --speed 3600",
        "campaignctl sandbox --list-faults",
        "campaignctl sandbox --port 0 -o json",
    )
)
def sandbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(metavar="HOST", help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65_535, help="Port, 0 for any free one.")] = 8_090,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed is another world.")] = 1,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Misbehaviour: names, a platform, or all (what a client gets over); repeat or separate by commas.",
            autocompletion=words("all", "meta", "google", "linkedin", "tiktok"),
        ),
    ] = None,
    latency_ms: Annotated[int, typer.Option(metavar="N", min=0, max=60_000, help="How long each answer takes.")] = 50,
    start_date: Annotated[
        str | None, typer.Option(metavar="DATE", help=f"First day of deliveries; {_DEFAULT_DAYS} days ago.")
    ] = None,
    speed: Annotated[
        float, typer.Option(metavar="X", min=0.0, max=1e6, help="How much faster its clock runs; 0 stands still.")
    ] = 1.0,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="List the faults, and serve nothing.")] = False,
) -> None:
    """Serve the four ad platforms, simulated, with known truth."""
    out = invocation_of(context).out()
    if list_faults:
        _list_faults(out)
        return
    first_day = _first_day(start_date)
    from campaignctl.adapters.ad_platforms.egress import is_loopback_name
    from campaignctl.adapters.clock import SystemClock
    from campaignctl.cli.serve import url_of
    from campaignctl.sandbox.deliveries import World
    from campaignctl.sandbox.faults import chosen
    from campaignctl.sandbox.server import Sandbox
    from campaignctl.sandbox.serving import serve
    from server.listening import bind

    if not is_loopback_name(host):
        raise InvalidInput(
            [FieldError("--host", "must be a loopback address: credentials are not sent over plain HTTP elsewhere")],
            hint="leave it out, or use 127.0.0.1 or ::1",
            code="usage",
        )
    on = chosen(name for names in faults or () for name in names.split(",") if name)
    made = Sandbox(World(seed, first_day), SystemClock(), faults=on, latency_s=latency_ms / 1_000, speed=speed)
    listener = bind(host, port, named="--port")
    url = url_of(host, listener.getsockname()[1])
    _tell(_place(made, url), out)
    out.note(f"sandbox on {url} (seed {seed}, {len(on)} faults; Ctrl-C stops); the truth is at {url}/truth")
    serve(made, listener)


def _place(made: "Sandbox", url: str) -> dict[str, Any]:
    from campaignctl.sandbox.natives import accounts
    from campaignctl.sandbox.server import base_urls

    environment = {f"CA_{key.replace('.', '_').upper()}": value for key, value in base_urls(url).items()}
    return {
        "url": url,
        "seed": made.world.seed,
        "start_date": made.world.first_day.isoformat(),
        "now": made.clock.now().isoformat(),
        "speed": made.clock.speed,
        "faults": sorted(made.faults),
        "environment": environment,
        "accounts": [one.body() | {"currency": one.currency, "timezone": one.timezone} for one in accounts()],
    }


def _tell(place: dict[str, Any], out: "Output") -> None:
    """Where it is, how to have the product use it, and as whom; at once, as nothing follows until it stops."""
    from campaignctl.cli.formats import Format

    if out.format is Format.TABLE:
        for name, value in place["environment"].items():
            out.text(f"export {name}={value}")
        out.text("")
    out.answer(json.dumps(place).encode(), _accounts, items="accounts")
    sys.stdout.flush()


def _accounts(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("platform"),
        Column("account_id", Kind.ID),
        Column("currency"),
        Column("timezone", rank=1),
        Column("credentials", Kind.ID),
    ]
    rows = [
        [*(one[column.name] for column in columns[:-1]), json.dumps(one["credentials"])] for one in body["accounts"]
    ]
    return Table(columns, rows)


def _list_faults(out: "Output") -> None:
    from campaignctl.cli.output import Column, Kind, Table
    from campaignctl.sandbox.faults import FAULTS

    items = [
        {"name": one.name, "platforms": list(one.platforms), "in_all": not one.by_name_only, "what": one.what}
        for one in FAULTS
    ]

    def table(body: Any) -> Table:
        columns = [Column("name", Kind.ID), Column("in_all"), Column("what")]
        shown = [[one["name"], "yes" if one["in_all"] else "no", one["what"]] for one in body["items"]]
        return Table(columns, shown)

    out.answer(json.dumps({"items": items}).encode(), table)


def _first_day(text: str | None) -> date:
    today = datetime.now(UTC).date()
    if text is None:
        return today - timedelta(days=_DEFAULT_DAYS)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.max
    if not 0 <= (today - day).days <= _MOST_DAYS:
        message = f"must be a day such as {today - timedelta(days=_DEFAULT_DAYS)}, of the last {_MOST_DAYS:,} days"
        raise InvalidInput([FieldError("--start-date", message)], code="usage")
    return day
