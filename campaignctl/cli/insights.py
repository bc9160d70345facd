"""``campaignctl insights``: the API's question as flags, its answer as a table or as it is."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_own_parquet, words
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.connection import Connection
    from campaignctl.cli.output import Output

app = new_app()

Many = list[str] | None
METRICS = ("impressions", "clicks", "conversions", "spend", "revenue", "ctr", "cpc", "cpm", "cpa", "cvr", "roas")


@app.command(
    epilog=examples(
        "campaignctl insights --campaign 42",
        "campaignctl insights --campaign 42 --granularity weekly --group-by platform --start-date 2026-10-01 "
        "--end-date 2026-10-31",
        "campaignctl insights --campaign 42 --region US,IN --compare previous_period -o json",
        "campaignctl insights --status active --q sale --group-by campaign --granularity total --sort spend --limit 10",
        "campaignctl insights --campaign 42 --plot --metric clicks",
        "campaignctl insights --campaign 42 --granularity total --watch",
        "campaignctl insights --campaign 42 -o parquet --output-file insights.parquet",
    )
)
@prints_own_parquet
def insights(
    context: typer.Context,
    campaign: Annotated[
        Many,
        typer.Option(
            autocompletion=campaign_ids,
            metavar="N",
            help="The campaign; several (repeat, or a comma list) are added up.",
        ),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            autocompletion=words("active", "paused", "completed", "archived"),
            metavar="S",
            help="Instead of --campaign: all of this status.",
        ),
    ] = None,
    q: Annotated[
        str | None,
        typer.Option("--q", metavar="TEXT", help="Instead of --campaign: all with this in the name."),
    ] = None,
    start_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day, YYYY-MM-DD (default: 30 days that end today).")
    ] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, inclusive.")] = None,
    platform: Annotated[
        Many,
        typer.Option(
            autocompletion=words("meta", "google", "linkedin", "tiktok"),
            metavar="P",
            help="meta, google, linkedin, tiktok.",
        ),
    ] = None,
    region: Annotated[Many, typer.Option(metavar="R", help="US (also US-CA) or US-CA (only itself).")] = None,
    granularity: Annotated[
        str | None,
        typer.Option(
            autocompletion=words("hourly", "daily", "weekly", "monthly", "total"),
            metavar="G",
            help="hourly, daily, weekly, monthly or total (default: daily).",
        ),
    ] = None,
    group_by: Annotated[
        Many,
        typer.Option(
            autocompletion=words("platform", "region", "ad_group", "ad", "device", "campaign"),
            metavar="D",
            help="platform, region, ad_group, ad, device, campaign.",
        ),
    ] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="IANA zone (default: the campaign's).")] = None,
    week_start: Annotated[
        str | None,
        typer.Option(autocompletion=words("monday", "sunday"), metavar="DAY", help="monday (default) or sunday."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            autocompletion=words("auto", "stream", "report"), metavar="S", help="auto (default), stream or report."
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            autocompletion=words("previous_period", "previous_year"),
            metavar="C",
            help="previous_period or previous_year.",
        ),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="What this question would have answered then (RFC 3339).")
    ] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="Default: the campaign's.")] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            autocompletion=words("none", "zero"), metavar="F", help="none (default) or zero: rows for empty buckets."
        ),
    ] = None,
    sort: Annotated[str | None, typer.Option(metavar="NAME", help="A metric, a ratio or a group-by name.")] = None,
    order: Annotated[
        str | None, typer.Option(autocompletion=words("asc", "desc"), metavar="O", help="asc or desc.")
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Rows of this page (at most 10000).")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="POSITION", help="Wait until the events sent up to there are counted.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again whenever it has changed, until Ctrl-C.")
    ] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw one metric as bars.")] = False,
    metric: Annotated[
        str, typer.Option(autocompletion=words(*METRICS), metavar="NAME", help="What --plot draws.")
    ] = "spend",
    output_file: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the answer to this file.")
    ] = None,
) -> None:
    """Ask for a campaign's numbers."""
    invocation = invocation_of(context)
    path, params = _question(dict(context.params))
    out = invocation.out()
    if plot and out.format is not Format.TABLE:
        raise InvalidInput([FieldError("--plot", "draws for people and cannot be combined with -o")], code="usage")

    if watch:
        _refuse_to_watch(out, context.params)
    if out.format is Format.PARQUET:
        _prepare_parquet(out, to_stdout=output_file is None)

    from campaignctl.cli.connection import connect

    plotted = metric if plot else None
    with connect(invocation) as connection:
        if watch:
            _watch(connection, path, params, out, plotted)
            return
        body = connection.api.get(path, params).content
    if output_file is None:
        _print(out, body, plotted)
        return
    with output_file.open("w", encoding="utf-8", newline="") as file:
        _print(invocation.out(file), body, plotted)


