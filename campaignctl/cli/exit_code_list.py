"""``campaignctl exit-codes``."""

import json

import typer

from campaignctl.cli.exit_codes import MEANINGS
from campaignctl.cli.invocation import examples, invocation_of, new_app

app = new_app()


@app.command(epilog=examples("campaignctl exit-codes", "campaignctl exit-codes -o json"))
def exit_codes(context: typer.Context) -> None:
    """Say what the exit codes mean."""
    from campaignctl.cli.output import Column, Kind, Table

    body = json.dumps({"items": [{"code": int(code), "meaning": meaning} for code, meaning in MEANINGS]}).encode()
    table = Table([Column("code", Kind.ID), Column("meaning")], [[int(code), meaning] for code, meaning in MEANINGS])
    invocation_of(context).out().answer(body, lambda _: table)
