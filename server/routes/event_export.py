"""Events of a campaign as they count, in the form in which they can be sent again."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.fields import FieldReader
from campaignctl.domain.money import micros_to_decimal
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.ports.conflicts import CountedEvent
from campaignctl.services.event_export import DEFAULT_LIMIT, MAX_LIMIT
from server.dependencies import Call
from server.operations import Answer, Operation, Param, serves
from server.paging import CURSOR, LINK_HEADER, answer_page
from server.routes.campaigns import CAMPAIGN_ID
from server.schemas.events import ExportedEventPage

router = APIRouter(prefix="/api/v1/campaigns")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = {"type": "string", "format": "date"}
_EXAMPLE = {
    "event_id": "c-20261001-000001",
    "campaign_id": 42,
    "platform": "meta",
    "event_time": "2026-10-01T03:00:00.25Z",
    "event_type": "click",
    "region": "IN",
    "ad_group_id": "",
    "ad_id": "2384",
    "device": "mobile",
    "currency": "USD",
    "impressions": 0,
    "clicks": 1,
    "conversions": 0,
    "spend": 0.42,
    "revenue": 0,
}


@serves(
    router,
    Operation(
        "GET",
        "/{campaign_id}/events",
        id="exportEvents",
        tag="events",
        summary="Export a campaign's events",
        description=(
            "The events that count, each once, in the order of their own times, with every member in the form that "
            "`POST /events` takes. Events older than the raw retention are gone. One that arrives while pages are "
            "turned, with a time that was passed already, is not among them."
        ),
        params=(
            CAMPAIGN_ID,
            Param("start_date", "The first day, in the campaign's zone (default: all).", _DAY, example="2026-10-01"),
            Param("end_date", "The last day, inclusive (default: all).", _DAY, example="2026-10-31"),
            Param(
                "limit",
                "Events of a page.",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            ),
            CURSOR,
        ),
        answers={
            200: Answer(
                "A page.",
                {"application/json": ExportedEventPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
        problems=(404,),
    ),
)
def export_events(call: Call) -> Response:
    errors: list[FieldError] = []
    given = FieldReader(call.ones(), tuple(call.query), errors)
    start, end = given.day("start_date"), given.day("end_date")
    if errors:
        raise InvalidInput(errors)
    page = call.app.event_export.page(
        call.id_in_path("campaign_id"),
        call.actor,
        start=start,
        end=end,
        limit=call.number("limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT),
        cursor=call.one("cursor"),
    )
    return answer_page(call, page, _shown)


def _shown(event: CountedEvent) -> dict[str, object]:
    return {
        "event_id": event.event_id,
        "campaign_id": event.campaign_id,
        "platform": event.platform,
        "event_time": _EPOCH + timedelta(microseconds=event.event_time_us),
        "event_type": event.event_type,
        "region": event.region,
        "ad_group_id": event.ad_group_id,
        "ad_id": event.ad_id,
        "device": event.device,
        "currency": event.currency,
        "impressions": event.impressions,
        "clicks": event.clicks,
        "conversions": micros_to_decimal(event.conversions_millionths),
        "spend": micros_to_decimal(event.spend_micros),
        "revenue": micros_to_decimal(event.revenue_micros),
    }
