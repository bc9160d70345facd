"""Re-aggregation: making a campaign's sums equal its raw records again."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.services.reaggregation import Wanted
from server.dependencies import Call
from server.operations import Body, Operation, serves
from server.routes.campaigns import CAMPAIGN_ID
from server.routes.jobs import JOB_ACCEPTED, job_accepted
from server.schemas.jobs import ReaggregateIn

router = APIRouter(prefix="/api/v1/campaigns")


@serves(
    router,
    Operation(
        "POST",
        "/{campaign_id}/reaggregate",
        id="reaggregateCampaign",
        tag="jobs",
        summary="Make a campaign's sums equal its raw records",
        description="Counts the inclusive days again from the deduplicated raw records (all days whose raw records are"
        " there, when none are given) and adds what the sums lack, in one step, while events keep arriving. The job's"
        " result is the receipt: `rows_read`, `duplicates_collapsed`, `days`, `before`, `after` and `difference` per"
        " metric, money per currency, `drift_rows`, `dry_run`, `applied_at`. Running it again changes nothing."
        " Days whose raw records have passed retention are refused.",
        params=(CAMPAIGN_ID,),
        body=Body(
            {"application/json": ReaggregateIn},
            required=False,
            example={"start_date": "2026-10-01", "end_date": "2026-10-31", "reason": "a restored disk"},
        ),
        answers={202: JOB_ACCEPTED},
        problems=(404, 409),
        idempotent=True,
    ),
)
def reaggregate(call: Call) -> Response:
    campaign_id = call.id_in_path("campaign_id")
    wanted = Wanted.of(call.json() if call.body else {})
    return job_accepted(call, call.app.reaggregation.submit(campaign_id, wanted, call.actor))
