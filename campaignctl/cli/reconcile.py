"""``campaignctl reconcile``: streamed beside reported, as a gate too."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.cli.restatements import Campaign, EndDate, Platforms, StartDate, report_params
from campaignctl.errors import CampaignctlError

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app()

_METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")


@app.command(
    epilog=examples(
        "campaignctl reconcile --campaign 42",
        "campaignctl reconcile --campaign 42 --start-date 2026-10-01 --end-date 2026-10-31 --tolerance 0.01",
    )
    + "\n\n\b\nExit code: 1 when a day that was compared is outside the tolerance."
)
def reconcile(
    context: typer.Context,
    campaign: Campaign,
    start_date: StartDate = None,
    end_date: EndDate = None,
    platform: Platforms = None,
    tolerance: Annotated[
        str | None, typer.Option(metavar="F", help="How far apart they may be, as a fraction (default: 0.05).")
    ] = None,
) -> None:
    """Compare what was streamed with what was reported."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    params = report_params(start_date, end_date, platform)
    if tolerance is not None:
        params["tolerance"] = tolerance
    with connect(invocation) as connection:
        body = connection.api.get(f"/api/v1/campaigns/{campaign}/reconcile", params).content
    out.answer(body, _listed)
    answer = decode(body)
    if answer["days_not_covered"]:
        out.note(f"note: {answer['days_not_covered']} days have no report and were not compared")
    if not answer["within"]:
        raise CampaignctlError(
            f"{answer['days_outside']} of {answer['days_compared']} days are outside the tolerance of"
            f" {answer['tolerance']}",
            hint="the hints beside each difference say what may be the cause",
            code="outside_tolerance",
        )


def _listed(body: Any) -> "Table":
    """A line for each metric of a day that says anything."""
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("day", Kind.ID),
        Column("platform", Kind.ID),
        Column("metric"),
        Column("streamed", Kind.RAW),
        Column("reported", Kind.RAW),
        Column("difference", Kind.RAW),
        Column("relative", Kind.PERCENT, 1),
        Column("within"),
        Column("hints", rank=2),
        Column("finality", rank=3),
    ]
    rows = []
    for one in body["items"]:
        for metric in _METRICS:
            compared = one["metrics"][metric]
            if not compared["streamed"] and not compared["reported"] and compared["within"] is not None:
                continue
            within = {True: "yes", False: "no", None: "not compared"}[compared["within"]]
            figures = [compared[name] for name in ("streamed", "reported", "difference", "relative")]
            hints = " ".join(compared["hints"])
            rows.append([one["day"], one["platform"], metric, *figures, within, hints, one["finality"]])
    return Table(columns, rows)
