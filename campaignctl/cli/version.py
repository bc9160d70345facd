"""``campaignctl version``."""

import typer

from campaignctl import __version__
from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import examples, invocation_of, new_app

app = new_app()


@app.command(epilog=examples("campaignctl version", "campaignctl version -o json"))
def version(context: typer.Context) -> None:
    """Print the version."""
    out = invocation_of(context).out()
    if out.format is Format.TABLE:
        out.text(f"campaignctl {__version__}")
    else:
        from campaignctl.cli.output import Column, Table

        table = Table([Column("version")], [[__version__]])
        out.answer(f'{{"version":"{__version__}"}}'.encode(), lambda _: table, items=None)
