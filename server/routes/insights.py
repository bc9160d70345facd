"""Insights of one campaign, and of several together: as JSON, or their rows as a file."""

import re
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.insights import Compare, Dimension, Fill, Metric, Order, Ratio, Source
from campaignctl.domain.periods import Granularity, WeekStart
from campaignctl.domain.platforms import Platform
from campaignctl.services.insight_exports import INSTALL_HINT, ExportForm, arrow_is_installed, exported, file_name
from campaignctl.services.insights import InsightAnswer
from campaignctl.tabular import decode
from server.dependencies import Call
from server.negotiation import best_media_type
from server.operations import Answer, Operation, Param, Schema, serves_waiting
from server.paging import CURSOR, LINK_HEADER
from server.problem import HttpError, Problem
from server.routes.campaigns import CAMPAIGN_ID, NAME_PART, STATUS
from server.schemas.insights import CampaignInsights, SeveralInsights
from server.waiting import Waits

router = APIRouter(prefix="/api/v1")

# In a JSON text no string can hold these very bytes: its quotes would be escaped.
_CURSOR_MEMBER = b'"next_cursor": '
_CURSOR_VALUE = re.compile(rb'"([^"\\]+)"')
_JSON = "application/json"
_FORMS = {
    "text/csv": ExportForm.CSV,
    "application/x-ndjson": ExportForm.NDJSON,
    "application/vnd.apache.parquet": ExportForm.PARQUET,
    "application/vnd.apache.arrow.stream": ExportForm.ARROW,
}
_MOST_AT_HAND_BYTES = 65_536
_REMEMBERED_ACCEPTS = 64
"""One is as long as a request's head at most."""
_FILE: Schema = {"type": "string", "format": "binary"}
_FILES: dict[str, Schema] = {
    "text/csv": {"type": "string"},
    "application/x-ndjson": {"type": "string"},
    "application/vnd.apache.parquet": _FILE,
    "application/vnd.apache.arrow.stream": _FILE,
}
_FORMS_TEXT = (
    "JSON by default; with `Accept` the rows of the page as a file: `text/csv` (with the columns `currency` and "
    "`timezone`), `application/x-ndjson`, `application/vnd.apache.parquet` or `application/vnd.apache.arrow.stream` "
    "(money, conversions and ratios as decimal128(38, 6); zone, currency, totals and warnings in the metadata of the "
    "schema). Every form is made of the same answer. Other media types, and the last two where pyarrow is not "
    "installed on the server, are 406."
)
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
_STATUS, _NAME_PART = (
    replace(one, description=f"{one.description} Not beside `campaign`.") for one in (STATUS, NAME_PART)
)
CHOICE = (_CAMPAIGNS, _STATUS, _NAME_PART)
_CONDITION = Param("If-None-Match", "The ETag of a copy.", {"type": "string"}, place="header")
_HEADERS = {
    "ETag": "Changes when the answer does.",
    "X-Cache": "Who answered: `l1` (this process), `l2` (Redis), `miss` (the store), `stale` while a store is away.",
    "Age": "Seconds since it was computed.",
    "Content-Disposition": "Of a file: its name.",
    "X-Currency": "Of a file: the currency of its amounts.",
    "X-Timezone": "Of a file: the zone of its days and hours.",
    "X-Warnings": "Of a file: the codes of the answer's warnings, where there are any.",
    **LINK_HEADER,
}


def _asks_to_wait(call: Call) -> bool:
    return call.one("after") is not None


async def wait_for_position(call: Call) -> None:
    """Wait until what ``after`` stands for is counted; the slot is lent out meanwhile."""
    waits: Waits = call.request.app.state.waits
    await waits.until(call.one("after") or "", call.actor, call.slot)


def _at_hand(call: Call) -> Response | None:
    """A small JSON answer that is in memory; packing a large one would hold the event loop up."""
    if _wanted_form(call) is not None:
        return None
    found = call.app.insights.at_hand(call.query, call.actor, call.id_in_path("campaign_id"))
    return None if found is None or len(found.body) > _MOST_AT_HAND_BYTES else _answer(call, found, None)


