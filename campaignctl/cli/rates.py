"""``campaignctl rates``: stored currency rates."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.cli.standard_input import read_text
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app("Import and list currency rates.")

PATH = "/api/v1/currency-rates"
_MEMBERS = ("date", "currency", "base", "rate")
_RATES_PER_CALL = 5_000


@app.command(
    "import",
    epilog=examples("campaignctl rates import rates.csv", "campaignctl rates import - < rates.json")
    + "\n\n\b\nThe file: CSV with the header date,currency,base,rate, or a JSON array of such objects.\n"
    "A rate says that 1 currency = rate base on that date.",
)
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON; - is standard input.")],
) -> None:
    """Add rates, or replace those of the same date, currency and base."""
    invocation = invocation_of(context)
    rates = read_rates(read_text(file))
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection:
        for start in range(0, len(rates), _RATES_PER_CALL):
            connection.api.put(PATH, rates[start : start + _RATES_PER_CALL])
    receipt = json.dumps({"stored": len(rates)}).encode()
    invocation.out().answer(receipt, _receipt, items=None)


@app.command("list", epilog=examples("campaignctl rates list", "campaignctl rates list --base USD --limit 200 -o csv"))
def list_(
    context: typer.Context,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="Only rates of this currency.")] = None,
    base: Annotated[str | None, typer.Option(metavar="CODE", help="Only rates into this currency.")] = None,
    start_date: Annotated[str | None, typer.Option(metavar="DATE", help="First day, YYYY-MM-DD.")] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, inclusive.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="How many at once.")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="The next page, as an answer named it.")] = None,
) -> None:
    """List stored rates."""
    invocation = invocation_of(context)
    params = {name: str(value) for name, value in context.params.items() if value is not None}
    from campaignctl.cli.connection import connect
    from campaignctl.cli.output import decode

    out = invocation.out()
    with connect(invocation) as connection:
        body = connection.api.get(PATH, params).content
    out.answer(body, _listed)
    if following := decode(body).get("next_cursor"):
        out.note(f"note: there are more rates; ask again with --cursor {following}")


def read_rates(text: str) -> list[dict[str, Any]]:
    """The rates of a CSV or JSON file, rates as exact text; raises ``InvalidInput`` that names the line."""
    if text.lstrip().startswith("["):
        return list(_of_json(text))
    return list(_of_csv(text.splitlines()))


def _of_json(text: str) -> Iterator[dict[str, Any]]:
    try:
        entries = json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        raise InvalidInput([FieldError("FILE", "is not valid JSON")]) from None
    for at, entry in enumerate(entries):
        if not isinstance(entry, dict) or not set(_MEMBERS) <= entry.keys():
            raise InvalidInput([FieldError(f"FILE.{at}", f"must be an object with {', '.join(_MEMBERS)}")])
        yield {name: str(entry[name]) for name in _MEMBERS}


def _of_csv(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(lines)
    if not set(_MEMBERS) <= set(reader.fieldnames or ()):
        raise InvalidInput([FieldError("FILE", f"must begin with the header {','.join(_MEMBERS)}")])
    for entry in reader:
        if any(not entry[name] for name in _MEMBERS):
            raise InvalidInput([FieldError(f"FILE line {reader.line_num}", f"needs {', '.join(_MEMBERS)}")])
        yield {name: entry[name].strip() for name in _MEMBERS}


def _listed(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("date", Kind.ID),
        Column("currency", Kind.ID),
        Column("base", Kind.ID),
        Column("rate", Kind.COUNT),
    ]
    return Table(columns, [[item[name] for name in _MEMBERS] for item in body["items"]])


def _receipt(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    return Table([Column("stored", Kind.COUNT)], [[body["stored"]]])
