"""The store of jobs: part of the metadata store.

A job is done by whoever holds its lease. A lease that is not renewed ends by itself, so that another process resumes
what a dead one has left; whoever lost it learns so at the next renewal and must stop. As everywhere in the metadata
store every method is one transaction.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Protocol

from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus, Progress

Lane = tuple[JobKind, str]
"""A kind of jobs, and with which of them places are shared (``NewJob.lane``)."""


@dataclass(frozen=True, slots=True)
class JobScope:
    """The (inclusive) days of a campaign that a job changes; None is open."""

    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    kind: JobKind
    organization_id: int | None
    params: Mapping[str, object]
    campaign_id: int | None = None
    created_by: int | None = None
    unit: str = ""
    """What its progress counts."""
    join_key: str | None = None
    """While an unfinished job of the kind, organization and campaign has the same key, that one stands for this."""
    lane: str = ""
    """Jobs of a kind share places at work with those of their lane only. Letters, digits and ``_``."""
    scope: JobScope | None = None
    """Given: at most one unfinished job of the kind and campaign may have an overlapping scope."""


@dataclass(frozen=True, slots=True)
class JobInTheWay:
    """An unfinished job whose scope overlaps."""

    job_id: int


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None lets every job pass."""

    organization_id: int | None = None
    campaign_id: int | None = None
    kind: JobKind | None = None
    status: JobStatus | None = None


class LeaseState(Enum):
    """How things stand with a job one holds."""

    HELD = "held"
    CANCEL_REQUESTED = "cancel_requested"
    """Held, and somebody asks to stop."""
    LOST = "lost"
    """Finished, or somebody else's by now: stop at once."""


class JobStore(Protocol):
    def add_job(self, new: NewJob, /) -> Job | JobInTheWay:
        """The queued job, the unfinished one that it joins, or the one in its way; of equal ones one is made."""
        ...

    def job(self, job_id: int, /) -> Job | None: ...

    def list_jobs(self, wanted: JobFilter, before_id: int | None, limit: int, /) -> list[Job]:
        """Up to ``limit`` jobs with a smaller id than ``before_id``, newest first."""
        ...

    def claim_job(
        self, kinds: Collection[JobKind], owner: str, lease_s: float, full: Collection[Lane] = (), /
    ) -> Job | None:
        """The oldest job of the kinds that is queued, or running under an ended lease; the owner's from now on.

        None whose kind and lane are among the ``full`` ones. Of several claimers one gets it.
        """
        ...

    def take_job(self, job_id: int, owner: str, lease_s: float, /) -> Job | None:
        """The job, the owner's from now on whoever held it; None when it is finished or unknown.

        An attempt is counted when the owner is another one.
        """
        ...

    def renew_job(
        self,
        job_id: int,
        owner: str,
        lease_s: float,
        progress: Progress | None = None,
        state: Mapping[str, object] | None = None,
        result: Mapping[str, object] | None = None,
        /,
    ) -> LeaseState:
        """Hold on to the job for ``lease_s`` from now, and keep progress, state and result where they are given.

        ``result`` is what there is of it so far; ``finish_job`` puts the whole one in its place.
        With 0 seconds it is given back: whoever claims next resumes it. Nothing is kept when the lease is lost.
        """
        ...

    def finish_job(
        self,
        job_id: int,
        owner: str,
        status: JobStatus,
        result: Mapping[str, object] | None,
        error: JobError | None,
        /,
    ) -> bool:
        """End the job for good; False, and nothing done, when it is not the owner's any more."""
        ...

    def request_cancel(self, job_id: int, /) -> Job | None:
        """The job after the request: a queued one is cancelled, a running one asked to stop, a finished one as it was.

        None when there is none.
        """
        ...
