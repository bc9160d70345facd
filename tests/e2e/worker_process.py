"""A worker process over embedded stores that can be told to die: ``python -m tests.e2e.worker_process DIRECTORY``.

It applies everything in the log, then ends. ``CA_TEST_FAILPOINT=name:n`` ends the process without a word when the named
point of a batch is reached for the n-th time: one of those of ``worker.partition`` and ``services.reaggregator``, or
``mid_insert``, ``mid_slices``, ``mid_coverage`` or ``mid_correction``, which is some milliseconds after that insert began. With ``CA_TEST_MORTAL=1`` it dies of the records of
``tests.e2e.killing`` when it prepares a batch that has one.
"""

import logging
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.events import EventLimits
from campaignctl.services.ingestion import Ingestor
from campaignctl.services.landing import Landing
from campaignctl.services.reaggregator import Reaggregator
from campaignctl.services.schema import SchemaService
from tests.e2e.killing import be_mortal, look
from worker.batching import FlushPolicy
from worker.commands import Commands
from worker.metrics import WorkerMetrics
from worker.probe import Probe
from worker.quarantine import Quarantine
from worker.runner import Worker, WorkerOptions

EVENTS, LETTERS, GROUP = "campaign-events", "campaign-events-dlq", "campaignctl-worker"
DIED = 86
"""The exit code of a process that a failpoint ended."""

Failpoint = Callable[[str], None]


class Stores:
    """The embedded stores in a directory; analytics only where it is asked for, as one process at a time may have it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = SystemClock()
        self.log = EmbeddedEventLog(directory / "event_log.sqlite", self.clock)
        self.metadata = SQLiteMetadata(directory / "metadata.sqlite", self.clock)

    def open_analytics(self) -> ClickHouseAnalytics:
        return open_embedded_analytics(self.directory / "analytics")

    def is_drained(self) -> bool:
        committed = self.log.committed(EVENTS, GROUP)
        return all(
            number in committed and committed[number].offset == kept.end and not committed[number].metadata
            for number, kept in self.log.watermarks(EVENTS).items()
        )

    def close(self) -> None:
        self.metadata.close()
        self.log.close()


def make_worker(
    stores: Stores, analytics: ClickHouseAnalytics, failpoint: Failpoint, policy: FlushPolicy | None = None
) -> Worker:
    clock = stores.clock
    ingestor = Ingestor(
        analytics, stores.metadata, partition_of=partition_for_key, limits=EventLimits(), window_days=7, clock=clock
    )
    landing = Landing(analytics, stores.log, stores.metadata, dead_letter_topic=LETTERS, window_days=7, clock=clock)
    reaggregator = Reaggregator(analytics, stores.metadata, window_days=7, retention_days=400, clock=clock)
    return Worker(
        stores.log,
        analytics,
        ingestor,
        landing,
        quarantine=Quarantine(stores.metadata, Probe(EventLimits(), look=look)),
        commands=Commands(reaggregator, partition_of=partition_for_key),
        topic=EVENTS,
        group=GROUP,
        clock=clock,
        metrics=WorkerMetrics(CollectorRegistry()),
        options=WorkerOptions(policy or FlushPolicy()),
        failpoint=failpoint,
    )


def dying(text: str, analytics: ClickHouseAnalytics) -> Failpoint:
    """The failpoint of ``CA_TEST_FAILPOINT``."""
    name, _, nth = text.partition(":")
    reached: Counter[str] = Counter()

    def failpoint(point: str) -> None:
        reached[point] += 1
        if point == name and reached[point] == int(nth):
            os._exit(DIED)

    inserts = {
        "mid_insert": "append_events",
        "mid_slices": "append_slices",
        "mid_coverage": "append_coverage",
        "mid_correction": "add_to_rollup",
    }
    if name in inserts:
        append = getattr(analytics, inserts[name])

        def append_and_die(rows: object, token: str, /, *place: int) -> None:
            reached[name] += 1
            if reached[name] == int(nth):
                threading.Thread(target=_die_in_a_moment, daemon=True).start()
            append(rows, token, *place)

        setattr(analytics, inserts[name], append_and_die)
    return failpoint


def _die_in_a_moment() -> None:
    time.sleep(random.random() * 0.02)
    os._exit(DIED)


def main(directory: str) -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    stores = Stores(Path(directory))
    analytics = stores.open_analytics()
    SchemaService((analytics,)).check()
    if os.environ.get("CA_TEST_MORTAL"):
        be_mortal()
    die = dying(os.environ.get("CA_TEST_FAILPOINT", ":0"), analytics)

    def failpoint(name: str) -> None:
        die(name)
        if name == "after_poll" and stores.is_drained():
            worker.stop()

    worker = make_worker(stores, analytics, failpoint, FlushPolicy(rows=1_000, pause_s=0.02))
    worker.run()
    analytics.close()
    stores.close()


if __name__ == "__main__":
    main(sys.argv[1])
