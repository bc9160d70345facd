"""``campaignctl work``."""

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_no_data

app = new_app()


@app.command(epilog=examples("campaignctl work", "campaignctl --config /etc/campaignctl.yaml work"))
@prints_no_data
def work(context: typer.Context) -> None:
    """Run a worker that counts what is in the event log."""
    invocation = invocation_of(context)
    settings = invocation.settings()
    invocation.log_to_stderr(settings.log.level, settings.log.format)

    from campaignctl.bootstrap import open_app
    from campaignctl.cli.connection import own_directory
    from worker.lifecycle import run_worker

    with own_directory(settings, "work"), open_app(settings) as opened:
        if settings.server.metrics_port is not None:
            _publish_metrics(settings.server.host, settings.server.metrics_port)
        source = settings.data_dir if settings.embedded_event_log else settings.kafka.events_topic
        invocation.out().note(f"counting the events in {source}; Ctrl-C stops")
        code = run_worker(opened)
    raise typer.Exit(code)


def _publish_metrics(host: str, port: int) -> None:
    """The worker's figures for Prometheus on ``server.metrics_port``, until the process ends."""
    from prometheus_client import start_http_server

    from campaignctl.errors import CampaignctlError

    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise CampaignctlError(
            f"cannot listen on {host}:{port} (server.metrics_port): {error.strerror}",
            hint="choose another server.metrics_port",
            code="address_in_use",
        ) from None
