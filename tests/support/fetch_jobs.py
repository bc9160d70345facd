"""A worker that fetches from the platforms a test gives it, over open embedded stores."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from campaignctl.bootstrap import App
from campaignctl.domain.jobs import JobKind
from campaignctl.domain.platforms import Platform
from campaignctl.ports.ad_platforms import AdPlatform
from campaignctl.services.fetch_accounts import AccountFetcher, SpeakFor
from campaignctl.services.fetching import FetchHandler
from worker.jobs import JobMetrics, JobRunner
from worker.lifecycle import build_worker

LOOKBACK = {"meta": 28, "google": 30, "linkedin": 7, "tiktok": 7}
_STOPS_WITHIN_S = 300.0


def fetch_handler(app: App, clients: Mapping[Platform, AdPlatform], speak_for: SpeakFor | None = None) -> FetchHandler:
    """As the product builds it, with other clients; ``speak_for`` opens the accounts' credentials."""
    fetcher = AccountFetcher(
        app.metadata,
        app.analytics,
        app.event_log,
        app.positions,
        clients,
        speak_for or app.accounts.access,
        app.clock,
        topic=app.settings.kafka.events_topic,
        lookback_days=LOOKBACK,
    )
    return FetchHandler(app.metadata, fetcher, app.clock)


@contextmanager
def fetching(app: App, clients: Mapping[Platform, AdPlatform]) -> Iterator[JobRunner]:
    """A worker and the jobs beside it."""
    registry = CollectorRegistry()
    thread = build_worker(app, registry).run_in_thread()
    handlers = {JobKind.FETCH: fetch_handler(app, clients)}
    jobs = JobRunner(app.metadata, handlers, app.clock, JobMetrics(registry)).start()
    try:
        yield jobs
    finally:
        jobs.stop(_STOPS_WITHIN_S)
        assert thread.stop(_STOPS_WITHIN_S)
