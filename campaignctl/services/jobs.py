"""Jobs: asking for one, looking after it, and what the code that does one works with.

A kind of job is a ``JobHandler``. The worker (``worker.jobs``) claims a job, calls ``run`` with a ``JobContext``, and
writes down how it ended; in between the context keeps the lease, the progress, and the place to resume from.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus, Progress
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Conflict, NotFound
from campaignctl.ports.clock import Clock
from campaignctl.ports.jobs import JobFilter, JobInTheWay, JobStore, LeaseState, NewJob
from campaignctl.ports.metadata import JobRecords
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit

LEASE_S = 30.0
"""How long a job waits for its dead process before another one resumes it."""
RENEW_EVERY_S = 5.0
_ERASING = frozenset({JobKind.ERASE, JobKind.ERASE_EVENTS})


class JobService:
    """What an actor may do with jobs. Another organization's job does not exist for the actor."""

    def __init__(self, metadata: JobRecords) -> None:
        self._metadata = metadata
        self._cursors = Cursors("jobs", lambda: metadata.installation_secret("cursors"))

    def submit(self, new: NewJob, actor: Actor, *, role: Role = Role.OPERATOR) -> Job:
        """The queued job, or the equal one under way. ``Conflict`` names the job whose scope overlaps.

        The caller has made sure that the actor sees what the job is about.
        """
        actor.require(role)
        outcome = self._metadata.add_job(new)
        if isinstance(outcome, JobInTheWay):
            raise Conflict(
                f"job {outcome.job_id} is doing this for overlapping days",
                hint=f"wait for it (campaignctl jobs wait {outcome.job_id}), or cancel it, and ask again",
                code="job_in_the_way",
            )
        return outcome

    def get(self, job_id: int, actor: Actor) -> Job:
        job = self._metadata.job(job_id)
        if job is None or not _sees(actor, job):
            raise _missing(job_id)
        return job

    def list(
        self,
        actor: Actor,
        *,
        campaign_id: int | None = None,
        kind: JobKind | None = None,
        status: JobStatus | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Job]:
        """A page of jobs, newest first."""
        checked_limit(limit)
        wanted = JobFilter(actor.organization_id, campaign_id, kind, status)
        filters = {
            "organization": wanted.organization_id,
            "campaign": campaign_id,
            "kind": kind,
            "status": status,
        }
        before_id = None if cursor is None else int(self._cursors.decode(cursor, filters)[0])
        found = self._metadata.list_jobs(wanted, before_id, limit + 1)
        return self._cursors.page(found, limit, lambda job: (job.id,), filters)

    def cancel(self, job_id: int, actor: Actor) -> Job:
        """A queued job is cancelled at once, a running one at its next step. ``Conflict`` when it is finished."""
        job = self.get(job_id, actor)
        actor.require(Role.ADMIN if job.kind in _ERASING else Role.OPERATOR)
        if job.status.is_final:
            raise _finished(job)
        if job.kind in _ERASING:
            raise Conflict(
                f"job {job.id} cannot be cancelled: what it removes has been erased already",
                hint=f"wait for it: campaignctl jobs wait {job.id}",
                code="not_cancellable",
            )
        after = self._metadata.request_cancel(job_id)
        if after is None:
            raise _missing(job_id)
        if after.status.is_final and not after.cancel_requested:
            raise _finished(after)
        return after


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended."""

    status: JobStatus
    result: Mapping[str, object] | None = None
    """A JSON object; decimals are fine, and stay exact."""
    error: JobError | None = None


class JobCancelled(Exception):
    """Somebody asked the job to stop. What is done stays done."""

    def __init__(self, result: Mapping[str, object] | None = None) -> None:
        super().__init__()
        self.result = result
        """What had been done by then, for the receipt."""


class JobInterrupted(Exception):
    """This process may not go on with the job: it is stopping, or the job is somebody else's by now."""


