"""Jobs, done beside the partitions: claimed from the metadata store, a few at a time, by threads of their own.

One thread looks for work and keeps the leases; each job has a thread. A store that is away stops
nothing for good: the job in hand is tried again from its state, and looking goes on. A process that stops gives its
jobs back; of one that dies they are resumed elsewhere when their leases end.
"""

import logging
import os
import socket
import threading
from collections import Counter as Counts
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from campaignctl.domain.jobs import JobError, JobKind, JobStatus
from campaignctl.errors import CampaignctlError, Unavailable
from campaignctl.ports.clock import Clock
from campaignctl.ports.jobs import JobStore, Lane
from campaignctl.services.jobs import (
    LEASE_S,
    RENEW_EVERY_S,
    JobCancelled,
    JobContext,
    JobHandler,
    JobInterrupted,
    JobResult,
)

logger = logging.getLogger("campaignctl.worker.jobs")

_LOOK_EVERY_S = 0.5
_AWAY_S = 5.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 30.0
# Those of a kind that wait for something, each in a lane that is full, leave others a place until there are so many.
_MOST_OF_A_KIND = 32
# A job that takes its process down with it would do so for ever.
_MOST_ATTEMPTS = 20


class JobMetrics:
    """One set per registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.finished = Counter("campaignctl_jobs_finished_total", "Jobs ended.", ["kind", "status"], registry=registry)
        self.running = Gauge("campaignctl_jobs_running", "Jobs in this process's hands.", ["kind"], registry=registry)


@dataclass(frozen=True, slots=True)
class _Held:
    context: JobContext
    thread: threading.Thread

    @property
    def is_done(self) -> bool:
        return not self.thread.is_alive()


class JobRunner:
    """Does the jobs of the kinds it has handlers for, up to ``per_lane`` of each lane of a kind at once."""

    def __init__(
        self,
        store: JobStore,
        handlers: Mapping[JobKind, JobHandler],
        clock: Clock,
        metrics: JobMetrics,
        *,
        per_lane: int = 2,
    ) -> None:
        self._store = store
        self._handlers = dict(handlers)
        self._clock = clock
        self._metrics = metrics
        self._per_lane = per_lane
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._held: dict[int, _Held] = {}
        self._renewed_s = clock.monotonic_s()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> "JobRunner":
        self._thread.start()
        return self

    def ask_to_stop(self) -> None:
        """From any thread: claim nothing more, and let the jobs in hand end at their next checkpoint."""
        self._stopping.set()

    def stop(self, timeout_s: float) -> bool:
        """Stop and wait; False when a job is still busy after ``timeout_s``: its lease ends by itself."""
        self.ask_to_stop()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                claimed = self.turn()
            except Unavailable as error:
                logger.warning("cannot look for jobs: %s", error.message)
                self._stopping.wait(_AWAY_S)
            except Exception:  # a fault of the program must not end all jobs for good
                logger.exception("unexpected error while looking for jobs")
                self._stopping.wait(_AWAY_S)
            else:
                if not claimed:
                    self._stopping.wait(_LOOK_EVERY_S)
        for held in self._held.values():
            held.context.stop()
        while not all(held.is_done for held in self._held.values()):
            self._renew()
            self._clock.sleep(_LOOK_EVERY_S / 5)

    def turn(self) -> bool:
        """Forget what has ended, keep the leases, and take up one more job; answers whether there was one."""
        self._held = {job_id: held for job_id, held in self._held.items() if not held.is_done}
        self._renew()
        kinds, full = self._room()
        job = self._store.claim_job(kinds, self._owner, LEASE_S, full) if kinds else None
        if job is None:
            return False
        context = JobContext(job, self._store, self._owner, self._clock)
        thread = threading.Thread(target=self._do, args=(context,), name=f"job {job.id}", daemon=True)
        self._held[job.id] = _Held(context, thread)
        thread.start()
        return True

    def _room(self) -> tuple[list[JobKind], list[Lane]]:
        """The kinds of which another job may be taken up, and the lanes of those that have no place left."""
        lanes = Counts((held.context.job.kind, held.context.lane) for held in self._held.values())
        kinds = Counts(held.context.job.kind for held in self._held.values())
        full = [lane for lane, busy in lanes.items() if busy >= self._per_lane]
        return [kind for kind in self._handlers if kinds[kind] < _MOST_OF_A_KIND], full

    def _renew(self) -> None:
        if self._clock.monotonic_s() - self._renewed_s < RENEW_EVERY_S:
            return
        self._renewed_s = self._clock.monotonic_s()
        for held in self._held.values():
            try:
                held.context.renew()
            except Unavailable as error:
                logger.warning("job %d: cannot renew its lease: %s", held.context.job.id, error.message)

    def _do(self, context: JobContext) -> None:
        """One job, to its end or to where this process has to let go of it."""
        job = context.job
        running = self._metrics.running.labels(job.kind.value)
        running.inc()
        try:
            ended = self._outcome(context)
            if self._insist(context, lambda: context.finish(ended)):
                self._metrics.finished.labels(job.kind.value, ended.status.value).inc()
                logger.info("job %d (%s): %s", job.id, job.kind.value, ended.status.value)
        except JobInterrupted:
            self._give_back(context)
        finally:
            running.dec()

    def _outcome(self, context: JobContext) -> JobResult:
        job, retry_s = context.job, _FIRST_RETRY_S
        if job.attempts > _MOST_ATTEMPTS:
            return _failed("gave_up", f"the job was taken up {job.attempts} times, and its process ended each time")
        while True:
            try:
                context.checkpoint()
                return self._handlers[job.kind].run(context)
            except JobCancelled as cancelled:
                return JobResult(JobStatus.CANCELLED, cancelled.result)
            except JobInterrupted:
                raise
            except Unavailable as error:
                logger.warning("job %d: waits for the %s store: %s", job.id, error.service, error.message)
            except CampaignctlError as error:
                return _failed(error.code, error.message)
            except Exception as error:  # whatever it is, the job says so, and the others go on
                logger.exception("job %d: unexpected error", job.id)
                return _failed("internal_error", f"something unexpected went wrong ({type(error).__name__})")
            self._wait(context, retry_s)
            retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    def _insist(self, context: JobContext, act: Callable[[], bool]) -> bool:
        """Act until the store answers, or the process stops."""
        while True:
            try:
                return act()
            except Unavailable as error:
                logger.warning("job %d: waits for the %s store: %s", context.job.id, error.service, error.message)
            self._wait(context, _FIRST_RETRY_S)

    def _wait(self, context: JobContext, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise JobInterrupted

    def _give_back(self, context: JobContext) -> None:
        try:
            context.give_back()
        except Unavailable as error:
            logger.warning("job %d: resumes when its lease ends: %s", context.job.id, error.message)


def _failed(code: str, message: str) -> JobResult:
    return JobResult(JobStatus.FAILED, None, JobError(code, message))
