"""Jobs: list, show, cancel; and how a route answers that has started one."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.fields import FieldReader
from campaignctl.domain.jobs import Job, JobKind, JobStatus
from campaignctl.errors import FieldError, InvalidInput
from server.dependencies import Call
from server.operations import Answer, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.schemas.jobs import JobOut, JobPage

router = APIRouter(prefix="/api/v1/jobs")

JOB_ID = Param("job_id", "The job's number.", {"type": "integer", "minimum": 1}, place="path", example=7)
_LARGEST_ID = 999_999_999
_EXAMPLE = {
    "job_id": 7,
    "kind": "reaggregate",
    "status": "running",
    "campaign_id": 42,
    "params": {"start_date": "2026-10-01", "end_date": "2026-10-31", "dry_run": False},
    "progress": {"done": 12, "total": 31, "unit": "days"},
    "result": None,
    "error": None,
    "created_by": 3,
    "created_at": "2026-11-02T09:00:00Z",
    "started_at": "2026-11-02T09:00:01Z",
    "finished_at": None,
}
JOB_ACCEPTED = Answer(
    "The job that was started, or the equal one under way.",
    {"application/json": JobOut},
    headers={"Location": "The job's path."},
    example=_EXAMPLE | {"status": "queued", "progress": {"done": 0, "total": None, "unit": ""}, "started_at": None},
)
"""What an operation that starts a job answers with 202."""


def job_accepted(call: Call, job: Job) -> Response:
    """202: the job is on its way."""
    return call.answer(job_shown(job), status=202, headers={"Location": f"{router.prefix}/{job.id}"})


def job_shown(job: Job) -> dict[str, object]:
    progress, error = job.progress, job.error
    return {
        "job_id": job.id,
        "kind": job.kind.value,
        "status": job.status.value,
        "campaign_id": job.campaign_id,
        "params": job.params,
        "progress": {"done": progress.done, "total": progress.total, "unit": progress.unit},
        "result": job.result,
        "error": None if error is None else {"code": error.code, "message": error.message},
        "created_by": job.created_by,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listJobs",
        tag="jobs",
        summary="List jobs",
        params=(
            Param(
                "campaign_id", "Only those of this campaign.", {"type": "integer", "minimum": 1, "maximum": _LARGEST_ID}
            ),
            Param("kind", "Only those of this kind.", {"type": "string", "enum": list(JobKind)}),
            Param("status", "Only those of this status.", {"type": "string", "enum": list(JobStatus)}),
            LIMIT,
            CURSOR,
        ),
        answers={
            200: Answer(
                "A page, newest first.",
                {"application/json": JobPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_jobs(call: Call) -> Response:
    errors: list[FieldError] = []
    given = FieldReader(call.ones(), tuple(call.query), errors)
    kind = given.choice("kind", JobKind, JobKind.FETCH) if given.given("kind") else None
    status = given.choice("status", JobStatus, JobStatus.QUEUED) if given.given("status") else None
    if errors:
        raise InvalidInput(errors)
    campaign_id = None
    if given.given("campaign_id"):
        campaign_id = call.number("campaign_id", 0, least=1, most=_LARGEST_ID)
    page = call.app.jobs.list(
        call.actor,
        campaign_id=campaign_id,
        kind=kind,
        status=status,
        limit=limit_of(call),
        cursor=call.one("cursor"),
    )
    return answer_page(call, page, job_shown)


@serves(
    router,
    Operation(
        "GET",
        "/{job_id}",
        id="getJob",
        tag="jobs",
        summary="Show a job",
        params=(JOB_ID,),
        answers={200: Answer("The job as it is now.", {"application/json": JobOut}, example=_EXAMPLE)},
        problems=(404,),
    ),
)
def show_job(call: Call) -> Response:
    return call.answer(job_shown(call.app.jobs.get(call.id_in_path("job_id"), call.actor)))


@serves(
    router,
    Operation(
        "POST",
        "/{job_id}/cancel",
        id="cancelJob",
        tag="jobs",
        summary="Cancel a job",
        description="A queued job is cancelled at once, a running one at its next step; what it has done stays done.",
        params=(JOB_ID,),
        answers={
            200: Answer(
                "The job after the request: `cancelled`, or `running` until it has stopped.",
                {"application/json": JobOut},
                example=_EXAMPLE,
            )
        },
        problems=(404, 409),
        idempotent=True,
    ),
)
def cancel_job(call: Call) -> Response:
    return call.answer(job_shown(call.app.jobs.cancel(call.id_in_path("job_id"), call.actor)))
