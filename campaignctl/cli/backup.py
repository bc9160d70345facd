"""``campaignctl backup``: the data directory in one file, taken while nobody has its stores open."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.cli.loading import loading
from campaignctl.errors import ConfigurationError

if TYPE_CHECKING:
    from campaignctl.cli.output import Table
    from campaignctl.config import Settings

app = new_app()


@app.command(
    epilog=examples("campaignctl backup /backups/campaignctl-friday.tar.gz", "campaignctl backup before.tar.gz -o json")
    + "\n\n\b\nNobody may have the stores open: stop serve and work first. The file holds the keys made in the data\n"
    "directory and password hashes: it is made for this user only; keep it as safe as the directory.\n"
)
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The archive to make (.tar.gz); it must not be there yet.")],
) -> None:
    """Keep the embedded stores and the made keys in one file."""
    invocation = invocation_of(context)
    settings = invocation.settings()
    demand_embedded(settings)
    if not (settings.data_dir / "metadata.sqlite").exists():
        raise ConfigurationError(
            f"there is nothing to keep in the data directory {settings.data_dir}",
            hint="name the directory with CA_DATA_DIR, or in the configuration",
        )
    invocation.log_beside()
    out = invocation.out()
    with loading():
        from campaignctl import __version__
        from campaignctl.adapters.clock import SystemClock
        from campaignctl.adapters.directory_archive import bytes_to_read, write_archive
        from campaignctl.bootstrap import open_stores
        from campaignctl.cli.connection import own_directory
        from campaignctl.cli.progress import progress

    with own_directory(settings, "backup"):
        with open_stores(settings) as opened:  # also lets SQLite put its side files in order
            schemas = opened.schema.newest()
        made_at = SystemClock().now().isoformat(timespec="seconds").replace("+00:00", "Z")
        with progress("bytes read", bytes_to_read(settings.data_dir), quiet=invocation.quiet) as told:
            manifest = write_archive(
                settings.data_dir, file, program=__version__, made_at=made_at, schemas=schemas, read=told.advance
            )
    body = {
        "file": str(file),
        "bytes": file.stat().st_size,
        "data_dir": str(settings.data_dir),
        "data_bytes": manifest.file_bytes,
        "made_at": made_at,
        "schemas": schemas,
    }
    out.answer(json.dumps(body).encode(), facts, items=None)
    out.note(f"{file} holds secrets (made keys, password hashes): keep it as safe as {settings.data_dir}")
    for key, value in (("jwt.key", settings.jwt.key), ("secrets.key", settings.secrets.key)):
        if value.get_secret_value():
            out.warn("key_not_kept", f"{key} is set in the configuration, so that the archive lacks it: keep it too")


def demand_embedded(settings: "Settings") -> None:
    """Raise ``ConfigurationError`` when a store is a server, whose part no copy of the directory has."""
    servers = {
        "postgres.host": settings.embedded_metadata,
        "clickhouse.host": settings.embedded_analytics,
        "kafka.brokers": settings.embedded_event_log,
    }
    named = [key for key, is_embedded in servers.items() if not is_embedded]
    if named:
        raise ConfigurationError(
            f"this is for embedded stores, and {', '.join(named)} names a server",
            hint='the servers\' own tools keep what they hold: see "Backups" in docs/operations.md',
        )


def facts(body: Any) -> "Table":
    """One fact a line; the schemas of the stores on one."""
    from campaignctl.cli.output import Column, Kind, Table

    rows = [[name.replace("_", " "), _shown(value)] for name, value in body.items() if value not in (None, [])]
    return Table([Column("what", Kind.ID), Column("value")], rows)


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value
