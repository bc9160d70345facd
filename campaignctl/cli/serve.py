"""``campaignctl serve``: the API and, on embedded stores, the worker beside it."""

import gc
import logging
import secrets
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.cli.exit_codes import ExitCode
from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_no_data
from campaignctl.cli.loading import loading
from campaignctl.cli.stopping import StopDeadline
from campaignctl.errors import CampaignctlError, ConfigurationError

if TYPE_CHECKING:
    from campaignctl.bootstrap import App
    from campaignctl.cli.invocation import Invocation
    from campaignctl.cli.output import Output
    from campaignctl.config import Settings

app = new_app()
logger = logging.getLogger(__name__)

SCHEMA_WAIT_S = 60.0
_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


@app.command(
    epilog=examples(
        "campaignctl serve",
        "campaignctl serve --port 9000",
        "campaignctl --config /etc/campaignctl.yaml serve --host :: --workers 4 --metrics-port 9100",
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
    metrics_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Port of its own for /metrics, open to all (server.metrics_port)."),
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
    flags = {"server.host": host, "server.port": port, "server.workers": workers, "server.metrics_port": metrics_port}
    settings = invocation.settings(flags)
    invocation.log_to_stderr(settings.log.level, settings.log.format)
    workers, counts = settings.server.workers, settings.embedded if with_worker is None else with_worker
    if settings.embedded and workers > 1:
        raise ConfigurationError(
            "the embedded stores belong to one process, so server.workers must be 1",
            hint="leave --workers out; one process answers thousands of requests a second",
        )
    if counts and workers > 1:
        raise ConfigurationError(
            "several API processes have no worker inside",
            hint="leave --with-worker out and run campaignctl work beside it, as often as there is to count",
        )
    raise typer.Exit(_run(_Serving(invocation, settings, counts), workers))


def _run(serving: "_Serving", workers: int) -> int:
    from campaignctl.cli.failures import report
    from server.processes import Processes

    if workers == 1:
        return serving.run(lambda: None)

    def serve_one(started: Callable[[], None]) -> int:
        try:
            return serving.run(started)
        except BaseException as error:  # the last stop of this process, as ``app.run`` is of the first one
            return report(error, serving.invocation, ["serve"])

    return Processes(serve_one, workers, on_start=serving.tell).run()


class _Serving:
    """The addresses, bound, and how to serve on them; with several processes each one runs it."""

    def __init__(self, invocation: "Invocation", settings: "Settings", with_worker: bool) -> None:
        from server.listening import bind

        server = settings.server
        self.invocation = invocation
        self._settings = settings
        self._with_worker = with_worker
        self._token = secrets.token_urlsafe(32)
        self._listener = bind(server.host, server.port)
        self._metrics = None if server.metrics_port is None else bind(server.host, server.metrics_port, "metrics_port")

    def run(self, started: Callable[[], None]) -> int:
        """Serve until a signal; answers the exit code. ``started`` is called once connections are taken."""
        with loading():
            from campaignctl.bootstrap import open_stores
            from campaignctl.cli.connection import own_directory
            from server.app import serve as run_server

        settings, out = self._settings, self.invocation.out()
        with ExitStack() as stack:
            for listener in (self._listener, self._metrics):
                if listener is not None:
                    stack.callback(listener.close)
            deadline = stack.enter_context(StopDeadline())
            stack.enter_context(own_directory(settings, "serve"))
            opened = stack.enter_context(open_stores(settings, is_serving=not self._with_worker))
            look = FirstLook(opened)
            if settings.embedded:
                ready_schema(opened, out)
            if self._with_worker:
                self._count_beside(opened, stack)
            stopped_by = run_server(
                opened,
                host=settings.server.host,
                port=settings.server.port,
                listener=self._listener,
                metrics_listener=self._metrics,
                is_waiting=not settings.embedded,
                operator_token=self._token,
                on_bound=lambda *_: self._bound(started),
                on_signal=deadline.begin,
                trusted_proxies=settings.server.trusted_proxies,
                drain_s=settings.server.drain_s,
                on_server=look.start if not settings.embedded else None,
            )
            look.raise_what_is_wrong()
        return _CODES.get(signal.Signals(stopped_by), ExitCode.DONE) if stopped_by else ExitCode.DONE

    def tell(self) -> None:
        """Say where the API is, and to other commands too where they need it."""
        host, port = self._settings.server.host, self._listener.getsockname()[1]
        if self._settings.embedded:  # other commands find the process that has the stores open
            DataDirectory(self._settings.data_dir).publish_server(local_url_of(host, port), self._token)
        stores = self._settings.data_dir if self._settings.embedded else "servers"
        self.invocation.out().note(f"serving on {url_of(host, port)} (stores: {stores}; Ctrl-C stops)")
        if self._metrics is not None:
            metrics_port = self._metrics.getsockname()[1]
            self.invocation.out().note(f"metrics on {url_of(host, metrics_port)}/metrics")

    def _bound(self, started: Callable[[], None]) -> None:
        # What is there by now stays, and looking through it for cycles again and again would have an answer in some
        # hundreds wait for a tenth of a second.
        gc.collect()
        gc.freeze()
        if self._settings.server.workers == 1:
            self.tell()
        started()

    def _count_beside(self, opened: "App", stack: ExitStack) -> None:
        from prometheus_client import REGISTRY

        from campaignctl.cli.embedded_worker import health_check, working

        opened.health.add(health_check(stack.enter_context(working(opened, REGISTRY, scheduled=True))))


class FirstLook:
    """Looks at the stores once, beside the server that waits for them, and stops it when waiting would not help."""

    def __init__(self, opened: "App") -> None:
        self._opened = opened
        self._wrong: CampaignctlError | None = None

    def start(self, stop: Callable[[], None]) -> None:
        def look() -> None:
            try:
                away = self._opened.startup.look()
            except ConfigurationError as error:
                self._wrong = error
                stop()
            except CampaignctlError as error:
                logger.warning("waiting for the stores: %s", error.message)
            else:
                if away:
                    logger.warning("waiting for %s", ", ".join(away))

        threading.Thread(target=look, name="first-look", daemon=True).start()

    def raise_what_is_wrong(self) -> None:
        if self._wrong is not None:
            raise self._wrong


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
