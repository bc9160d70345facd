"""``campaignctl demo``: everything at once on embedded stores, and every sum checked against the truth."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from campaignctl.cli.exit_codes import ExitCode
from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_no_data

if TYPE_CHECKING:
    from campaignctl.cli.demo_run import Demo
    from campaignctl.cli.output import Output

app = new_app()

_SHOWN_DIFFERENCES = 10
_SHOWN_RESTATED = 5


@app.command(
    epilog=examples("campaignctl demo", "campaignctl demo --once", "campaignctl demo --once --seed 7 --days 14")
)
@prints_no_data
def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Stop after the verdict; so without a terminal.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed plays another history.")] = 1,
    days: Annotated[int, typer.Option(metavar="N", min=2, max=365, help="Days of history.")] = 42,
) -> None:
    """From nothing to live insights on this machine."""
    invocation = invocation_of(context)
    out = invocation.out()
    from campaignctl.cli.demo_run import running_demo

    with running_demo(seed, days, out, quiet=invocation.quiet) as played:
        _show_insights(played, out)
        _show_restated(played, out)
        right = _tell_verdict(played, out)
        if right and not once and sys.stdin.isatty() and sys.stdout.isatty():
            right = _watch(played, out)
    if not right:
        raise typer.Exit(ExitCode.FAILED)


def _show_insights(played: "Demo", out: "Output") -> None:
    from campaignctl.cli import insights_view
    from campaignctl.sandbox.world import CAMPAIGNS

    for granularity, days in (("daily", 7), ("weekly", 28), ("monthly", 42)):
        body = played.insights(CAMPAIGNS[0].number, granularity, days)
        out.text("")
        out.text(insights_view.caption(played.decode(body)).replace("campaign ", f"{CAMPAIGNS[0].name}, campaign ", 1))
        out.answer(body, insights_view.as_report, items="rows")


def _show_restated(played: "Demo", out: "Output") -> None:
    from campaignctl.cli.demo_platforms import RESTATED

    found = played.restated
    out.text("")
    out.text(f"{RESTATED.name}, fetched again as days passed on the platforms: {len(found):,} figures restated")
    for one in found[:_SHOWN_RESTATED]:
        out.text(f"  {one['day']}  {one['platform']:<8}  {one['metric']:<11}  {one['old']} -> {one['new']}")


def _tell_verdict(played: "Demo", out: "Output") -> bool:
    """Compare everything with the truth and say so; answers whether all agrees."""
    out.note("comparing every sum with the truth ...")
    found = played.verdict()
    refused, expected = played.refused(), played.expected_refused()
    out.text("")
    out.text("verdict")
    events, copies = found.truth.distinct_events, found.truth.copies
    out.text(f"  events      {events:,} distinct, each counted once; {copies:,} copies were sent besides")
    for code in sorted(refused.keys() | expected.keys()):
        mark = "ok" if refused.get(code, 0) == expected.get(code, 0) else f"WRONG, {expected.get(code, 0)} expected"
        out.text(f"  dead letter {code:<22} {refused.get(code, 0):>4}  {mark}")
    answered = found.answered
    out.text(f"  insights    {answered.questions:,} questions, {answered.sums:,} sums compared with the truth")
    reports = found.reports
    out.text(
        f"  reports     {reports.questions:,} questions, {reports.sums:,} figures compared with what the platforms said"
    )
    differences = (*answered.differences, *reports.differences)
    for difference in differences[:_SHOWN_DIFFERENCES]:
        out.text(
            f"  WRONG       {difference.question}: {difference.row}: {difference.metric} is {difference.answered}, "
            f"{difference.expected} expected"
        )
    right = not differences and refused == expected
    out.text("  every sum agrees" if right else f"  {len(differences):,} sums differ")
    return right


def _watch(played: "Demo", out: "Output") -> bool:
    from campaignctl.cli.dashboard import watch
    from campaignctl.sandbox.world import CAMPAIGNS

    out.note("opening the dashboard; q leaves it")
    with played.live():
        watch(played.api, f"demo on {played.api.base_url}", campaign=CAMPAIGNS[0].number)
    out.note(f"{played.live_events:,} live events came in while you watched; checking them too")
    if played.went_wrong:
        out.note(f"the platforms were not fetched again: {played.went_wrong}")
    _show_restated(played, out)
    return _tell_verdict(played, out)
