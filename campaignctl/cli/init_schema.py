"""``campaignctl init-schema``."""

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import examples, invocation_of, new_app
from campaignctl.cli.loading import loading
from campaignctl.errors import FieldError, InvalidInput, SchemaMismatch

if TYPE_CHECKING:
    from campaignctl.bootstrap import App
    from campaignctl.cli.output import Table
    from campaignctl.config import Settings
    from campaignctl.ports.event_log import TopicSpec
    from campaignctl.services.schema import PlannedMigrations
    from campaignctl.services.topics import TopicDifference

app = new_app()

_WAIT_S = 60.0
"""Five at once queue up; each takes a few seconds at most."""


@app.command(
    epilog=examples(
        "campaignctl init-schema", "campaignctl init-schema --dry-run", "campaignctl init-schema --check && echo ready"
    )
)
def init_schema(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 2 when something is missing or differs.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would be done.")] = False,
) -> None:
    """Create or migrate the stores and the topics."""
    if check and dry_run:
        raise InvalidInput([FieldError("--check", "cannot be combined with --dry-run")], code="usage")
    invocation = invocation_of(context)
    settings = invocation.settings()
    invocation.log_beside()
    out = invocation.out()
    with ExitStack() as stack:
        opened = _open(settings, stack, change=not (check or dry_run))
        differences = opened.topic_differences()
        if check:
            opened.check_schema()
            _demand_none(differences)
            out.note("the schema is up to date")
            return
        topics = opened.missing_topics()
        plans = opened.schema.plan() if dry_run else opened.init_schema(_WAIT_S)
    statements = dry_run and bool(settings.clickhouse.cluster)
    body = _body(plans, topics, differences, dry_run, statements)
    out.answer(json.dumps(body).encode(), _table)
    if out.format is Format.TABLE:
        for item in body["items"]:
            for statement in item.get("statements", ()):
                out.text(f"\n{statement};")
    for difference in differences:
        out.warn("topic_differs", f"{difference} (nothing was changed)")
    if not body["items"]:
        out.note("the schema is up to date; there was nothing to do")
    elif dry_run:
        out.note("nothing was changed; run it without --dry-run")


def _open(settings: "Settings", stack: ExitStack, *, change: bool) -> "App":
    """The stores, locked. What is not there yet is not made for a look at it: an empty directory stands in for it."""
    with loading():
        from campaignctl.bootstrap import open_stores
        from campaignctl.cli.connection import own_directory

    if not change and not settings.data_dir.exists():
        empty = stack.enter_context(tempfile.TemporaryDirectory(prefix="campaignctl-"))
        settings = settings.model_copy(update={"data_dir": Path(empty)})
    stack.enter_context(own_directory(settings, "init-schema", _WAIT_S))
    return stack.enter_context(open_stores(settings))


def _demand_none(differences: "Sequence[TopicDifference]") -> None:
    if differences:
        raise SchemaMismatch(
            "; ".join(f"topic {one.topic}: {one.setting} is {one.found}, not {one.wanted}" for one in differences),
            hint="; ".join(dict.fromkeys(one.remedy for one in differences)),
            code="topic_differs",
        )


def _body(
    plans: "Sequence[PlannedMigrations]",
    topics: "Sequence[TopicSpec]",
    differences: "Sequence[TopicDifference]",
    dry_run: bool,
    with_statements: bool,
) -> dict[str, Any]:
    items: list[dict[str, Any]] = [
        {"store": plan.target, "change": f"{migration.number:04d} {migration.name}"}
        | ({"statements": list(migration.statements)} if with_statements and plan.target == "analytics" else {})
        for plan in plans
        for migration in plan.pending
    ]
    items += [{"store": "event_log", "change": f"topic {spec.name} ({spec.partitions} partitions)"} for spec in topics]
    differing = [
        {"topic": one.topic, "setting": one.setting, "found": one.found, "wanted": one.wanted} for one in differences
    ]
    return {"dry_run": dry_run, "items": items, "differences": differing}


def _table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [Column("store", Kind.ID), Column("change", Kind.ID)]
    return Table(columns, [[item["store"], item["change"]] for item in body["items"]])
