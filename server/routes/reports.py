"""What platforms report, by itself: what they changed of it later, and how far it is from what was streamed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.insights import Metric
from campaignctl.domain.money import div_half_even, micros_to_decimal
from campaignctl.domain.platforms import Platform
from campaignctl.ports.reports import AccountKey
from campaignctl.services.reconciliation import Compared, Hint, ReconciledDay
from campaignctl.services.restatements import JudgedRestatement
from campaignctl.services.unmapped import UnmappedNative, asked_days
from server.dependencies import Call
from server.operations import Answer, Operation, Param, serves
from server.routes.accounts import ACCOUNT_ID
from server.routes.campaigns import CAMPAIGN_ID
from server.schemas.reports import ReconciliationOut, RestatementsOut, UnmappedOut

router = APIRouter(prefix="/api/v1")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_ROWS = 10_000
_DAY = {"type": "string", "format": "date"}
PARAMS = (
    Param("start_date", "The first day (default: 30 days that end with `end_date`).", _DAY, example="2026-10-01"),
    Param("end_date", "The last day, inclusive (default: today in the campaign's zone).", _DAY, example="2026-10-31"),
    Param("platform", f"Any of {', '.join(Platform)}, in any case; repeat it or give a comma list.",
          {"type": "string"}, many=True),
)  # fmt: skip


@serves(
    router,
    Operation(
        "GET",
        "/campaigns/{campaign_id}/restatements",
        id="getCampaignRestatements",
        tag="reports",
        summary="What platforms changed of what they had reported",
        description=(
            "Each figure of a day's total that stood and then stood otherwise, by day, native campaign and time. A row "
            "that vanished shows as a new 0; a figure that came up for the first time is no restatement. Where "
            "conversions are counted by another definition since, `cause` is `definition`, or `unclear` if the "
            "platform was asked anew too."
        ),
        params=(CAMPAIGN_ID, *PARAMS),
        answers={
            200: Answer(
                "At most 10,000.",
                {"application/json": RestatementsOut},
                example={
                    "campaign_id": 42,
                    "start_date": "2026-10-01",
                    "end_date": "2026-10-31",
                    "items": [
                        {
                            "day": "2026-10-03",
                            "platform": "meta",
                            "account_id": "1002003",
                            "level": "campaign",
                            "external_id": "2384000",
                            "metric": "spend",
                            "old": 120.5,
                            "new": 118.25,
                            "old_currency": "USD",
                            "currency": "USD",
                            "finality": "settling",
                            "cause": "platform",
                            "old_definition": "meta-1",
                            "definition": "meta-1",
                            "fetched_at": "2026-10-05T06:00:00Z",
                            "landed_at": "2026-10-05T06:00:02.125000Z",
                        }
                    ],
                    "truncated": False,
                },
            )
        },
        problems=(404,),
    ),
)
def restatements(call: Call) -> Response:
    found = call.app.restatements.of(call.id_in_path("campaign_id"), call.query, call.actor)
    return call.answer(
        {
            "campaign_id": found.campaign_id,
            "start_date": found.days.first,
            "end_date": found.days.last,
            "items": [_shown(one) for one in found.items],
            "truncated": found.truncated,
        }
    )


@serves(
    router,
    Operation(
        "GET",
        "/campaigns/{campaign_id}/reconcile",
        id="reconcileCampaign",
        tag="reports",
        summary="Streamed beside reported, by platform and day",
        description=(
            "Both sides are insights in the campaign's zone and currency. A day that no fetch has covered is listed "
            "and not compared. A difference outside the tolerance comes with hints at its cause: "
            + ", ".join(Hint)
            + "."
        ),
        params=(
            CAMPAIGN_ID,
            *PARAMS,
            Param(
                "tolerance",
                "How far apart the two may be, as a fraction of what is reported.",
                {"type": "number", "minimum": 0, "maximum": 1, "default": 0.05},
            ),
        ),
        answers={200: Answer("By day and platform.", {"application/json": ReconciliationOut})},
        problems=(404,),
    ),
)
def reconcile(call: Call) -> Response:
    campaign_id = call.id_in_path("campaign_id")
    found = call.app.reconciliation.of(campaign_id, call.query, call.actor)
    verdicts = [one.within for one in found.days]
    return call.answer(
        {
            "campaign_id": campaign_id,
            "start_date": found.query.days.first,
            "end_date": found.query.days.last,
            "timezone": found.query.zone.key,
            "currency": found.query.currency,
            "tolerance": found.tolerance,
            "within": found.within,
            "days_compared": len(verdicts) - verdicts.count(None),
            "days_outside": verdicts.count(False),
            "days_not_covered": verdicts.count(None),
            "unexplained": {metric: number(metric, found.unexplained(metric)) for metric in Metric},
            "items": [_reconciled(one) for one in found.days],
        }
    )


def _reconciled(one: ReconciledDay) -> dict[str, object]:
    return {
        "day": one.day,
        "platform": one.platform,
        "covered": one.covered,
        "finality": one.finality,
        "fetched_at": None if one.fetched_us is None else _EPOCH + timedelta(microseconds=one.fetched_us),
        "within": one.within,
        "metrics": {compared.metric: _compared(compared) for compared in one.metrics},
    }


@serves(
    router,
    Operation(
        "GET",
        "/accounts/{account_id}/unmapped",
        id="listUnmapped",
        tag="reports",
        summary="Native campaigns of an account that no campaign claims",
        description=(
            "On the days on which nobody claims them, as far as reports were fetched; the most spend first. Beside "
            "them each day's mapped and unmapped figures, in the account's currency."
        ),
        params=(
            ACCOUNT_ID,
            Param("start_date", "The first day (default: 30 days that end with `end_date`).", _DAY),
            Param("end_date", "The last day, inclusive (default: today in the account's zone).", _DAY),
        ),
        answers={200: Answer(f"At most {MAX_ROWS} native campaigns.", {"application/json": UnmappedOut})},
        problems=(404,),
    ),
)
def unmapped(call: Call) -> Response:
    account = call.app.accounts.get(call.id_in_path("account_id"), call.actor)
    days = asked_days(call.query, account.timezone, call.app.clock.now())
    found = call.app.unmapped.of(AccountKey(account.organization_id, account.platform.value, account.key), days)
    return call.answer(
        {
            "account_id": account.id,
            "platform": account.platform,
            "start_date": days.first,
            "end_date": days.last,
            "level": found.level,
            "mixed_levels": found.mixed_levels,
            "items": [_unmapped(one) for one in found.natives[:MAX_ROWS]],
            "days": [
                {"day": one.day, "currency": one.currency, "mapped": _figures(one.mapped),
                 "unmapped": _figures(one.unmapped)}
                for one in found.by_day
            ],
            "truncated": len(found.natives) > MAX_ROWS,
        }
    )  # fmt: skip


def _unmapped(one: UnmappedNative) -> dict[str, object]:
    return {
        "external_id": one.native.native_id,
        "first_day": one.first_day,
        "last_day": one.last_day,
        "currency": one.currency,
        **_figures(one.figures),
    }


def _figures(figures: Mapping[Metric, int]) -> dict[str, object]:
    return {metric: number(metric, figures[metric]) for metric in Metric}


def _compared(one: Compared) -> dict[str, object]:
    difference = one.difference
    relative = None
    if difference is not None and one.reported:
        relative = micros_to_decimal(div_half_even(difference * 1_000_000, abs(one.reported)))
    return {
        "streamed": number(one.metric, one.streamed),
        "reported": number(one.metric, one.reported),
        "difference": number(one.metric, difference),
        "relative": relative,
        "within": one.within,
        "hints": one.hints,
    }


def _shown(judged: JudgedRestatement) -> dict[str, object]:
    one = judged.restatement
    return {
        "day": one.day,
        "platform": one.native.platform,
        "account_id": one.native.account_id,
        "level": one.native.level,
        "external_id": one.native.native_id,
        "metric": one.metric,
        "old": number(one.metric, one.old),
        "new": number(one.metric, one.new),
        "old_currency": one.old_currency or None,
        "currency": one.currency or None,
        "finality": judged.finality,
        "cause": one.cause,
        "old_definition": one.old_definition or None,
        "definition": one.definition or None,
        "fetched_at": _EPOCH + timedelta(microseconds=one.fetched_us),
        "landed_at": _EPOCH + timedelta(milliseconds=one.landed_ms),
    }


def number(metric: Metric, value: int | None) -> int | Decimal | None:
    """A figure as JSON has it: counts whole, everything else exact."""
    return value if value is None or metric.is_count else micros_to_decimal(value)
