"""``campaignctl explain``: what a code means, why it happens and what to do."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.errors import NotFound

if TYPE_CHECKING:
    from campaignctl.cli.explanations import Page
    from campaignctl.cli.output import Table

app = new_app()

_PROBLEM = "urn:campaignctl:problem:"


def _codes() -> list[str]:
    from campaignctl.cli.explanations import pages

    return [page.code for page in pages()]


@app.command(
    epilog=examples(
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
) -> None:
    """Say what a code means, why it happens and what to do."""
    out = invocation_of(context).out()
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
