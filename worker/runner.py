"""The worker: takes part in the consumer group until it is told to stop.

One thread does everything but the inserts, and no insert is under way while it polls, so a partition is never lost in
the middle of a commit or of an insert. A store that cannot be reached stops nothing for good: the worker says so in its
log, keeps its membership, and goes on when the store is back.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from campaignctl.errors import CampaignctlError, SchemaMismatch, Unavailable
from campaignctl.ports.analytics import EventStore
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import Consumer, EventLog
from campaignctl.services.ingestion import Ingestor
from campaignctl.services.landing import Landing
from worker.batching import FlushPolicy
from worker.breaker import BreakerPolicy, Breakers
from worker.commands import Commands
from worker.drift import DriftCheck
from worker.metrics import WorkerMetrics
from worker.partition import Tools
from worker.quarantine import Quarantine
from worker.session import Session, StoppingError

logger = logging.getLogger("campaignctl.worker")

STOP_WITHIN_S = 20.0
"""For the batch in hand; five seconds more close the stores."""

_RETRY_S = 1.0
# After so many polls in a row that failed the group is joined anew: the topic may have been made anew, too.
_FAILED_POLLS = 3


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    policy: FlushPolicy = field(default_factory=FlushPolicy)
    poll_records: int = 20_000
    """Records read at once, of all partitions together."""
    buffer_bytes: int = 134_217_728
    """When the waiting records of all partitions take so much memory, all of them land."""
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    """When a partition stops because everything is suddenly refused."""
    return_memory_every_s: float = 1.0
    """How often what is freed and lies between what is in use goes back to the machine."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """How the worker is, for health checks."""

    running: bool
    silent_s: float
    """Seconds since the loop last came round: it rises during a long insert, and for good when the loop is stuck."""
    problems: Mapping[int, str]
    """Partitions that cannot be applied now, and why."""


def no_failpoint(name: str) -> None:
    """Nothing happens at the named point; tests put a crash there."""


class Worker:
    """Made once, run once. ``housekeeping`` is called about once a minute, while everything in the log is applied."""

    def __init__(
        self,
        event_log: EventLog,
        store: EventStore,
        ingestor: Ingestor,
        landing: Landing,
        *,
        topic: str,
        group: str,
        clock: Clock,
        metrics: WorkerMetrics,
        options: WorkerOptions | None = None,
        quarantine: Quarantine | None = None,
        commands: Commands | None = None,
        drift_check: DriftCheck | None = None,
        housekeeping: Callable[[], object] | None = None,
        failpoint: Callable[[str], None] = no_failpoint,
    ) -> None:
        self._event_log = event_log
        self._store = store
        self._ingestor = ingestor
        self._landing = landing
        self._topic = topic
        self._group = group
        self._clock = clock
        self._metrics = metrics
        self._options = options or WorkerOptions()
        self._breakers = Breakers(self._options.breaker, store)
        self._quarantine = quarantine
        self._commands = commands
        self._drift_check = drift_check
        self._housekeeping = housekeeping
        self._failpoint = failpoint
        self._stopping = threading.Event()
        self._running = False
        self._session: Session | None = None
        self._turned_at_s = clock.monotonic_s()

    def stop(self) -> None:
        """Ask the loop to end, from any thread; ``run`` returns after the batch in hand."""
        self._stopping.set()

    def status(self) -> WorkerStatus:
        session = self._session
        silent_s = self._clock.monotonic_s() - self._turned_at_s
        return WorkerStatus(self._running, silent_s, session.problems if session else {})

    def run(self) -> None:
        """Apply records until ``stop`` is called.

        Raises ``SchemaMismatch`` at once when a table lacks its deduplication window: nothing would be exactly once.
        """
        self._running = True
        try:
            while not self._stopping.is_set():
                self._turned_at_s = self._clock.monotonic_s()
                session = self._join()
                if session is not None:
                    self._work(session)
        finally:
            self._running = False

    def run_in_thread(self) -> "WorkerThread":
        """Run beside other work of this process, such as the API."""
        return WorkerThread(self)

    def _join(self) -> Session | None:
        """Become a member of the group; None when that failed and should be tried again."""
        try:
            self._require_windows()
            consumer = self._event_log.consumer(self._topic, self._group)
        except Unavailable as error:
            logger.warning("cannot start yet: %s", error.message)
            self._stopping.wait(max(error.retry_after_s, _RETRY_S))
            return None
        return Session(
            self._tools(consumer),
            self._stopping,
            poll_records=self._options.poll_records,
            buffer_bytes=self._options.buffer_bytes,
            return_memory_every_s=self._options.return_memory_every_s,
            housekeeping=self._housekeeping,
        )

    def _require_windows(self) -> None:
        missing = self._store.missing_windows()
        if missing:
            raise SchemaMismatch(
                f"These tables have no deduplication window: {', '.join(missing)}. A repeated batch would count twice.",
                hint="campaignctl doctor tells the statement that gives them theirs back.",
            )

    def _tools(self, consumer: Consumer) -> Tools:
        return Tools(
            event_log=self._event_log,
            consumer=consumer,
            store=self._store,
            ingestor=self._ingestor,
            landing=self._landing,
            topic=self._topic,
            policy=self._options.policy,
            clock=self._clock,
            metrics=self._metrics,
            breakers=self._breakers,
            failpoint=self._failpoint,
            quarantine=self._quarantine,
            commands=self._commands,
            drift_check=self._drift_check,
            wait=self._clock.sleep,
            settle=lambda: None,
        )

    def _work(self, session: Session) -> None:
        """Turn until told to stop, or until the log cannot be polled any more."""
        self._session, failed_polls = session, 0
        try:
            while not self._stopping.is_set() and failed_polls < _FAILED_POLLS:
                try:
                    session.turn()
                    failed_polls = 0
                except StoppingError:
                    raise
                except Unavailable as error:
                    failed_polls += 1
                    logger.warning("cannot read the event log: %s", error.message)
                    self._stopping.wait(max(error.retry_after_s, _RETRY_S))
                except Exception:  # a fault of the program: begin anew rather than never count again
                    failed_polls = _FAILED_POLLS
                    logger.exception("unexpected error; joins the group anew")
                    self._stopping.wait(_RETRY_S)
                self._turned_at_s = self._clock.monotonic_s()
        except StoppingError:
            logger.info("stopped while waiting for a store; the batch in hand will be repeated by whoever comes next")
        finally:
            self._session = None
            session.leave()


class WorkerThread:
    """A worker in a thread of its own, started when made."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.error: BaseException | None = None
        """What ended the worker other than ``stop``; None while all is well."""
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = STOP_WITHIN_S) -> bool:
        """Stop the worker and wait for it; False when it is still busy after ``timeout_s``."""
        self.worker.stop()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error
            if isinstance(error, CampaignctlError):  # its sentence says all
                logger.error("the worker has ended: %s", error)
            else:
                logger.exception("the worker has ended")
