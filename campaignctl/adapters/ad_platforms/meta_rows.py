"""Rows of Meta's reports: what an entry of a page says, by campaign, day and country.

A page is read in one of two ways that tell the same. Nearly every page is of the documented types throughout, and then
it is read straight into values of these types; any other is read entry by entry, which knows what else may stand there,
and says what is wrong with it.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from campaignctl.adapters.ad_platforms import answers
from campaignctl.adapters.ad_platforms.windows import KeyedRow
from campaignctl.domain.conversions import Definition
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.ports.ad_platforms import ReportRequest

_BASICS = frozenset({"impressions", "clicks", "spend"})
_FIGURES: Final = answers.Figures(
    numbers=_BASICS,
    lists=frozenset({"actions", "action_values"}),
    beside=frozenset(
        {"account_id", "account_currency", "account_name", "campaign_id", "campaign_name", "country", "date_start",
         "date_stop"}
    ),
    common=_BASICS,
)  # fmt: skip


class _Action(msgspec.Struct, gc=False):
    action_type: str
    value: str


class _Entry(msgspec.Struct, gc=False):
    campaign_id: str
    date_start: str
    impressions: str | None = None
    clicks: str | None = None
    spend: str | None = None
    actions: list[_Action] | None = None
    action_values: list[_Action] | None = None
    country: str | None = None


class _Document(msgspec.Struct, gc=False):
    data: list[_Entry]
    paging: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Document).decode


class Page(msgspec.Struct, frozen=True, gc=False):
    """What a page of a report says."""

    rows: list[KeyedRow]
    paging: object
    """As it came."""


def page_of(payload: Mapping[str, Any], window: ReportRequest, definition: Definition) -> Page:
    """Raises ``answers.Unexpected``."""
    by_country = window.breakdown is Breakdown.COUNTRY
    counted = frozenset(definition.actions)
    found = answers.objects(answers.an_object(payload, "the top").get("data"), "data")
    _FIGURES.check(Platform.META, found)
    return Page([_row(entry, counted, by_country=by_country) for entry in found], payload.get("paging"))


def plain_page_of(body: bytes, window: ReportRequest, definition: Definition) -> Page | None:
    """What ``page_of`` makes of the body's document, in less time; None where that is for ``page_of`` to say."""
    try:
        document = _decode(body)
        if document.error is not None or not _has_all_figures(document.data):
            return None
        counted = frozenset(definition.actions)
        by_country = window.breakdown is Breakdown.COUNTRY
        rows = [_plain_row(entry, counted, by_country=by_country) for entry in document.data]
    except (msgspec.MsgspecError, RecursionError, answers.Unexpected):
        return None
    return Page(rows, document.paging)


def _has_all_figures(entries: list[_Entry]) -> bool:
    """Whether each figure is in some entry: otherwise one may have got another name."""
    return (
        any(entry.impressions is not None for entry in entries)
        and any(entry.clicks is not None for entry in entries)
        and any(entry.spend is not None for entry in entries)
        and any(entry.actions is not None for entry in entries)
        and any(entry.action_values is not None for entry in entries)
    )


def _plain_row(entry: _Entry, counted: frozenset[str], *, by_country: bool) -> KeyedRow:
    impressions, clicks, spend = entry.impressions, entry.clicks, entry.spend
    told = entry.country if by_country else ""
    if told is None or impressions is clicks is spend is None:
        raise answers.Unexpected("with something that is not plain")
    native_id = answers.an_id(entry.campaign_id, "campaign_id")
    day = answers.a_day(entry.date_start, "date_start")
    row = ReportRow(
        native_id,
        day,
        answers.country(told) if by_country else "",
        answers.count(impressions, "impressions"),
        answers.count(clicks, "clicks"),
        _plain_sum(entry.actions, counted, "actions"),
        answers.millionths(spend, "spend"),
        _plain_sum(entry.action_values, counted, "action_values"),
    )
    return KeyedRow((native_id, day, told), row)


def _plain_sum(found: list[_Action] | None, counted: frozenset[str], where: str) -> int:
    millionths = 0
    for one in found or ():
        if one.action_type in counted:
            millionths += answers.millionths(one.value, where)
    return millionths


def _row(entry: Mapping[str, Any], counted: frozenset[str], *, by_country: bool) -> KeyedRow:
    get = entry.get
    impressions, clicks, spend = get("impressions"), get("clicks"), get("spend")
    if impressions is clicks is spend is None and not entry.keys() & _BASICS:
        raise answers.Unexpected("without any figure in a row")  # one alone may be left out, and means 0
    told = region = ""
    if by_country:
        if "country" not in entry:
            raise answers.Unexpected("without the country of a row")
        told, region = str(entry["country"]), answers.country(entry["country"])
    native_id = answers.an_id(get("campaign_id"), "campaign_id")
    day = answers.a_day(get("date_start"), "date_start")
    row = ReportRow(
        native_id,
        day,
        region,
        answers.count(impressions, "impressions"),
        answers.count(clicks, "clicks"),
        _sum_of(get("actions"), counted, "actions"),
        answers.millionths(spend, "spend"),
        _sum_of(get("action_values"), counted, "action_values"),
    )
    return KeyedRow((native_id, day, told), row)


def _sum_of(found: object, counted: frozenset[str], where: str) -> int:
    """The values of the actions that count, in millionths. The list is absent where there are none."""
    if found is None:
        return 0
    millionths = 0
    for one in answers.a_list(found, where):
        # What an action is, and how often it was, is said of each that is told: absent is not 0 here.
        if type(one) is not dict or "action_type" not in one:
            raise answers.Unexpected(f"without action_type at {where}")
        name = one["action_type"]
        if type(name) is str and name in counted:
            if "value" not in one:
                raise answers.Unexpected(f"without value at {where}")
            millionths += answers.millionths(one["value"], where)
    return millionths
