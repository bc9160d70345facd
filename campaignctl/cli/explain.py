"""``campaignctl explain``: where a number comes from, what a metric is, and what a code means."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.formats import Format
from campaignctl.cli.insights import METRICS
from campaignctl.cli.invocation import examples, invocation_of, new_app, words
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.cli.restatements import Platforms
from campaignctl.errors import FieldError, InvalidInput, NotFound

if TYPE_CHECKING:
    from campaignctl.cli.explanations import Page
    from campaignctl.cli.invocation import Invocation
    from campaignctl.cli.output import Output, Table

app = new_app()

_PROBLEM = "urn:campaignctl:problem:"


def _codes() -> list[str]:
    from campaignctl.cli.explanations import pages

    return [page.code for page in pages()]


@app.command(
    epilog=examples(
        "campaignctl explain --campaign 42 --date 2026-10-03 --metric spend",
        "campaignctl explain --campaign 42 --date 2026-10-03 --metric cpc --platform meta --region US",
        "campaignctl explain --campaign 42 --date 2026-10-03 --metric spend --sql",
        "campaignctl explain --metric conversions",
        "campaignctl explain not_yet_visible",
        "campaignctl explain 7",
        "campaignctl explain",
    )
)
def explain(
    context: typer.Context,
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", autocompletion=_codes, help="As an answer or a message names it; all without."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            autocompletion=words(*METRICS), metavar="NAME", help="The metric or ratio; alone: what it is and counts."
        ),
    ] = None,
    campaign: Annotated[
        int | None, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="The campaign of the number.")
    ] = None,
    date: Annotated[str | None, typer.Option(metavar="DATE", help="The day of the number, YYYY-MM-DD.")] = None,
    platform: Platforms = None,
    region: Annotated[
        list[str] | None, typer.Option(metavar="R", help="US (also US-CA) or US-CA (only itself).")
    ] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="IANA zone (default: the campaign's).")] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="Default: the campaign's.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            autocompletion=words("auto", "stream", "report"), metavar="S", help="auto (default), stream or report."
        ),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of what would have been answered then (RFC 3339).")
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements as commands that run them again.")] = False,
) -> None:
    """Say where a number comes from, or what a code means.

    With --campaign, --date and --metric: the number as insights give it, and what stands behind it. With --metric
    alone: what the metric is, and what each platform counts. With CODE: what it means, why it happens, what to do.
    """
    invocation = invocation_of(context)
    narrowed = {
        "date": date,
        "platform": platform,
        "region": region,
        "timezone": timezone,
        "currency": currency,
        "source": source,
        "as_of": as_of,
    }
    given = {name: value for name, value in narrowed.items() if value}
    _checked(code, metric, campaign, given, sql=sql)
    if campaign is not None:
        _explain_number(invocation, campaign, {"metric": metric, **given}, sql=sql)
    elif metric is not None:
        _explain_metric(invocation.out(), metric)
    else:
        _explain_code(invocation.out(), code)


def _checked(
    code: str | None, metric: str | None, campaign: int | None, given: Mapping[str, Any], *, sql: bool
) -> None:
    """Raise ``InvalidInput`` unless the options say which of the three is wanted."""
    errors = []
    if code is not None and (metric or campaign or given or sql):
        errors.append(FieldError("CODE", "cannot be combined with the options that name a number"))
    elif campaign is None and (given or sql):
        errors.append(FieldError("--campaign", "is needed to explain a number"))
    elif campaign is not None:
        named = {"--date": given.get("date"), "--metric": metric}
        errors += [FieldError(name, "is needed to explain a number") for name, value in named.items() if not value]
    if errors:
        raise InvalidInput(errors, code="usage")


def _explain_number(invocation: "Invocation", campaign: int, params: dict[str, Any], *, sql: bool) -> None:
    from campaignctl.cli import explain_view
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    if sql and out.format is not Format.TABLE:
        raise InvalidInput([FieldError("--sql", "prints commands and cannot be combined with -o")], code="usage")
    with connect(invocation) as connection:
        body = connection.api.get(f"/api/v1/campaigns/{campaign}/explain", params).content
    answer = decode(body)
    if sql:
        out.text(explain_view.as_commands(answer))
    elif out.format is Format.TABLE:
        out.text(explain_view.as_text(answer, out.width))
    else:
        out.answer(body, explain_view.as_table, items="platforms")
    for warning in answer["warnings"]:
        out.warn(str(warning["code"]), str(warning["message"]))


def _explain_metric(out: "Output", name: str) -> None:
    from campaignctl.cli import explain_view
    from campaignctl.domain.fields import did_you_mean
    from campaignctl.domain.metric_facts import facts_of, metric_named, parts_of

    metric = metric_named(name)
    if metric is None:
        raise InvalidInput(
            [FieldError("--metric", f"must be one of {', '.join(METRICS)}{did_you_mean(name, METRICS)}")], code="usage"
        )
    facts = {
        "metric": metric.value,
        "definition": asdict(facts_of(metric)),
        "terms": [{"metric": one.value, **asdict(facts_of(one))} for one in parts_of(metric)],
    }
    if out.format is Format.TABLE:
        out.text(explain_view.facts_as_text(facts, out.width))
    else:
        out.answer(json.dumps(facts).encode(), explain_view.facts_as_table, items="terms")


def _explain_code(out: "Output", code: str | None) -> None:
    from campaignctl.cli.explanations import pages

    if code is None:
        out.answer(json.dumps({"items": [_shown(page) for page in pages()]}).encode(), _listed)
        return
    page = _page(code)
    if out.format is Format.TABLE:
        out.text(f"{page.code} ({page.kind})\n\n{page.meaning}\n\nWhy: {page.why}\n\nWhat to do: {page.next}")
    else:
        out.answer(json.dumps(_shown(page)).encode(), _one, items=None)


def _page(asked: str) -> "Page":
    """However it was copied: ``error[CODE]``, the problem's type, in any case."""
    from difflib import get_close_matches

    from campaignctl.cli.explanations import pages

    code = asked.strip().lower().removeprefix(_PROBLEM)
    code = code.partition("[")[2].partition("]")[0] if "[" in code else code
    known = {page.code: page for page in pages()}
    if code in known:
        return known[code]
    near = get_close_matches(code, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? campaignctl explain lists all" if near else "campaignctl explain lists all"
    raise NotFound("there is no such code", hint=hint)


def _shown(page: "Page") -> dict[str, str]:
    return {"code": page.code, "kind": page.kind, "meaning": page.meaning, "why": page.why, "next": page.next}


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind
    from campaignctl.cli.tables import of_items

    table: Table = of_items(
        Column("code", Kind.ID),
        Column("kind", Kind.ID),
        Column("meaning"),
        Column("why", rank=3),
        Column("next", rank=3),
    )(body)
    return table


def _one(body: Any) -> "Table":
    from campaignctl.cli.tables import of_one

    return of_one(body)
