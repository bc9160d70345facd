"""``campaignctl doctor``: what is wrong with an installation, and what to do about it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import typer

from campaignctl.cli.formats import Format
from campaignctl.cli.invocation import Invocation, examples, invocation_of, new_app
from campaignctl.cli.loading import loading
from campaignctl.errors import CampaignctlError, ConfigurationError
from campaignctl.telemetry import one_line

if TYPE_CHECKING:
    from campaignctl.cli.output import Output, Table
    from campaignctl.config import Settings
    from campaignctl.services.doctor import Examined

app = new_app()

_LOCK_WAIT_S = 1.0


@app.command(
    epilog=examples("campaignctl doctor", "campaignctl doctor -o json", "campaignctl --api URL doctor")
    + "\n\n\b\nExit code: 0 all well, 1 findings, 7 something cannot be reached.\n"
    "What a finding means: campaignctl explain CODE\n"
)
def doctor(context: typer.Context) -> None:
    """Look the whole installation over, and say what to do."""
    invocation = invocation_of(context)
    for where, examined in _examined(invocation):  # told before the stores are closed, which frozen ones take time for
        code = _exit_code(examined)
        _print(invocation.out(), _body(where, examined))
    raise typer.Exit(code)


def _print(out: "Output", body: dict[str, Any]) -> None:
    out.answer(json.dumps(body).encode(), _table, items="checks")
    if out.format is Format.TABLE:
        _tell(out, body)


def _examined(invocation: Invocation) -> "Iterator[tuple[str, list[Examined]]]":
    """Once: where was looked, and what was found there. What was opened for it is closed afterwards."""
    from campaignctl.services.doctor import failed

    if invocation.api_url is not None:
        yield invocation.api_url, _of_api(invocation)
        return
    try:
        settings = invocation.settings()
    except ConfigurationError as error:
        yield "configuration", [failed("configuration", error)]
        return
    with ExitStack() as stack:
        try:
            found = _of_settings(invocation, settings, stack)
        except CampaignctlError as error:  # the stores could not even be opened
            found = "stores", [failed("stores", error)]
        yield found


def _of_api(invocation: Invocation) -> "list[Examined]":
    from campaignctl.adapters.clock import SystemClock
    from campaignctl.cli.connection import connect
    from campaignctl.cli.doctor_looks import of_server
    from campaignctl.services.doctor import DEADLINE_S, examine

    with connect(invocation, timeout_s=DEADLINE_S) as connection:
        return examine(of_server(connection.api), SystemClock())


def _of_settings(invocation: Invocation, settings: "Settings", stack: ExitStack) -> "tuple[str, list[Examined]]":
    with loading():
        from campaignctl.adapters.clock import SystemClock
        from campaignctl.adapters.data_directory import DataDirectory
        from campaignctl.api_client import ApiClient
        from campaignctl.bootstrap import open_stores
        from campaignctl.cli.connection import own_directory
        from campaignctl.cli.doctor_looks import of_machine, of_server, of_stores
        from campaignctl.services.doctor import DEADLINE_S, examine

    if settings.embedded:
        if not settings.data_dir.exists():
            raise ConfigurationError(
                f"there is no data directory {settings.data_dir}",
                hint="campaignctl init-schema (or campaignctl demo)",
                code="no_data_directory",
            )
        server = DataDirectory(settings.data_dir).running_server()
        if server is not None:
            api = stack.enter_context(ApiClient(server.url, server.token, timeout_s=DEADLINE_S))
            return server.url, examine([*of_server(api), *of_machine(settings)], SystemClock())
    invocation.log_beside()
    stack.enter_context(own_directory(settings, "doctor", _LOCK_WAIT_S))
    stores = stack.enter_context(open_stores(settings, is_serving=True))
    return "stores", examine([*of_stores(stores), *of_machine(settings)], stores.clock)


def _exit_code(examined: "Sequence[Examined]") -> int:
    from campaignctl.cli.exit_codes import ExitCode
    from campaignctl.services.doctor import State

    states = {one.state for one in examined}
    if State.UNREACHABLE in states:
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED if State.FINDING in states else ExitCode.DONE


def _body(where: str, examined: "Sequence[Examined]") -> dict[str, Any]:
    from campaignctl import __version__
    from campaignctl.services.doctor import State

    states = [one.state for one in examined]
    worst = next((state for state in (State.UNREACHABLE, State.FINDING) if state in states), State.OK)
    return {
        "status": worst,
        "version": __version__,
        "looked_at": where,
        "checks": [
            {
                "name": one.name,
                "status": one.state,
                "latency_ms": one.latency_ms,
                "facts": dict(one.facts),
                "findings": [
                    {"code": found.code, "message": found.message, "next": found.next} for found in one.findings
                ],
            }
            for one in examined
        ],
    }


def _table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("check", Kind.ID),
        Column("status", Kind.ID),
        Column("latency_ms", Kind.RAW, 2),
        Column("says"),
    ]
    return Table(columns, [[one["name"], one["status"], one["latency_ms"], _said(one)] for one in body["checks"]])


def _said(one: dict[str, Any]) -> str:
    facts = [f"{name} {value}" for name, value in one["facts"].items()]
    return ", ".join([*(found["code"] for found in one["findings"]), *facts])


def _tell(out: "Output", body: dict[str, Any]) -> None:
    """Each finding in words, below the table of a person; what several looks met is said once."""
    told: set[str] = set()
    for one in body["checks"]:
        for found in one["findings"]:
            if found["message"] in told:
                continue
            told.add(found["message"])
            out.text(f"{one['name']}: {found['code']}: {one_line(found['message'])}")
            out.text(f"  next: {one_line(found['next'])}")
