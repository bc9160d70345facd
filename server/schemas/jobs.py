"""Jobs, and what starts them."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

from campaignctl.domain.jobs import JobKind, JobStatus
from campaignctl.domain.platforms import Platform
from server.schemas.fields import CountOrNull, In


class ReaggregateIn(In):
    start_date: date | None = Field(default=None, description="First day, in the campaign's zone; default: the oldest.")
    end_date: date | None = Field(default=None, description="Last day, inclusive; default: the newest.")
    dry_run: bool = Field(default=False, description="Count and compare, and change nothing.")
    reason: str | None = Field(default=None, max_length=500, description="Why, for the receipt.")


class FetchIn(In):
    platforms: list[Platform] | None = Field(default=None, min_length=1)
    start_date: date | None = None
    end_date: date | None = None


class JobProgress(BaseModel):
    done: int
    total: CountOrNull = Field(description="Null while nobody knows.")
    unit: str = Field(description="What is counted, in the plural.")


class JobProblem(BaseModel):
    code: str
    message: str


class JobOut(BaseModel):
    job_id: int
    kind: JobKind
    status: JobStatus
    campaign_id: CountOrNull
    params: dict[str, Any] = Field(description="What was asked.")
    progress: JobProgress
    result: dict[str, Any] | None = Field(
        description="The receipt once it is finished; of a running fetch, how far each platform is."
    )
    error: JobProblem | None = Field(description="Why it failed.")
    created_by: CountOrNull = Field(description="The user who asked; null for the operator of the machine.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    items: list[JobOut]
    next_cursor: str | None