def _question(options: dict[str, Any]) -> tuple[str, dict[str, str | list[str]]]:
    """The route and its parameters. One campaign has a route of its own; several, chosen or all, are added up."""
    campaigns = [part.strip() for text in options.pop("campaign") or () for part in text.split(",") if part.strip()]
    for text in campaigns:
        if not text.isascii() or not text.isdigit():
            raise InvalidInput([FieldError("--campaign", "must be the number of a campaign")], code="usage")
    params: dict[str, str | list[str]] = {
        name: list(value) if isinstance(value, list | tuple) else str(value)
        for name, value in options.items()
        if value not in (None, (), []) and name not in ("watch", "plot", "metric", "output_file")
    }
    if campaigns and (given := [f"--{name}" for name in ("status", "q") if name in params]):
        message = "chooses among all campaigns and cannot stand beside --campaign, which names them"
        raise InvalidInput([FieldError(given[0], message)], code="usage")
    if len(campaigns) == 1:
        return f"/api/v1/campaigns/{int(campaigns[0])}/insights", params
    return "/api/v1/insights", params | ({"campaign": campaigns} if campaigns else {})


def _refuse_to_watch(out: "Output", options: dict[str, Any]) -> None:
    for flag, given in (
        ("-o parquet", out.format is Format.PARQUET),
        ("--output-file", options["output_file"] is not None),
        ("--cursor", options["cursor"] is not None),
    ):
        if given:
            raise InvalidInput([FieldError("--watch", f"cannot be combined with {flag}")], code="usage")


def _watch(
    connection: "Connection", path: str, params: dict[str, str | list[str]], out: "Output", plotted: str | None
) -> None:
    from campaignctl.cli.closed_pipe import ends_with_its_reader
    from campaignctl.cli.insights_watch import answers

    with ends_with_its_reader(sys.stdout):
        for body in answers(connection, path, params):
            if out.format is Format.TABLE:
                out.clear()
            _print(out, body, plotted)


def _print(out: "Output", body: bytes, plotted: str | None) -> None:
    from campaignctl.cli import insights_view
    from campaignctl.cli.output import decode

    if out.format is Format.JSON:
        out.answer(body, insights_view.as_rows, items="rows")
        return
    answer: dict[str, Any] = decode(body)
    if plotted is not None:
        out.text(insights_view.as_bars(answer, plotted, out.width))
    elif out.format is Format.TABLE:
        out.note(insights_view.caption(answer))
        out.answer(body, insights_view.as_report, items="rows")
    else:
        out.answer(body, insights_view.as_rows, items="rows", parquet=_as_parquet)
    for warning in answer["warnings"]:
        out.warn(str(warning["code"]), str(warning["message"]))
    if answer["next_cursor"]:
        out.note(f"note: there are more rows; ask again with --cursor {answer['next_cursor']}")


def _prepare_parquet(out: "Output", *, to_stdout: bool) -> None:
    """Refuse what could not be written before anything is asked, or a file emptied."""
    from campaignctl.services.insight_exports import require_arrow

    require_arrow()
    if to_stdout:
        out.refuse_terminal(hint="add --output-file FILE, or > FILE")


def _as_parquet(body: bytes) -> bytes:
    from campaignctl.services.insight_exports import ExportForm, exported

    return exported(body, ExportForm.PARQUET)
