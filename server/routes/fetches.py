"""Asking the platforms for reports."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.fetches import fetch_request
from campaignctl.domain.users import Role
from server.dependencies import Call
from server.operations import Body, Operation, serves
from server.routes.campaigns import CAMPAIGN_ID
from server.routes.jobs import JOB_ACCEPTED, job_accepted
from server.schemas.jobs import FetchIn

router = APIRouter(prefix="/api/v1/campaigns")


@serves(
    router,
    Operation(
        "POST",
        "/{campaign_id}/fetch-data",
        id="fetchReports",
        tag="accounts",
        summary="Fetch a campaign's reports from the platforms",
        description=(
            "Without dates each platform's look-back window. An equal request while the job is under way answers that "
            "job. `partial`: some platforms failed, and `result` says which and why."
        ),
        params=(CAMPAIGN_ID,),
        body=Body(
            {"application/json": FetchIn},
            required=False,
            example={"platforms": ["meta"], "start_date": "2026-10-01", "end_date": "2026-10-31"},
        ),
        answers={202: JOB_ACCEPTED},
        problems=(404, 409),
        idempotent=True,
    ),
)
def fetch_reports(call: Call) -> Response:
    campaign = call.app.campaigns.get(call.id_in_path("campaign_id"), call.actor)
    call.actor.require(Role.OPERATOR)
    request = fetch_request(call.json() if call.body else None)
    return job_accepted(call, call.app.fetching.submit(campaign.id, request, call.actor))
