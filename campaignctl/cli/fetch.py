"""``campaignctl fetch``: getting reports from the platforms."""

from typing import Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, words
from campaignctl.cli.job_wait import Timeout, Wait, follow
from campaignctl.cli.known_ids import campaign_ids

app = new_app()


@app.command(
    epilog=examples(
        "campaignctl fetch --campaign 42 --wait",
        "campaignctl fetch --campaign 42 --platform meta --start-date 2026-10-01 --end-date 2026-10-31 --wait",
    )
    + "\n\n\b\nWithout dates: each platform's look-back window. An interrupted fetch goes on where it stopped.\n"
    "Exit code 6: some platforms failed; the job's result says which and why.",
)
def fetch(
    context: typer.Context,
    campaign: Annotated[
        int, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="The campaign's number.")
    ],
    platform: Annotated[
        list[str] | None,
        typer.Option(
            metavar="P",
            help="Only this platform. Repeatable.",
            autocompletion=words("meta", "google", "linkedin", "tiktok"),
        ),
    ] = None,
    start_date: Annotated[str | None, typer.Option(metavar="DATE", help="First day, YYYY-MM-DD.")] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, inclusive.")] = None,
    wait: Wait = None,
    timeout: Timeout = None,
) -> None:
    """Fetch a campaign's reports from the platforms."""
    invocation = invocation_of(context)
    given: dict[str, Any] = {"platforms": platform, "start_date": start_date, "end_date": end_date}
    wanted = {name: value for name, value in given.items() if value}
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        body = connection.api.post(f"/api/v1/campaigns/{campaign}/fetch-data", wanted).content
        follow(invocation, connection, body, wait=wait, timeout_s=timeout)
