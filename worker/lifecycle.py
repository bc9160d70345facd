"""A worker over open stores, and the jobs beside it: built, run until a signal, or beside other work of the process."""

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.adapters.process_memory import keep_large_pieces, return_large_pieces
from campaignctl.services.ingestion import Ingestor
from campaignctl.services.landing import Landing
from campaignctl.services.reaggregator import Reaggregator
from worker.batching import FlushPolicy
from worker.breaker import BreakerPolicy
from worker.commands import Commands
from worker.disk_figures import DiskFigures
from worker.drift import DriftCheck
from worker.job_handlers import job_handlers
from worker.jobs import JobMetrics, JobRunner
from worker.metrics import WorkerMetrics
from worker.place_figures import PlaceFigures
from worker.platform_figures import PlatformFigures
from worker.probe import Probe
from worker.quarantine import Quarantine
from worker.runner import STOP_WITHIN_S, Worker, WorkerOptions, WorkerThread
from worker.scheduler import FetchScheduler, Schedule

if TYPE_CHECKING:
    from campaignctl.bootstrap import App

logger = logging.getLogger("campaignctl.worker")

_LOOK_EVERY_S = 0.5
_OBJECTS_BETWEEN_COLLECTIONS = 100_000
# What a larger batch saves a server is worth the memory: an insert costs it 10 to 35 ms of CPU beside its rows. Beside
# an engine in the same process memory counts for more.
_EMBEDDED_ROWS, _SERVER_ROWS = 20_000, 50_000
# And so is what a batch leaves to the next one: memory that comes anew costs a tenth of the CPU of a worker.
_EMBEDDED_RETURNS_MEMORY_EVERY_S, _SERVER_RETURNS_MEMORY_EVERY_S = 1.0, 10.0
# An insert is one block, and the store cuts blocks at a million rows; a batch may be one poll larger than this.
_LARGEST_BATCH_ROWS = 900_000


def build_worker(app: "App", registry: CollectorRegistry = REGISTRY) -> Worker:
    """A worker over the app's stores. One per registry: its metrics have their names there."""
    embedded = app.settings.embedded_analytics
    if embedded:
        return_large_pieces()
    else:
        keep_large_pieces()
    events, kafka = app.settings.events, app.settings.kafka
    ingestor = Ingestor(
        app.analytics,
        app.metadata,
        partition_of=partition_for_key,
        limits=app.limits,
        window_days=events.dedup_window_days,
        clock=app.clock,
        places=app.places,
    )
    if app.places is not None:
        registry.register(PlaceFigures(ingestor.place_counts, app.places))
    landing = Landing(
        app.analytics,
        app.event_log,
        app.metadata,
        dead_letter_topic=kafka.dead_letter_topic,
        window_days=events.dedup_window_days,
        clock=app.clock,
    )
    flush_rows = events.flush_rows or (_EMBEDDED_ROWS if embedded else _SERVER_ROWS)
    reaggregator = Reaggregator(
        app.analytics,
        app.metadata,
        window_days=events.dedup_window_days,
        retention_days=events.retention_days,
        clock=app.clock,
    )
    metrics = WorkerMetrics(registry)
    drift_check = DriftCheck(
        app.analytics,
        app.metadata,
        partition_of=partition_for_key,
        window_days=events.dedup_window_days,
        retention_days=events.retention_days,
        every_s=events.drift_check_hours * 3_600,
        clock=app.clock,
        gauge=metrics.drift,
    )
    return Worker(
        app.event_log,
        app.analytics,
        ingestor,
        landing,
        topic=kafka.events_topic,
        group=kafka.group_id,
        clock=app.clock,
        metrics=metrics,
        options=WorkerOptions(
            FlushPolicy(rows=min(flush_rows, _LARGEST_BATCH_ROWS), age_s=events.flush_age_ms / 1_000),
            breaker=BreakerPolicy(events.stop_at_bad_percent / 100, events.stop_after_records),
            return_memory_every_s=_EMBEDDED_RETURNS_MEMORY_EVERY_S if embedded else _SERVER_RETURNS_MEMORY_EVERY_S,
        ),
        quarantine=Quarantine(app.metadata, Probe(app.limits)),
        commands=Commands(reaggregator, partition_of=partition_for_key),
        drift_check=drift_check,
        housekeeping=app.housekeeping,
    )


