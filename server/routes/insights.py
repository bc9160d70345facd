"""Insights of one campaign, and of several together."""

import re
from enum import StrEnum

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.insights import Compare, Dimension, Fill, Metric, Order, Ratio, Source
from campaignctl.domain.periods import Granularity, WeekStart
from campaignctl.domain.platforms import Platform
from campaignctl.services.insights import InsightAnswer
from server.dependencies import Call
from server.operations import Answer, Operation, Param, Schema, serves_waiting
from server.routes.campaigns import CAMPAIGN_ID, CURSOR, LINK_HEADER
from server.schemas import CampaignInsights, SeveralInsights
from server.waiting import Waits

router = APIRouter(prefix="/api/v1")

# In a JSON text no string can hold these very bytes: its quotes would be escaped.
_NEXT_CURSOR = re.compile(rb'"next_cursor": "([^"\\]+)"')
_DAY = {"type": "string", "format": "date"}
_WORD = {"type": "string"}


def _choice(of: type[StrEnum], default: str | None = None) -> Schema:
    schema: dict[str, object] = {"type": "string", "enum": list(of)}
    return schema if default is None else schema | {"default": default}


PARAMS = (
    Param("start_date", "The first day (default: 30 days that end with `end_date`).", _DAY, example="2026-10-01"),
    Param("end_date", "The last day, inclusive (default: today in the asked zone).", _DAY, example="2026-10-31"),
    Param("platform", f"Any of {', '.join(Platform)}, in any case; repeat it or give a comma list.", _WORD, many=True),
    Param("region", "Countries and subdivisions: `US` matches `US-CA` too, `US-CA` only itself.", _WORD, many=True),
    Param("granularity", "The buckets of time; hourly for up to 93 days.", _choice(Granularity, Granularity.DAILY)),
    Param("group_by", f"Any of {', '.join(Dimension)}.", _WORD, many=True, example=["platform"]),
    Param("timezone", "An IANA zone (default: the campaign's).", _WORD, example="Asia/Kolkata"),
    Param("week_start", "Where weeks begin.", _choice(WeekStart, WeekStart.MONDAY)),
    Param("source", "The report where there is one, else the stream; or one alone.", _choice(Source, Source.AUTO)),
    Param("compare", "Beside it, an earlier range.", _choice(Compare)),
    Param("as_of", "What this would have answered then.", {"type": "string", "format": "date-time"}),
    Param("currency", "A code of ISO 4217 (default: the campaign's).", _WORD),
    Param("fill", "Rows for buckets without data.", _choice(Fill, Fill.NONE)),
    Param("sort", f"Any of {', '.join((*Metric, *Ratio))}, or a group-by name.", _WORD, example="spend"),
    Param("order", "Default: desc for metrics and ratios, else asc.", _choice(Order)),
    Param("limit", "Rows of a page.", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10_000}),
    CURSOR,
    Param("after", "A `position` of POST /events: wait up to 10 s until those events are counted.", _WORD),
)
_CAMPAIGNS = Param("campaign", "Several campaigns (default: all).", {"type": "string"}, many=True, example=["1", "2"])
_CONDITION = Param("If-None-Match", "The ETag of a copy.", {"type": "string"}, place="header")
_HEADERS = {
    "ETag": "Changes when the answer does.",
    "X-Cache": "Who answered: `l1` (this process), `l2` (Redis), `miss` (the store), `stale` while a store is away.",
    "Age": "Seconds since it was computed.",
    **LINK_HEADER,
}


def _asks_to_wait(call: Call) -> bool:
    return call.one("after") is not None


async def _wait(call: Call) -> None:
    waits: Waits = call.request.app.state.waits
    await waits.until(call.one("after") or "", call.actor, call.slot)


@serves_waiting(
    router,
    Operation(
        "GET",
        "/campaigns/{campaign_id}/insights",
        id="getCampaignInsights",
        tag="insights",
        summary="A campaign's numbers",
        params=(CAMPAIGN_ID, *PARAMS, _CONDITION),
        answers={
            200: Answer("Rows, totals and what to know of them.", {"application/json": CampaignInsights}, _HEADERS),
            304: Answer("The copy still holds."),
        },
        problems=(404,),
    ),
    must_wait=_asks_to_wait,
    wait=_wait,
)
def campaign_insights(call: Call) -> Response:
    found = call.app.insights.run(call.query, call.actor, campaign_id=call.id_in_path("campaign_id"))
    return _answer(call, found)


@serves_waiting(
    router,
    Operation(
        "GET",
        "/insights",
        id="getInsights",
        tag="insights",
        summary="The numbers of several campaigns together",
        params=(_CAMPAIGNS, *PARAMS, _CONDITION),
        answers={
            200: Answer("Rows, totals and what to know of them.", {"application/json": SeveralInsights}, _HEADERS),
            304: Answer("The copy still holds."),
        },
        problems=(404,),
    ),
    must_wait=_asks_to_wait,
    wait=_wait,
)
def insights(call: Call) -> Response:
    return _answer(call, call.app.insights.run(call.query, call.actor))


def _answer(call: Call, found: InsightAnswer) -> Response:
    headers = {
        "ETag": f"W/{found.etag}",  # the same answer may leave packed or plain
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding, Authorization",
        "X-Cache": found.cache,
        "Age": str(int(found.age_s)),
    }
    if call.has(found.etag):
        return call.unchanged(headers)
    cursor = _NEXT_CURSOR.search(found.body)
    return call.answer(found.body, headers=headers | call.next_link(cursor[1].decode() if cursor else None))
