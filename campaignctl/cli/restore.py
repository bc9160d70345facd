"""``campaignctl restore``: a data directory from an archive, whole or not at all.

The archive is written beside the directory, checked, opened once, and only then put in its place. A directory that was
there is moved aside, never removed.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import confirm, examples, invocation_of, new_app
from campaignctl.cli.loading import loading
from campaignctl.errors import ConfigurationError, SchemaMismatch

if TYPE_CHECKING:
    from campaignctl.adapters.directory_archive import Manifest
    from campaignctl.config import Settings

app = new_app()

_NOTHING = frozenset({"lock"})
"""What may lie in a directory that counts as empty."""


@app.command(
    epilog=examples(
        "campaignctl restore /backups/campaignctl-friday.tar.gz --dry-run",
        "campaignctl restore /backups/campaignctl-friday.tar.gz --data-dir /var/lib/restored",
        "campaignctl restore /backups/campaignctl-friday.tar.gz --yes",
    )
    + "\n\n\b\nEverything is as it was at the backup, also what was revoked since: sessions, API keys, members. What\n"
    "the replaced directory (or that of --erasures-from) has erased since is erased again before anything\n"
    "answers it; sums by day lose single events as soon as a worker has run. Events sent since are missing; send them\n"
    "again, and those in the backup count once.\n"
)
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="An archive made by campaignctl backup.")],
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where to; the configured one otherwise.")
    ] = None,
    erasures_from: Annotated[
        Path | None,
        typer.Option("--erasures-from", metavar="DIR", help="A data directory whose erasures hold too."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Replace a directory that is not empty without asking.")
    ] = False,
) -> None:
    """Put the embedded stores back as a backup has them."""
    invocation = invocation_of(context)
    settings = invocation.settings({"data_dir": data_dir})
    out = invocation.out()
    from campaignctl.adapters.clock import SystemClock
    from campaignctl.adapters.directory_archive import read_manifest
    from campaignctl.cli.backup import demand_embedded, facts
    from campaignctl.cli.progress import progress

    demand_embedded(settings)
    manifest = read_manifest(file)
    _demand_known(manifest, file)
    target = settings.data_dir.resolve()
    _demand_place(target)
    aside = None
    if _holds_something(target):
        aside = target.with_name(f"{target.name}.before-restore-{SystemClock().now():%Y%m%dT%H%M%SZ}")
    body = _body(manifest, file, target, aside)
    if not dry_run:
        if aside is not None:
            out.note(f"{target} is not empty: it goes to {aside}, and the backup of {manifest.made_at} takes its place")
            confirm(f"Replace {target}?", yes=yes)
        sources = [one for one in (target if aside is not None else None, erasures_from) if one is not None]
        with progress("bytes restored", manifest.file_bytes, quiet=invocation.quiet) as told:
            body |= _restore(settings, file, manifest, target, aside, sources, told.advance)
    out.answer(json.dumps(body | {"dry_run": dry_run}).encode(), facts, items=None)
    if body["erased_again"] or body["erased_events_again"]:
        out.note("note: what was erased since the backup is erased again; a worker removes its rows when one starts")
    if body["erased_since"]:
        numbers = ", ".join(map(str, body["erased_since"]))
        out.warn("erased_since", f"erased since the backup, and back now: {numbers}; erase again: campaigns delete N")
    if body["pending"]:
        out.warn("schema_older", "the backup's schema is older than this program; run: campaignctl init-schema")


def _body(manifest: "Manifest", file: Path, target: Path, aside: Path | None) -> dict[str, Any]:
    return {
        "file": str(file),
        "made_at": manifest.made_at,
        "program": manifest.program,
        "schemas": manifest.schemas,
        "data_bytes": manifest.file_bytes,
        "data_dir": str(target),
        "moved_aside_to": str(aside) if aside is not None else None,
        "pending": [],
        "erased_again": [],
        "erased_events_again": 0,
        "erased_since": [],
    }


def _demand_known(manifest: "Manifest", file: Path) -> None:
    """Refuse stores that a newer program made, before anything is written."""
    from campaignctl.adapters.analytics.migrations import load_migrations as analytics_migrations
    from campaignctl.adapters.metadata.migrations import load_migrations as metadata_migrations

    known = {
        "metadata": len(metadata_migrations("metadata", "migrations", "sqlite")),
        "analytics": len(analytics_migrations()),
    }
    for store, number in manifest.schemas.items():
        if number > known.get(store, 0):
            raise SchemaMismatch(
                f"{file} was made by a newer campaignctl ({manifest.program}): its {store} has migration {number},"
                f" this program knows {known.get(store, 0)}",
                hint=f"install campaignctl {manifest.program} or newer, and restore with that",
            )


def _demand_place(target: Path) -> None:
    if target.is_mount():
        raise ConfigurationError(
            f"{target} is a mount point, which cannot be replaced as a whole",
            hint=f"restore below it, and name that as data_dir: --data-dir {target / 'restored'}",
        )
    if target.exists() and not target.is_dir():
        raise ConfigurationError(f"{target} is a file", hint="name a directory with --data-dir")


def _holds_something(target: Path) -> bool:
    return target.exists() and any(entry.name not in _NOTHING for entry in target.iterdir())


def _restore(
    settings: "Settings",
    file: Path,
    manifest: "Manifest",
    target: Path,
    aside: Path | None,
    erasures_from: Sequence[Path],
    written: Callable[[int], None],
) -> dict[str, Any]:
    """Answers the migrations that the restored stores lack, and what was erased again."""
    from campaignctl.adapters.data_directory import DataDirectory
    from campaignctl.adapters.directory_archive import extract_archive
    from campaignctl.cli.connection import own_directory
    from campaignctl.cli.erasures_again import erase_again

    with own_directory(settings, "restore"):  # makes the directory, with nothing but the lock, when there is none
        if aside is None and _holds_something(target):
            raise ConfigurationError(f"{target} was empty, and is not any more", hint="run the command again")
        staged = _staging(target)
        try:
            extract_archive(file, manifest, staged, written=written)
            # Held until the directory is in its place, so that nobody opens it before the old lock is given back.
            with DataDirectory(staged).lock(0, "restore"):
                pending = _opened(settings.model_copy(update={"data_dir": staged}), manifest)
                erased = erase_again(erasures_from, staged)
                _exchange(staged, target, aside)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
    return {"pending": pending, **erased}


def _staging(target: Path) -> Path:
    """Beside the target, for a rename does not go from one file system to another."""
    try:
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.restoring-", dir=target.parent))
    except OSError as error:
        raise ConfigurationError(
            f"nothing can be written beside {target}: {error.strerror}",
            hint="a directory is restored beside its place first; name another place with --data-dir",
        ) from error


def _opened(settings: "Settings", manifest: "Manifest") -> list[str]:
    """Open the restored stores once; answers what they lack of this program's schema, refuses those of a newer one."""
    with loading():
        from campaignctl.bootstrap import open_stores

    with open_stores(settings) as stores:
        plans = stores.schema.plan()
        if stores.schema.newest() != manifest.schemas:
            raise SchemaMismatch(
                "the stores in the archive are not those that its manifest tells of", hint="take another backup"
            )
    return [f"{plan.target} {one.number:04d} {one.name}" for plan in plans for one in plan.pending]


def _exchange(staged: Path, target: Path, aside: Path | None) -> None:
    old = aside or target.with_name(f"{staged.name}.empty")
    try:
        target.rename(old)
        try:
            staged.rename(target)
        except BaseException:  # also a signal between the two
            if not target.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be replaced: {error.strerror}", hint="see that this user may write the directory above it"
        ) from error
    if aside is None:
        shutil.rmtree(old)