class JobContext:
    """A job in the hands of this process. ``run`` calls ``checkpoint`` between steps; the lease is kept meanwhile."""

    def __init__(self, job: Job, store: JobStore, owner: str, clock: Clock) -> None:
        self.job = job
        """As it was when it was claimed."""
        self.state = job.state
        """What the last checkpoint with a state kept, in this process or before: where to resume."""
        self.lane = job.lane
        """With whom it shares places at work by now: a job may say that all it still waits for is of another lane."""
        self._store = store
        self._owner = owner
        self._clock = clock
        self._lock = threading.Lock()
        self._lease = LeaseState.CANCEL_REQUESTED if job.cancel_requested else LeaseState.HELD
        self._told_s = clock.monotonic_s()
        self._progress: Progress | None = None
        self._so_far: Mapping[str, object] | None = None
        self._stopping = threading.Event()

    def checkpoint(
        self,
        progress: Progress | None = None,
        state: Mapping[str, object] | None = None,
        so_far: Mapping[str, object] | None = None,
    ) -> None:
        """A place where the job may end. ``state`` is durable when this returns; progress is, within seconds.

        ``so_far`` is shown as the job's result until it is finished, as late as progress.
        Raises ``JobCancelled``, ``JobInterrupted``, or ``Unavailable``: then the job is tried again from its state.
        """
        with self._lock:
            self._progress, self._so_far = progress or self._progress, so_far or self._so_far
        if state is not None or self._clock.monotonic_s() - self._told_s >= RENEW_EVERY_S:
            self.renew(state)
        if self._stopping.is_set() or self._lease is LeaseState.LOST:
            raise JobInterrupted
        if self._lease is LeaseState.CANCEL_REQUESTED:
            raise JobCancelled

    def pause(self, seconds: float) -> None:
        """Let time pass, with checkpoints before and after; ends early when the process stops."""
        self.checkpoint()
        self._stopping.wait(seconds)
        self.checkpoint()

    def renew(self, state: Mapping[str, object] | None = None) -> None:
        """Keep the lease and tell the progress; the worker does it every few seconds, from another thread."""
        with self._lock:
            if self._lease is not LeaseState.LOST:
                told = self._progress, state, self._so_far
                self._lease = self._store.renew_job(self.job.id, self._owner, LEASE_S, *told)
                self._told_s = self._clock.monotonic_s()
                self.state = self.state if state is None else state

    def finish(self, ended: JobResult) -> bool:
        """Write down how it ended; False when the job is somebody else's by now."""
        with self._lock:
            self._tell_progress()
            done = self._store.finish_job(self.job.id, self._owner, ended.status, ended.result, ended.error)
            self._lease = LeaseState.LOST
            return done

    def give_back(self) -> None:
        """Let another process resume the job at once. One that cannot be told waits for the lease's end."""
        with self._lock:
            if self._lease is not LeaseState.LOST:
                self._store.renew_job(self.job.id, self._owner, 0.0, self._progress, None, self._so_far)
                self._lease = LeaseState.LOST

    def stop(self) -> None:
        """From any thread: the next checkpoint raises ``JobInterrupted``."""
        self._stopping.set()

    def _tell_progress(self) -> None:
        if self._progress is not None:
            self._store.renew_job(self.job.id, self._owner, LEASE_S, self._progress)


class JobHandler(Protocol):
    """Does the jobs of one kind. One object for all of them, used by several threads."""

    def run(self, context: JobContext, /) -> JobResult:
        """Do the job, from ``context.state`` on if a process died over it; every step must bear repetition.

        ``Unavailable`` has it tried again after a while; any other ``CampaignctlError`` fails the job with its words.
        """
        ...


def _sees(actor: Actor, job: Job) -> bool:
    if job.organization_id is None:
        return actor.is_machine_operator and actor.organization_id is None
    return actor.sees(job.organization_id)


def _missing(job_id: int) -> NotFound:
    return NotFound(f"there is no job {job_id}")


def _finished(job: Job) -> Conflict:
    return Conflict(f"job {job.id} is {job.status.value} already: there is nothing to cancel", code="job_finished")
