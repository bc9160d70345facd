"""``campaignctl serve``: the API and, on embedded stores, the worker beside it."""

import secrets
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from campaignctl.cli.exit_codes import ExitCode
from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_no_data
from campaignctl.errors import ConfigurationError

if TYPE_CHECKING:
    from campaignctl.bootstrap import App
    from campaignctl.cli.output import Output
    from campaignctl.config import Settings

app = new_app()

SCHEMA_WAIT_S = 60.0
_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


@app.command(
    epilog=examples(
        "campaignctl serve",
        "campaignctl serve --port 9000",
        "campaignctl --config /etc/campaignctl.yaml serve --host ::",
    )
)
@prints_no_data
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Address to listen on (server.host).")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port to listen on, 0 for any free one (server.port).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="API processes (server.workers); embedded stores allow one.")
    ] = None,
    with_worker: Annotated[
        bool | None,
        typer.Option(
            "--with-worker/--no-worker",
            help="Count events in this process too; so on embedded stores.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the API; on embedded stores with the worker inside."""
    invocation = invocation_of(context)
    settings = invocation.settings({"server.host": host, "server.port": port, "server.workers": workers})
    invocation.log_to_stderr(settings.log.level, settings.log.format)
    if settings.embedded and settings.server.workers > 1:
        raise ConfigurationError(
            "the embedded stores belong to one process, so server.workers must be 1",
            hint="leave --workers out; one process answers thousands of requests a second",
        )
    if settings.server.workers > 1:
        raise ConfigurationError(
            "one serve is one process in this version",
            hint="start several, each on a port of its own: nothing is kept in one that another needs",
            code="not_available_yet",
        )
    if settings.server.metrics_port is not None:
        raise ConfigurationError(
            "server.metrics_port gives /metrics a port of its own, which this version's serve cannot do yet",
            hint="leave it out; /metrics on the API's port is open to clients on the same machine",
            code="not_available_yet",
        )
    counts = settings.embedded if with_worker is None else with_worker
    stopped_by = _serve(settings, invocation.out(), with_worker=counts)
    raise typer.Exit(_CODES.get(signal.Signals(stopped_by), ExitCode.DONE) if stopped_by else ExitCode.DONE)


def _serve(settings: "Settings", out: "Output", *, with_worker: bool) -> int | None:
    from campaignctl.adapters.data_directory import DataDirectory
    from campaignctl.bootstrap import open_stores
    from campaignctl.cli.connection import own_directory
    from server.app import serve as run_server

    token = secrets.token_urlsafe(32)

    def tell(bound_host: str, bound_port: int) -> None:
        if settings.embedded:  # other commands find the process that has the stores open
            DataDirectory(settings.data_dir).publish_server(local_url_of(bound_host, bound_port), token)
        stores = settings.data_dir if settings.embedded else "servers"
        out.note(f"serving on {url_of(bound_host, bound_port)} (stores: {stores}; Ctrl-C stops)")

    with ExitStack() as stack:
        stack.enter_context(own_directory(settings, "serve"))
        opened = stack.enter_context(open_stores(settings))
        ready_schema(opened, out)
        if with_worker:
            from prometheus_client import REGISTRY

            from campaignctl.cli.embedded_worker import health_check, working

            opened.health.add(health_check(stack.enter_context(working(opened, REGISTRY))))
        return run_server(
            opened, host=settings.server.host, port=settings.server.port, operator_token=token, on_bound=tell
        )


def ready_schema(opened: "App", out: "Output") -> None:
    """Make the schema of new embedded stores; demand ``init-schema`` for servers, and for one that is older."""
    if opened.settings.embedded and all(plan.pending and plan.pending[0].number == 1 for plan in opened.schema.plan()):
        opened.init_schema(SCHEMA_WAIT_S)
        out.note(f"created the stores in {opened.settings.data_dir}")
    else:
        opened.check_schema()


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_url_of(host: str, port: int) -> str:
    """Where a process of this machine reaches a server that listens on ``host``."""
    return url_of({"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104  compared
