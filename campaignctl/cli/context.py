"""``campaignctl context``: names for servers, and which of them commands work on."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.invocation import context_names, examples, invocation_of, new_app, prints_no_data
from campaignctl.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.cli.output import Table

app = new_app("Name servers, and choose the one to work on.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The context's name.", autocompletion=context_names)]


@app.command("list", epilog=examples("campaignctl context list", "campaignctl context list -o json"))
def list_contexts(context: typer.Context) -> None:
    """List the contexts; the one in use is marked."""
    from campaignctl.cli.contexts import ContextFile

    invocation = invocation_of(context)
    file = ContextFile()
    current = file.current()
    items = [{"name": name, **asdict(kept), "current": name == current} for name, kept in file.all().items()]
    invocation.out().answer(json.dumps({"items": items}).encode(), _table)


@app.command(
    epilog=examples(
        "campaignctl context add prod https://ads.example.com",
        "campaignctl context add lab http://127.0.0.1:8080 --use",
    )
)
@prints_no_data
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_' and '-'.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where its API answers.")],
    organization: Annotated[
        int | None,
        typer.Option("--organization", metavar="N", min=1, help="As its operator, see only this organization."),
    ] = None,
    use: Annotated[bool, typer.Option("--use", help="Use it from now on.")] = False,
) -> None:
    """Give a server a name."""
    from campaignctl.api_client import checked_address
    from campaignctl.cli.contexts import NAME, Context, ContextFile

    if not NAME.fullmatch(name):
        raise InvalidInput(
            [FieldError("NAME", "must be letters, digits, '.', '_' and '-', 64 at most, and begin with none of these")]
        )
    file = ContextFile()
    if name in file.all():
        raise InvalidInput(
            [FieldError("NAME", f"there is a context {name} already")], hint=f"campaignctl context remove {name}"
        )
    file.put(name, Context(checked_address(url), organization))
    if use:
        file.use(name)
    told = "in use from now on" if use else f"use it with: campaignctl context use {name}"
    invocation_of(context).out().note(f"added {name} ({url}); {told}")


@app.command(epilog=examples("campaignctl context use prod", "campaignctl context use --none"))
@prints_no_data
def use(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The context's name.", autocompletion=context_names)
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Use none: the stores of the configuration.")] = False,
) -> None:
    """Work on that server from now on, where nothing else is said."""
    if (name is None) != none:
        raise InvalidInput([FieldError("NAME", "give the context's name, or --none")], code="usage")
    from campaignctl.cli.contexts import ContextFile

    ContextFile().use(name)
    invocation = invocation_of(context)
    invocation.out().note("no context is in use" if name is None else f"{name} is in use")
    place = invocation.place()
    if place.context != name:
        invocation.out().warn("context_overridden", f"{place.chosen_by} is set, and comes first: {place}")


@app.command(epilog=examples("campaignctl context remove lab"))
@prints_no_data
def remove(context: typer.Context, name: Name) -> None:
    """Forget a name; the server and a session on it stay."""
    from campaignctl.cli.contexts import ContextFile

    ContextFile().remove(name)
    invocation_of(context).out().note(f"removed {name}")


@app.command(
    epilog=examples("campaignctl context current", "campaignctl --context prod context current -o json")
    + "\n\n\b\nThe first of these that is given decides: --api, --context, CA_API_URL, CA_CONTEXT, context use.\n"
)
def current(context: typer.Context) -> None:
    """Show what commands work on, and what chose it."""
    invocation = invocation_of(context)
    place = invocation.place()
    body = {
        "name": place.context,
        "api": place.api,
        "organization": invocation.organization or place.organization,
        "chosen_by": place.chosen_by,
    }
    invocation.out().answer(json.dumps(body).encode(), _one, items=None)
    if place.api is None:
        invocation.out().note("no server is chosen: commands work on the stores of the configuration")


def _table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [Column("name", Kind.ID), Column("api", Kind.ID), Column("organization", Kind.ID), Column("current")]
    return Table(columns, [[item[column.name] for column in columns] for item in body["items"]])


def _one(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    return Table([Column("what", Kind.ID), Column("value", Kind.ID)], [[name, body[name]] for name in body])