@serves_waiting(
    router,
    Operation(
        "GET",
        "/campaigns/{campaign_id}/insights",
        id="getCampaignInsights",
        tag="insights",
        summary="A campaign's numbers",
        description=_FORMS_TEXT,
        params=(CAMPAIGN_ID, *PARAMS, _CONDITION),
        answers={
            200: Answer("Rows, totals and what to know of them.", {_JSON: CampaignInsights, **_FILES}, _HEADERS),
            304: Answer("The copy still holds."),
        },
        problems=(404, 406),
    ),
    must_wait=_asks_to_wait,
    wait=wait_for_position,
    at_hand=_at_hand,
)
def campaign_insights(call: Call) -> Response:
    form = _wanted_form(call)
    found = call.app.insights.run(call.query, call.actor, campaign_id=call.id_in_path("campaign_id"))
    return _answer(call, found, form)


@serves_waiting(
    router,
    Operation(
        "GET",
        "/insights",
        id="getInsights",
        tag="insights",
        summary="The numbers of several campaigns together",
        description=_FORMS_TEXT,
        params=(*CHOICE, *PARAMS, _CONDITION),
        answers={
            200: Answer("Rows, totals and what to know of them.", {_JSON: SeveralInsights, **_FILES}, _HEADERS),
            304: Answer("The copy still holds."),
        },
        problems=(404, 406),
    ),
    must_wait=_asks_to_wait,
    wait=wait_for_position,
)
def insights(call: Call) -> Response:
    form = _wanted_form(call)
    return _answer(call, call.app.insights.run(call.query, call.actor), form)


def _wanted_form(call: Call) -> ExportForm | None:
    """The form of file that ``Accept`` asks for, None for JSON; raises ``HttpError`` (406) when there is none such."""
    accept = ",".join(call.request.headers.getlist("accept"))
    best = _best_of_all(accept)
    if best is not None and not (best in _FORMS and _FORMS[best].needs_arrow):
        return _FORMS.get(best)  # the best of all is also the best of those that are possible here
    possible = [name for name, form in _FORMS.items() if not form.needs_arrow or arrow_is_installed()]
    media_type = best_media_type(accept, (_JSON, *possible))
    if media_type is not None:
        return _FORMS.get(media_type)
    if best_media_type(accept, tuple(_FORMS)) is not None:
        detail, hint = "this server cannot write Parquet and Arrow: pyarrow is missing", INSTALL_HINT
    else:
        detail, hint = "there is no such form of insights", f"Accept one of {', '.join((_JSON, *_FORMS))}"
    raise HttpError(Problem(406, "not_acceptable", detail, hint=hint))


@lru_cache(_REMEMBERED_ACCEPTS)
def _best_of_all(accept: str) -> str | None:
    """Clients send the same few headers again and again."""
    return best_media_type(accept, (_JSON, *_FORMS))


def _answer(call: Call, found: InsightAnswer, form: ExportForm | None) -> Response:
    etag = found.etag if form is None else f'{found.etag[:-1]}-{form}"'
    headers = {
        "ETag": f"W/{etag}",  # the same answer may leave packed or plain
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Accept-Encoding, Authorization",
        "X-Cache": found.cache,
        "Age": str(int(found.age_s)),
    }
    if call.has(etag):
        return call.unchanged(headers)
    headers |= call.next_link(_next_cursor(found.body))
    return call.answer(found.body, headers=headers) if form is None else _file(found.body, form, headers)


def _next_cursor(body: bytes) -> str | None:
    at = body.find(_CURSOR_MEMBER)  # an expression takes ten times as long to see that there is none
    found = _CURSOR_VALUE.match(body, at + len(_CURSOR_MEMBER)) if at >= 0 else None
    return found[1].decode() if found else None


def _file(body: bytes, form: ExportForm, headers: dict[str, str]) -> Response:
    answer = decode(body)
    headers |= {
        "Content-Disposition": f'attachment; filename="{file_name(answer, form)}"',
        "X-Currency": answer["currency"],
        "X-Timezone": answer["timezone"],
    }
    if answer["warnings"]:
        headers["X-Warnings"] = ", ".join(warning["code"] for warning in answer["warnings"])
    media_type = next(name for name, known in _FORMS.items() if known is form)
    return Response(exported(body, form), headers=headers, media_type=media_type)
