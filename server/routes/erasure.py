"""Erasing a campaign, and single events of one."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.services.event_erasure import EventsToErase
from server.dependencies import Call
from server.operations import Answer, Body, Operation, serves
from server.routes.campaigns import CAMPAIGN_ID
from server.routes.jobs import JOB_ACCEPTED, job_accepted
from server.schemas.erasure import EraseEventsIn, EventErasurePlan

router = APIRouter(prefix="/api/v1/campaigns")

_PLAN = {
    "campaign_id": 42,
    "event_ids": 2,
    "events": 2,
    "conflicts": 0,
    "days": ["2026-10-01"],
    "sums_kept_of_days": [],
    "remains_until": {"event_log": "2027-11-05T09:00:00Z", "dead_letters": "2027-11-05T09:00:00Z"},
}


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
        " showing it. Asked again after the job has failed, it starts another one. What the platforms report of its"
        " native campaigns belongs to the account and stays (`stays`). The campaign's number is never given again. An"
        " erasure cannot be cancelled.",
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


@serves(
    router,
    Operation(
        "POST",
        "/{campaign_id}/events/erase",
        id="eraseEvents",
        tag="events",
        summary="Erase single events",
        description="For good: from this answer on no record of these ids counts in the campaign, whenever and however"
        " it comes, and no dead letter of them is shown or replayed. Ids that nobody has sent yet are fine. The job"
        " removes raw rows and conflicts and has the sums of their days counted again, in one step; its result is the"
        " receipt: what was `removed`, the `days`, `sums_kept_of_days` (days whose raw records have begun to expire:"
        " their sums stay), and what the event log and the dead letters keep until when (`remains_until`). Only digests"
        " of the ids are kept. With `dry_run` nothing changes, and the answer is the plan. An erasure cannot be"
        " cancelled.",
        params=(CAMPAIGN_ID,),
        body=Body(
            {"application/json": EraseEventsIn},
            example={"event_ids": ["c-20261001-000001", "c-20261001-000002"], "reason": "request 2026-118"},
        ),
        answers={
            200: Answer("The plan (`dry_run`).", {"application/json": EventErasurePlan}, example=_PLAN),
            202: JOB_ACCEPTED,
        },
        problems=(404,),
        idempotent=True,
    ),
)
def erase_events(call: Call) -> Response:
    campaign_id = call.id_in_path("campaign_id")
    call.app.event_erasure.demand(campaign_id, call.actor)  # before anything is said about the body
    wanted = EventsToErase.of(call.json())
    call.audit_details |= {"campaign_id": str(campaign_id), "event_ids": str(len(wanted.event_ids))}
    if wanted.dry_run:
        plan = call.app.event_erasure.plan(campaign_id, wanted, call.actor)
        call.audit_details |= {"dry_run": "true"}
        return call.answer(plan)
    erasure = call.app.event_erasure.erase(campaign_id, wanted, call.actor)
    remains = {f"{what}_until": until or "for ever" for what, until in erasure.remains_until.items()}
    call.audit_details |= {"job_id": str(erasure.job.id)} | remains
    return job_accepted(call, erasure.job)
