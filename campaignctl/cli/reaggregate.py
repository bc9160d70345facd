"""``campaignctl reaggregate``: making a campaign's sums equal its raw records again."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.cli.job_wait import Timeout, Wait, follow, raise_for, wait_for
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.errors import CampaignctlError, FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.connection import Connection
    from campaignctl.cli.invocation import Invocation
    from campaignctl.cli.output import Table

app = new_app()

_CAMPAIGNS = "/api/v1/campaigns"
_METRICS = ("events", "impressions", "clicks", "conversions", "spend", "revenue")


@app.command(
    epilog=examples(
        "campaignctl reaggregate --campaign 42 --start-date 2026-10-01 --end-date 2026-10-31 --dry-run --wait",
        "campaignctl reaggregate --campaign 42 --wait --reason 'restored from a backup'",
        "campaignctl reaggregate --all --check",
    )
    + "\n\n\b\nWithout dates: all days whose raw records are there. The receipt stays with the job (jobs show).\n"
    "With --check the exit code is 1 when sums differ from their raw records."
)
def reaggregate(
    context: typer.Context,
    campaign: Annotated[
        int | None, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="The campaign's number.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every campaign, one after the other.")] = False,
    start_date: Annotated[str | None, typer.Option(metavar="DATE", help="First day, YYYY-MM-DD.")] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, inclusive.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and compare, and change nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="As --dry-run --wait, and exit 1 when something differs.")
    ] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for the receipt.")] = None,
    wait: Wait = None,
    timeout: Timeout = None,
) -> None:
    """Make a campaign's sums equal its raw records again."""
    invocation = invocation_of(context)
    if (campaign is None) == (not every):
        raise InvalidInput([FieldError("--campaign", "give one campaign, or --all")], code="usage")
    given = {"start_date": start_date, "end_date": end_date, "reason": reason}
    wanted = {name: value for name, value in given.items() if value is not None} | {"dry_run": dry_run or check}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        if campaign is not None and not check:
            body = connection.api.post(f"{_CAMPAIGNS}/{campaign}/reaggregate", wanted).content
            follow(invocation, connection, body, wait=wait, timeout_s=timeout, table=_receipt)
            return
        wanted_ids = _campaign_ids(connection) if campaign is None else [campaign]
        bodies = list(
            _each(invocation, connection, wanted_ids, wanted, wait=check or wait is not False, timeout_s=timeout)
        )
    _print(invocation, bodies, one=campaign is not None)
    jobs = [decode(body) for body in bodies]
    for job in jobs:
        if job["finished_at"] is not None:
            raise_for(job)
    drifted = [job for job in jobs if check and job["result"]["drift_rows"]]
    if drifted:
        shown = ", ".join(str(job["campaign_id"]) for job in drifted[:10]) + (", ..." if len(drifted) > 10 else "")
        raise CampaignctlError(
            f"the sums of campaign {shown} differ from their raw records",
            hint="make them equal with: campaignctl reaggregate --campaign N --wait",
            code="drift",
        )


def _campaign_ids(connection: "Connection") -> list[int]:
    from campaignctl.cli.output import decode

    found: list[int] = []
    params = {"limit": "200"}
    while True:
        page = decode(connection.api.get(_CAMPAIGNS, params).content)
        found += [campaign["id"] for campaign in page["items"]]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


def _each(
    invocation: "Invocation",
    connection: "Connection",
    campaign_ids: list[int],
    wanted: dict[str, Any],
    *,
    wait: bool,
    timeout_s: float | None,
) -> Iterator[bytes]:
    """One after the other, so that no campaign's events wait for more than its own recount."""
    from campaignctl.cli.output import decode

    with connection.counting():
        for campaign_id in campaign_ids:
            body = connection.api.post(f"{_CAMPAIGNS}/{campaign_id}/reaggregate", wanted).content
            yield wait_for(invocation, connection, decode(body)["job_id"], timeout_s) if wait else body


def _print(invocation: "Invocation", bodies: list[bytes], *, one: bool) -> None:
    if one:
        invocation.out().answer(bodies[0], _receipt, items=None)
    else:
        invocation.out().answer(b'{"items":[' + b",".join(bodies) + b"]}", _several)


def _receipt(job: Any) -> "Table":
    """Before, after and difference, a metric a line; a job that has no result yet as it is."""
    from campaignctl.cli.job_wait import job_table
    from campaignctl.cli.output import Column, Kind, Table

    result = job["result"]
    if result is None:
        return job_table(job)
    columns = [
        Column("metric", Kind.ID),
        Column("currency", Kind.ID),
        Column("before", Kind.COUNT),
        Column("after", Kind.COUNT),
        Column("difference", Kind.COUNT),
    ]
    rows: list[list[Any]] = []
    for metric in _METRICS:
        values = [result[part][metric] for part in ("before", "after", "difference")]
        if isinstance(values[0], dict):
            currencies = sorted({currency for value in values for currency in value})
            rows += [[metric, currency, *(value.get(currency, 0) for value in values)] for currency in currencies]
        else:
            rows.append([metric, "", *values])
    facts = ("job_id", "campaign_id"), ("start_date", "end_date", "days", "rows_read", "duplicates_collapsed",
                                        "drift_rows", "dry_run", "applied_at", "duration_s")  # fmt: skip
    notes = [(name, job[name]) for name in facts[0]] + [(name, result[name]) for name in facts[1]]
    rows += [[name, "", None, value if isinstance(value, int) else _text(value), None] for name, value in notes]
    return Table(columns, rows)


def _several(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    names = ("days", "rows_read", "duplicates_collapsed", "drift_rows")
    columns = [
        Column("job_id", Kind.ID),
        Column("campaign_id", Kind.ID),
        Column("status"),
        *(Column(name, Kind.COUNT) for name in names),
    ]
    rows = [
        [job["job_id"], job["campaign_id"], job["status"], *((job["result"] or {}).get(name) for name in names)]
        for job in body["items"]
    ]
    return Table(columns, rows)


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=str).strip('"')
