"""``campaignctl config``: what is in effect, where it came from, and whether a file is right."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_no_data

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app("Show the effective configuration, or check a file.")


@app.command(
    epilog=examples(
        "campaignctl config show",
        "campaignctl config show --changed",
        "CA_SERVER_PORT=9000 campaignctl config show -o json",
    )
)
def show(
    context: typer.Context,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only keys that differ from their default's origin.")
    ] = False,
) -> None:
    """Show every key, its value and where it came from; secrets are masked."""
    invocation = invocation_of(context)
    settings = invocation.settings()
    from campaignctl.config import keys

    items = [
        {
            "key": key.name,
            "value": settings.shown(key.name),
            "origin": settings.origin(key.name),
            "env": key.env,
            "description": key.description,
        }
        for key in keys()
        if not changed or settings.origin(key.name) != "default"
    ]
    place = invocation.place()
    chosen = {"name": place.context, "api": place.api, "chosen_by": place.chosen_by} if place.api else None
    out = invocation.out()
    out.answer(json.dumps({"items": items, "context": chosen}).encode(), _table)
    if chosen is not None:
        out.note(f"commands that ask the API ask {place} ({place.chosen_by})")


def _table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("key", Kind.ID),
        Column("value", Kind.ID),
        Column("origin", rank=1),
        Column("env", Kind.ID, rank=3),
        Column("description", rank=2),
    ]
    return Table(columns, [[_shown(item[column.name]) for column in columns] for item in body["items"]])


def _shown(value: object) -> object:
    return ",".join(map(str, value)) if isinstance(value, list) else value


@app.command(epilog=examples("campaignctl config validate config/config.yaml"))
@prints_no_data
def validate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The configuration file to check.")],
) -> None:
    """Check a configuration file, together with the CA_ variables of the environment."""
    invocation = invocation_of(context)
    invocation.config = file
    settings = invocation.settings()
    from campaignctl.bootstrap.keys import missing_secrets, variable_of

    out = invocation.out()
    out.note(f"{file} is valid")
    if settings.events.redis_dedup and settings.embedded_cache:
        said = "events.redis_dedup is true, and redis.addr is not set: what opens the stores refuses"
        out.warn("dedup_without_redis", said)
    for key in missing_secrets(settings):
        where = f"neither in the file nor in {variable_of(key)}, and postgres.host names a server"
        out.warn("secret_not_set", f"{key} is {where}: what opens the stores refuses without it")
