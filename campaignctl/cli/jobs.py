"""``campaignctl jobs``: what takes longer than a request, and how it ended."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, words
from campaignctl.cli.job_wait import PATH, Timeout, job_table, raise_for, wait_for
from campaignctl.cli.known_ids import campaign_ids, job_ids

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app("List, show, await and cancel jobs.")

Id = Annotated[int, typer.Argument(autocompletion=job_ids, metavar="JOB", min=1, help="The job's number.")]
_KINDS = words("fetch", "rederive", "reaggregate", "replay", "erase", "erase_events")
_STATUSES = words("queued", "running", "succeeded", "partial", "failed", "cancelled")


@app.command(
    "list", epilog=examples("campaignctl jobs list --status running", "campaignctl jobs list --campaign 42 -o json")
)
def list_(
    context: typer.Context,
    campaign: Annotated[
        int | None, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="Only those of this campaign.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="fetch, rederive, reaggregate, replay, erase or erase_events.", autocompletion=_KINDS
        ),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="queued, running, succeeded, partial, failed or cancelled.",
            autocompletion=_STATUSES,
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="How many at once (at most 200).")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")] = None,
) -> None:
    """List jobs, newest first."""
    invocation = invocation_of(context)
    given = {"campaign_id": campaign, "kind": kind, "status": status, "limit": limit, "cursor": cursor}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        params = {name: str(value) for name, value in given.items() if value is not None}
        body = connection.api.get(PATH, params).content
    out.answer(body, _listed)
    if following := decode(body)["next_cursor"]:
        out.note(f"note: there are more jobs; ask again with --cursor {following}")


@app.command(epilog=examples("campaignctl jobs show 7", "campaignctl jobs show 7 -o json"))
def show(context: typer.Context, job: Id) -> None:
    """Show one job, with its receipt once it is finished."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        body = connection.api.get(f"{PATH}/{job}").content
    invocation.out().answer(body, job_table, items=None)


@app.command(
    epilog=examples("campaignctl jobs wait 7", "campaignctl jobs wait 7 --timeout 60 -o json")
    + "\n\n\b\nExit code: 0 succeeded, 6 partly done, 1 failed or cancelled, 3 not finished in time."
)
def wait(context: typer.Context, job: Id, timeout: Timeout = None) -> None:
    """Wait until a job has ended, and show it."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    with connect(invocation) as connection:
        body = wait_for(invocation, connection, job, timeout)
    invocation.out().answer(body, job_table, items=None)
    raise_for(decode(body))


@app.command(epilog=examples("campaignctl jobs cancel 7"))
def cancel(context: typer.Context, job: Id) -> None:
    """Cancel a job: a queued one at once, a running one at its next step."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        body = connection.api.post(f"{PATH}/{job}/cancel").content
    invocation.out().answer(body, job_table, items=None)


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("job_id", Kind.ID),
        Column("kind"),
        Column("status"),
        Column("campaign_id", Kind.ID, 1),
        Column("progress", Kind.ID, 2),
        Column("created_at", Kind.ID, 3),
        Column("finished_at", Kind.ID, 4),
    ]
    rows = [
        [_progress(job["progress"]) if column.name == "progress" else job[column.name] for column in columns]
        for job in body["items"]
    ]
    return Table(columns, rows)


def _progress(now: dict[str, Any]) -> str:
    total = "" if now["total"] is None else f"/{now['total']}"
    return f"{now['done']}{total} {now['unit']}".strip()
