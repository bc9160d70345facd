"""``campaignctl freshness``: how old each campaign's newest data is."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, words
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.errors import CampaignctlError, FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app()

PATH = "/api/v1/freshness"
_COLUMNS = ("campaign_id", "campaign_name", "platform", "last_event_at", "last_report_at", "age_seconds")


@app.command(
    epilog=examples(
        "campaignctl freshness",
        "campaignctl freshness --campaign 42 --platform meta",
        "campaignctl freshness --max-age 2h -o json",
    )
)
def freshness(
    context: typer.Context,
    campaign: Annotated[
        list[int] | None,
        typer.Option(
            autocompletion=campaign_ids, metavar="N", min=1, help="These campaigns (default: the active ones)."
        ),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=words("meta", "google", "linkedin", "tiktok"),
            metavar="P",
            help="meta, google, linkedin, tiktok.",
        ),
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Exit code 1 when something is older (90s, 15m, 2h, 1d) or missing."),
    ] = None,
) -> None:
    """Show how old the newest data is, by campaign and platform."""
    invocation = invocation_of(context)
    most_s = None if max_age is None else _seconds(max_age)
    params: dict[str, list[str]] = {"campaign": list(map(str, campaign or ())), "platform": platform or []}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        body = connection.api.get(PATH, {name: given for name, given in params.items() if given}).content
    out.answer(body, _listed)
    answer = decode(body)
    if answer["truncated"]:
        out.note("note: there is more; name campaigns with --campaign")
    if most_s is not None:
        _gate(answer["items"], most_s, max_age or "")


def _seconds(text: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from campaignctl.config.values import Duration

    try:
        return float(TypeAdapter(Duration).validate_python(text).total_seconds())
    except ValidationError:
        told = FieldError("--max-age", "must be a time such as 90s, 15m, 2h or 1d")
        raise InvalidInput([told], code="usage") from None


def _gate(items: list[dict[str, Any]], most_s: float, asked: str) -> None:
    old = [one for one in items if one["age_seconds"] is None or one["age_seconds"] > most_s]
    if old:
        named = ", ".join(f"{one['campaign_id']}/{one['platform']}" for one in old[:5])
        raise CampaignctlError(
            f"{len(old)} of {len(items)} have no data of the last {asked}: {named}{', ...' if len(old) > 5 else ''}",
            hint="campaignctl lag says whether events wait to be counted",
            code="stale_data",
        )


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("campaign_id", Kind.ID),
        Column("campaign_name", rank=2),
        Column("platform", Kind.ID),
        Column("last_event_at", Kind.ID),
        Column("last_report_at", Kind.ID, 1),
        Column("age_seconds", Kind.COUNT),
    ]
    return Table(columns, [[one[name] for name in _COLUMNS] for one in body["items"]])
