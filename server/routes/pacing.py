"""Pacing: a campaign's spend held against its budget."""

from decimal import Decimal

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.money import micros_to_decimal
from campaignctl.domain.pacing import PROJECTION_METHOD, STOPPED_AFTER_DAYS, TOLERATED_PERCENT
from campaignctl.domain.platforms import Platform
from campaignctl.services.pacing import Pacing
from server.dependencies import Call
from server.operations import Answer, Operation, Param, serves
from server.routes.campaigns import CAMPAIGN_ID
from server.schemas.pacing import PacingOut

router = APIRouter(prefix="/api/v1/campaigns")

_DAY = {"type": "string", "format": "date"}
_EXAMPLE = {
    "campaign_id": 42,
    "at": "2026-10-16T12:00:00Z",
    "status": "active",
    "timezone": "UTC",
    "currency": "EUR",
    "budget_period": "monthly",
    "start_date": "2026-10-01",
    "end_date": "2026-10-31",
    "days": {"total": 31, "elapsed": 15, "left": 16},
    "budget": 3100,
    "spend": 1820.5,
    "remaining": 1279.5,
    "percent": 58.725806,
    "expected": 1550,
    "daily": 118.4,
    "projected": 3711.9,
    "projection_method": PROJECTION_METHOD,
    "flags": {"stopped": False, "stale": False, "overspending": True, "underspending": False},
    "last_data_at": "2026-10-16T11:58:03Z",
    "warnings": [],
}


@serves(
    router,
    Operation(
        "GET",
        "/{campaign_id}/pacing",
        id="getCampaignPacing",
        tag="insights",
        summary="Spend against budget, and where it will land",
        description=(
            "Of the budget's own period in the campaign's zone: the whole run for a total budget, else the month or "
            "day that today lies in, cut to the campaign's dates. Asked for other days, the budget's part of them. "
            "Expected by now: every day of the period has the same. Projected: "
            f"{PROJECTION_METHOD}; for a campaign that does not run, what is spent. `stopped`: active, and without "
            f"spend in the last {STOPPED_AFTER_DAYS} full days. `overspending` and `underspending`: further than "
            f"{TOLERATED_PERCENT} % from what is expected by now, or more spent than the budget. What cannot be told "
            "is null, and a warning says why: `no_budget`, `open_end`, `budget_of_all_platforms`, `no_full_days`, "
            "`start_assumed`, `stale_data`, and those of insights."
        ),
        params=(
            CAMPAIGN_ID,
            Param("start_date", "The first day (default: the period's).", _DAY, example="2026-10-01"),
            Param("end_date", "The last day, inclusive (default: the period's).", _DAY, example="2026-10-31"),
            Param(
                "platform",
                f"Spend of these alone ({', '.join(Platform)}, in any case); the budget is one for all of them.",
                {"type": "string"},
                many=True,
            ),
        ),
        answers={200: Answer("As of now.", {"application/json": PacingOut}, example=_EXAMPLE)},
        problems=(404,),
    ),
)
def pacing(call: Call) -> Response:
    return call.answer(_shown(call.app.pacing.of(call.id_in_path("campaign_id"), call.query, call.actor)))


def _shown(found: Pacing) -> dict[str, object]:
    campaign, planned, judged = found.campaign, found.plan, found.pace
    return {
        "campaign_id": campaign.id,
        "at": found.at,
        "status": campaign.status,
        "timezone": campaign.timezone,
        "currency": campaign.currency,
        "budget_period": campaign.budget_period,
        "start_date": planned.first,
        "end_date": planned.last,
        "days": {"total": planned.total_days, "elapsed": found.elapsed_days, "left": found.days_left},
        "budget": _amount(planned.budget_micros),
        "spend": _amount(found.spent.to_date_micros),
        "remaining": _amount(judged.remaining_micros),
        "percent": _amount(judged.percent_micros),
        "expected": _amount(judged.expected_micros),
        "daily": _amount(judged.daily_micros),
        "projected": _amount(judged.projected_micros),
        "projection_method": PROJECTION_METHOD,
        "flags": {
            "stopped": judged.flags.stopped,
            "stale": judged.flags.stale,
            "overspending": judged.flags.overspending,
            "underspending": judged.flags.underspending,
        },
        "last_data_at": found.spent.newest_at,
        "warnings": [{"code": one.code, "message": one.message} for one in found.warnings],
    }


def _amount(micros: int | None) -> Decimal | None:
    return None if micros is None else micros_to_decimal(micros)
