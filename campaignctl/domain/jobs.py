"""Jobs: what takes longer than a request, survives the process that does it, and leaves a receipt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobKind(StrEnum):
    """What a job does."""

    FETCH = "fetch"
    """Get reports from the platforms."""
    REDERIVE = "rederive"
    """Apply an account's definition of conversions to what was fetched."""
    REAGGREGATE = "reaggregate"
    """Make a campaign's rollup equal its raw records again."""
    REPLAY = "replay"
    """Produce dead letters again."""
    ERASE = "erase"
    """Remove a campaign and all it has."""
    ERASE_EVENTS = "erase_events"
    """Remove single events of a campaign."""


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """Some of it is done and some failed; the result says which."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Progress:
    done: int = 0
    total: int | None = None
    """None while nobody knows."""
    unit: str = ""
    """What is counted, in the plural: ``days``, ``records``."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, in words for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now. ``params``, ``state`` and ``result`` are JSON objects; their numbers are exact."""

    id: int
    organization_id: int | None
    """None: it is the machine operator's, across organizations."""
    kind: JobKind
    campaign_id: int | None
    params: Mapping[str, object]
    """What was asked, as it is shown."""
    state: Mapping[str, object]
    """Where to resume after a crash; never shown."""
    status: JobStatus
    progress: Progress
    result: Mapping[str, object] | None
    error: JobError | None
    created_by: int | None
    """The user who asked; None: the operator of the machine."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool
    attempts: int
    """How often it was taken up: more than once after a crash."""
    lane: str = ""
    """With which jobs of its kind it shares places at work; told of a job that was just added or claimed."""
