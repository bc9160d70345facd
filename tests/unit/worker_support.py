"""A worker over the real embedded event log and stores in memory, run in the test's own thread."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.events import EventLimits
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, NewRecord, TopicSpec
from campaignctl.ports.places import PlaceMemory
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.ingestion import Ingestor
from campaignctl.services.landing import Landing
from tests.fakes.analytics import FakeEventStore
from tests.fakes.metadata import FakeCampaigns
from worker.batching import FlushPolicy
from worker.breaker import BreakerPolicy
from worker.drift import DriftCheck
from worker.metrics import WorkerMetrics
from worker.quarantine import Quarantine
from worker.runner import Worker, WorkerOptions
from worker.session import Session

EVENTS, LETTERS, GROUP = "campaign-events", "campaign-events-dlq", "campaignctl-worker"
AT_ONCE = FlushPolicy(pause_s=0.0)


class Crash(BaseException):
    """The process ends here: nothing is cleaned up."""


class Bench:
    """The stores of an installation, and workers made over them one after the other."""

    def __init__(
        self, directory: Path, *, partitions: int = 1, clock: Clock | None = None, retention_ms: int = -1
    ) -> None:
        self.clock = clock or SystemClock()
        self.path = directory / "events.sqlite"
        self.log = self.open_log()
        self.log.ensure_topic(TopicSpec(EVENTS, partitions, retention_ms, 2**21))
        self.log.ensure_topic(TopicSpec(LETTERS, 1, -1, 2**21))
        self.store = FakeEventStore()
        self.campaigns = FakeCampaigns()
        self.campaigns.add(1)
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry)

    def open_log(self) -> EmbeddedEventLog:
        return EmbeddedEventLog(self.path, self.clock, max_poll_interval_s=0)

    def produce(self, *values: bytes, partition: int | None = None, campaign_id: int = 1) -> None:
        key = str(campaign_id).encode()
        self.log.produce(EVENTS, [NewRecord(key, value, partition=partition) for value in values])

    def worker(
        self,
        *,
        log: EventLog | None = None,
        policy: FlushPolicy = AT_ONCE,
        poll_records: int = 5_000,
        failpoint: Callable[[str], None] = lambda name: None,
        housekeeping: Callable[[], object] | None = None,
        breaker: BreakerPolicy | None = None,
        drift_check: DriftCheck | None = None,
        quarantine: Quarantine | None = None,
        places: PlaceMemory | None = None,
    ) -> Worker:
        log = log or self.log
        ingestor = Ingestor(
            self.store,
            self.campaigns,
            partition_of=partition_for_key,
            limits=EventLimits(),
            window_days=7,
            clock=self.clock,
            places=places,
        )
        landing = Landing(self.store, log, self.campaigns, dead_letter_topic=LETTERS, window_days=7, clock=self.clock)
        return Worker(
            log,
            self.store,
            ingestor,
            landing,
            topic=EVENTS,
            group=GROUP,
            clock=self.clock,
            metrics=self.metrics,
            options=WorkerOptions(policy, poll_records, breaker=breaker or BreakerPolicy()),
            housekeeping=housekeeping,
            drift_check=drift_check,
            quarantine=quarantine,
            failpoint=failpoint,
        )

    def drain(self, **options: object) -> None:
        """Run a worker until everything in the log is applied and acknowledged."""
        worker = self.worker(failpoint=self.stop_when_drained(lambda: worker), **options)  # type: ignore[arg-type]
        worker.run()

    def stop_when_drained(self, worker: Callable[[], Worker]) -> Callable[[str], None]:
        def failpoint(name: str) -> None:
            if name == "after_poll" and self.is_drained():
                worker().stop()

        return failpoint

    def is_drained(self) -> bool:
        committed = self.log.committed(EVENTS, GROUP)
        return all(
            number in committed and committed[number].offset == kept.end and not committed[number].metadata
            for number, kept in self.log.watermarks(EVENTS).items()
        )

    def crash(self, worker: Worker, log: EmbeddedEventLog) -> bool:
        """Run the worker over its own log handle until it crashes; answers whether it did."""
        with no_farewell():
            try:
                worker.run()
            except Crash:
                return True
            finally:
                log.close()
        return False

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"campaignctl_{name}", labels) or 0.0

    @property
    def letters(self) -> list[tuple[str, int]]:
        """Reason and offset of every dead letter as it lies in its topic, repeated ones too."""
        end = self.log.watermarks(LETTERS)[0].end
        records = self.log.read(LETTERS, 0, 0, max(end, 1))
        texts = [{name: value.decode() for name, value in headers} for headers in records.headers]
        return [(text["code"], int(text["offset"])) for text in texts]

    @property
    def listed_letters(self) -> list[str]:
        return [stored.letter.code for stored in DeadLetters(self.log, topic=LETTERS).all()]

    @property
    def ids(self) -> list[str]:
        return sorted(row.event_id for row in self.store.rows)

    def close(self) -> None:
        self.log.close()


@contextmanager
def no_farewell() -> Iterator[None]:
    """A session that ends says nothing to the log, as after kill -9."""
    leave = Session.leave
    Session.leave = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Session.leave = leave  # type: ignore[method-assign]


def once(name: str, at: int = 1) -> Callable[[str], None]:
    """A failpoint that crashes when the named point is reached for the ``at``-th time."""
    seen = 0

    def failpoint(reached: str) -> None:
        nonlocal seen
        if reached == name:
            seen += 1
            if seen == at:
                raise Crash(name)

    return failpoint


def both(*failpoints: Callable[[str], None]) -> Callable[[str], None]:
    def failpoint(name: str) -> None:
        for one in failpoints:
            one(name)

    return failpoint


def ids(prefix: str, count: int) -> Iterable[str]:
    return (f"{prefix}{number:05d}" for number in range(count))
