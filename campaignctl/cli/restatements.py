"""``campaignctl restatements``: what platforms changed of what they had reported."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, words
from campaignctl.cli.known_ids import campaign_ids

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app()

_COLUMNS = (
    "day", "platform", "account_id", "external_id", "metric", "old", "new", "currency", "finality", "fetched_at",
    "landed_at", "cause", "old_definition", "definition",
)  # fmt: skip

Campaign = Annotated[int, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="The campaign.")]
StartDate = Annotated[str | None, typer.Option(metavar="D", help="The first day (default: 30 days up to the last).")]
EndDate = Annotated[str | None, typer.Option(metavar="D", help="The last day, inclusive (default: today).")]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        autocompletion=words("meta", "google", "linkedin", "tiktok"),
        metavar="P",
        help="meta, google, linkedin, tiktok.",
    ),
]


@app.command(
    epilog=examples(
        "campaignctl restatements --campaign 42",
        "campaignctl restatements --campaign 42 --start-date 2026-10-01 --end-date 2026-10-31 --platform meta -o csv",
    )
)
def restatements(
    context: typer.Context,
    campaign: Campaign,
    start_date: StartDate = None,
    end_date: EndDate = None,
    platform: Platforms = None,
) -> None:
    """List what platforms changed of what they had reported."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        path = f"/api/v1/campaigns/{campaign}/restatements"
        body = connection.api.get(path, report_params(start_date, end_date, platform)).content
    out.answer(body, _listed)
    if decode(body)["truncated"]:
        out.note("note: there are more; ask for fewer days with --start-date and --end-date")


def report_params(start_date: str | None, end_date: str | None, platform: list[str] | None) -> dict[str, Any]:
    """The parameters of the questions about reports that were given."""
    given = {"start_date": start_date, "end_date": end_date, "platform": platform}
    return {name: value for name, value in given.items() if value}


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    kinds = dict.fromkeys(("day", "platform", "external_id", "fetched_at", "landed_at", "account_id"), Kind.ID)
    kinds |= dict.fromkeys(("old", "new"), Kind.RAW)
    ranks = {"account_id": 3, "finality": 2, "landed_at": 4, "currency": 1, "cause": 1}
    ranks |= dict.fromkeys(("old_definition", "definition"), 4)
    columns = [Column(name, kinds.get(name, Kind.TEXT), ranks.get(name, 0)) for name in _COLUMNS]
    return Table(columns, [[one[name] for name in _COLUMNS] for one in body["items"]])
