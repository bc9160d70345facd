"""Erasing a campaign."""

from fastapi import APIRouter
from starlette.responses import Response

from server.dependencies import Call
from server.operations import Operation, serves
from server.routes.campaigns import CAMPAIGN_ID
from server.routes.jobs import JOB_ACCEPTED, job_accepted

router = APIRouter(prefix="/api/v1/campaigns")


@serves(
    router,
    Operation(
        "DELETE",
        "/{campaign_id}",
        id="eraseCampaign",
        tag="campaigns",
        summary="Erase a campaign",
        description="For good, and from this answer on: nothing answers the campaign, its insights, conflicts, dead"
        " letters and earlier jobs, its native campaigns can be claimed again, and later events of it are"
        " `unknown_campaign`. The job removes its rows; its result is the receipt: what was `removed`, and what the"
        " event log and the dead letters keep until when (`remains_until`; null: for ever) without ever counting or"
        " showing it. What the platforms report of its native campaigns belongs to the account and stays. The"
        " campaign's number is never given again. An erasure cannot be cancelled.",
        params=(CAMPAIGN_ID,),
        answers={202: JOB_ACCEPTED},
        problems=(404,),
    ),
)
def erase_campaign(call: Call) -> Response:
    campaign_id = call.id_in_path("campaign_id")
    erasure = call.app.erasure.erase(campaign_id, call.actor)
    remains = {f"{what}_until": until or "for ever" for what, until in erasure.remains_until.items()}
    call.audit_details |= {"campaign_id": str(campaign_id)} | remains
    return job_accepted(call, erasure.job)