def build_job_runner(app: "App", registry: CollectorRegistry = REGISTRY) -> JobRunner:
    """What does the jobs of every kind that ``worker.job_handlers`` knows."""
    return JobRunner(app.metadata, job_handlers(app), app.clock, JobMetrics(registry))


def build_scheduler(app: "App", registry: CollectorRegistry = REGISTRY) -> FetchScheduler:
    """What asks for the fetches that are due, and tells how platforms and disks are doing. One per registry."""
    fetch = app.settings.fetch
    schedule = Schedule(
        recent_every=fetch.recent_every,
        lookback_days=app.settings.lookback_days,
        keep_pages=timedelta(days=fetch.keep_answers_days),
    )
    figures = PlatformFigures(app.platform_tally.totals, app.clock, fetched_every=fetch.recent_every)
    registry.register(figures)
    server_disks = None if app.settings.embedded_analytics else app.analytics.disks
    registry.register(DiskFigures(app.settings.data_dir, server_disks, app.clock))
    return FetchScheduler(app.metadata, app.fetching, schedule, app.clock, saw=figures.saw)


def run_worker(
    app: "App", registry: CollectorRegistry = REGISTRY, *, on_signal: Callable[[int], None] = lambda _: None
) -> int:
    """Run a worker until SIGINT or SIGTERM; answers the exit code, 130 or 143. Main thread only.

    The batch in hand is finished first, but not for longer than 20 s: what is left is repeated by the next worker.
    ``on_signal`` is called with each signal's number at once.
    Raises what ends the worker by itself, such as ``SchemaMismatch``.
    """
    asked = threading.Event()

    def stop(number: int) -> None:
        asked.set()
        on_signal(number)

    collect_rarely()
    with _signals_to(stop) as received:
        thread, jobs = build_worker(app, registry).run_in_thread(), build_job_runner(app, registry).start()
        scheduler = build_scheduler(app, registry).start()
        while not asked.wait(_LOOK_EVERY_S) and thread.error is None:
            pass
        scheduler.ask_to_stop()
        _stop(thread, jobs)
    if thread.error is not None:
        raise thread.error
    return 128 + received[0]


def collect_rarely() -> None:
    """Look for reference cycles once in so many objects: what is there already stays, and records make none.

    Looking through a batch's lists again and again would take a tenth of a worker's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


@contextmanager
def working(
    app: "App", registry: CollectorRegistry | None = None, *, scheduled: bool = False
) -> Iterator[WorkerThread]:
    """A worker at work for the length of a ``with``; its batch in hand is finished at the end.

    ``scheduled`` also asks for the fetches that are due: for a process that stays.
    """
    registry = registry or CollectorRegistry()
    thread, jobs = build_worker(app, registry).run_in_thread(), build_job_runner(app, registry).start()
    scheduler = build_scheduler(app, registry)
    if scheduled:
        scheduler.start()
    try:
        yield thread
    finally:
        scheduler.ask_to_stop()
        _stop(thread, jobs)


def _stop(thread: WorkerThread, jobs: JobRunner) -> None:
    """Both at once: together they may take ``STOP_WITHIN_S``."""
    jobs.ask_to_stop()
    deadline_s = time.monotonic() + STOP_WITHIN_S
    if not thread.stop():
        logger.warning("the worker was still busy after %d s; its batch will be repeated", STOP_WITHIN_S)
    if not jobs.stop(max(deadline_s - time.monotonic(), 0.0)):
        logger.warning("a job was still busy after %d s; it is resumed when its lease ends", STOP_WITHIN_S)


@contextmanager
def _signals_to(act: Callable[[int], None]) -> Iterator[list[int]]:
    """SIGINT and SIGTERM call ``act`` with their number instead of breaking off; those that came are in the list."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        act(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
