"""``campaignctl pacing``: a campaign's spend against its budget."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.cli.restatements import Campaign, Platforms, report_params

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app()

_FLAGS = ("stopped", "stale", "overspending", "underspending")
_LEFT_OUT = ("flags", "days", "warnings", "projection_method")


@app.command(
    epilog=examples(
        "campaignctl pacing --campaign 42",
        "campaignctl pacing --campaign 42 --start-date 2026-10-01 --end-date 2026-10-31 -o json",
    )
    + "\n\n\b\nWithout dates: the budget's own period that today lies in (the run, the month or the day).\n"
)
def pacing(
    context: typer.Context,
    campaign: Campaign,
    start_date: Annotated[str | None, typer.Option(metavar="D", help="The first day (default: the period's).")] = None,
    end_date: Annotated[
        str | None, typer.Option(metavar="D", help="The last day, inclusive (default: the period's).")
    ] = None,
    platform: Platforms = None,
) -> None:
    """Hold a campaign's spend against its budget."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        path = f"/api/v1/campaigns/{campaign}/pacing"
        body = connection.api.get(path, report_params(start_date, end_date, platform)).content
    out.answer(body, _table, items=None)
    for warning in decode(body)["warnings"]:
        out.warn(warning["code"], warning["message"])


def _table(body: Any) -> "Table":
    from campaignctl.cli.tables import of_one

    days = {f"days.{name}": value for name, value in body["days"].items()}
    flags = {f"flags.{name}": body["flags"][name] for name in _FLAGS}
    return of_one({name: value for name, value in body.items() if name not in _LEFT_OUT} | days | flags)
