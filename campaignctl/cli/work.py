"""``campaignctl work``."""

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_no_data
from campaignctl.cli.loading import loading
from campaignctl.cli.stopping import StopDeadline

if TYPE_CHECKING:
    from campaignctl.bootstrap import App
    from campaignctl.config import Settings

app = new_app()
logger = logging.getLogger(__name__)


@app.command(epilog=examples("campaignctl work", "campaignctl --config /etc/campaignctl.yaml work --metrics-port 9101"))
@prints_no_data
def work(
    context: typer.Context,
    metrics_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Port for /metrics and /health, 0 for any free one (server.metrics_port)."),
    ] = None,
) -> None:
    """Run a worker that counts what is in the event log."""
    invocation = invocation_of(context)
    settings = invocation.settings({"server.metrics_port": metrics_port})
    invocation.log_to_stderr(settings.log.level, settings.log.format)

    with loading():
        from campaignctl.bootstrap import open_stores
        from campaignctl.cli.connection import own_directory
        from worker.lifecycle import run_worker

    out = invocation.out()
    with ExitStack() as stack:
        deadline = stack.enter_context(StopDeadline())
        stack.enter_context(own_directory(settings, "work"))
        opened = stack.enter_context(open_stores(settings))
        stack.callback(opened.health.stop)
        opened.health.start()
        if settings.server.metrics_port is not None:
            out.note(f"metrics on {_publish_metrics(opened, settings, stack)}/metrics")
        if settings.embedded:
            opened.check_schema()
        else:
            opened.startup.wait(lambda away: logger.warning("waiting for %s", ", ".join(away)))
        for difference in opened.topic_differences():
            logger.warning("%s", difference)
        source = settings.data_dir if settings.embedded_event_log else settings.kafka.events_topic
        out.note(f"counting the events in {source}; Ctrl-C stops")
        code = run_worker(opened, on_signal=deadline.begin)
    raise typer.Exit(code)


def _publish_metrics(opened: "App", settings: "Settings", stack: ExitStack) -> str:
    """The worker's figures and its health, until the program ends; answers the address."""
    from campaignctl.cli.serve import url_of
    from campaignctl.exposition import Exposition, serve_metrics
    from server.listening import bind

    listener = bind(settings.server.host, settings.server.metrics_port or 0, "metrics_port")
    served = serve_metrics(listener, Exposition(opened.health.report).text, opened.health.report)
    stack.callback(served.server_close)
    stack.callback(served.shutdown)
    return url_of(settings.server.host, listener.getsockname()[1])
