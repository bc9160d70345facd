"""Conflicts: copies of events that say something else than the event that counted."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.fields import FieldReader
from campaignctl.domain.money import PLACES
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.ports.conflicts import CountedEvent
from campaignctl.services.conflicts import ListedConflict
from server.bytes_in_json import as_text
from server.dependencies import Call
from server.operations import Answer, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.schemas.events import ConflictPage

router = APIRouter(prefix="/api/v1/conflicts")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = {"type": "string", "format": "date-time"}
_EXAMPLE = {
    "campaign_id": 42,
    "event_id": "c-20261001-000001",
    "at": "2026-10-01T03:00:01.25Z",
    "partition": 3,
    "offset": 120044,
    "value": '{"event_id":"c-20261001-000001","campaign_id":42,"platform":"meta","spend":"0.43"}',
    "value_base64": None,
    "counted": {
        "event_time": "2026-10-01T03:00:00Z",
        "event_type": "click",
        "platform": "meta",
        "region": "IN",
        "ad_group_id": "",
        "ad_id": "",
        "device": "",
        "currency": "USD",
        "impressions": 0,
        "clicks": 1,
        "conversions": 0,
        "spend": 0.42,
        "revenue": 0,
        "at": "2026-10-01T02:59:58Z",
        "partition": 3,
        "offset": 120001,
    },
}


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listConflicts",
        tag="events",
        summary="List copies that differ",
        description="The same `event_id` with other content is the same event: the first counts, the other is here.",
        params=(
            Param(
                "campaign_id",
                "Only those of this campaign.",
                {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
            ),
            Param("since", "Only copies that the log took at or after this time.", _TIME),
            Param("until", "Only copies that the log took before this time.", _TIME),
            LIMIT,
            CURSOR,
        ),
        answers={
            200: Answer(
                "A page, newest first.",
                {"application/json": ConflictPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_conflicts(call: Call) -> Response:
    errors: list[FieldError] = []
    given = FieldReader(call.ones(), tuple(call.query), errors)
    campaign_id, since_us, until_us = given.id("campaign_id"), given.instant_us("since"), given.instant_us("until")
    if errors:
        raise InvalidInput(errors)
    page = call.app.conflicts.page(
        call.actor,
        campaign_id=campaign_id,
        since_us=since_us,
        until_us=until_us,
        limit=limit_of(call),
        cursor=call.one("cursor"),
    )
    return answer_page(call, page, _shown)


def _shown(conflict: ListedConflict) -> dict[str, object]:
    copy = conflict.copy
    text, in_base64 = as_text(copy.value)
    return {
        "campaign_id": copy.campaign_id,
        "event_id": copy.event_id,
        "at": _instant(copy.place.time_ms * 1_000),
        "partition": copy.place.partition,
        "offset": copy.place.offset,
        "value": text,
        "value_base64": in_base64,
        "counted": None if conflict.counted is None else _event(conflict.counted),
    }


def _event(event: CountedEvent) -> dict[str, object]:
    return {
        "event_time": _instant(event.event_time_us),
        "event_type": event.event_type,
        "platform": event.platform,
        "region": event.region,
        "ad_group_id": event.ad_group_id,
        "ad_id": event.ad_id,
        "device": event.device,
        "currency": event.currency,
        "impressions": event.impressions,
        "clicks": event.clicks,
        "conversions": _amount(event.conversions_millionths),
        "spend": _amount(event.spend_micros),
        "revenue": _amount(event.revenue_micros),
        "at": _instant(event.time_ms * 1_000),
        "partition": event.partition,
        "offset": event.offset,
    }


def _instant(instant_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant_us)


def _amount(millionths: int) -> Decimal:
    """Exact, without superfluous zeros."""
    whole, rest = divmod(abs(millionths), 10**PLACES)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return Decimal(f"-{text}" if millionths < 0 else text)
