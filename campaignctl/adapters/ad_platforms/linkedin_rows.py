"""What LinkedIn's answers say: elements of adAnalytics as rows."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from campaignctl.adapters.ad_platforms import answers
from campaignctl.adapters.ad_platforms.windows import KeyedRow
from campaignctl.domain.conversions import Definition
from campaignctl.domain.platforms import Platform, native_key
from campaignctl.domain.regions import UNKNOWN_REGION
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.ports.ad_platforms import ReportRequest

Countries = Mapping[str, str]
"""URNs of places to countries."""
_REVENUE, _COST = "conversionValueInLocalCurrency", "costInLocalCurrency"
FIELDS: Final = (
    "dateRange",
    "pivotValues",
    "impressions",
    "clicks",
    _COST,
    "externalWebsiteConversions",
    "externalWebsitePostClickConversions",
    "externalWebsitePostViewConversions",
    "oneClickLeads",
    _REVENUE,
)
"""What a report is asked for: 10 fields, of the 20 that the server takes."""
_FIGURES = answers.Figures(
    numbers=frozenset(FIELDS) - {"dateRange", "pivotValues"},
    beside=frozenset({"dateRange", "pivotValues", "pivot", "pivotValue", "costInUsd", "conversionValueInUsd"}),
    common=frozenset({"impressions", "clicks", _COST}),
)


def elements_of(payload: Any) -> list[Mapping[str, Any]]:
    return answers.objects(answers.an_object(payload, "the top").get("elements"), "elements")


def geos_in(payload: Any) -> set[str]:
    """The places that a country report names."""
    return {_pivot(element) for element in elements_of(payload)}


def kept_rows(payload: Any, window: ReportRequest, definition: Definition) -> list[KeyedRow]:
    """Of an answer as it was kept: a country report has its campaign and its countries beside it."""
    if not isinstance(payload, dict) or "answer" not in payload:
        return rows_of(payload, window, definition)
    countries = answers.an_object(payload.get("countries"), "countries")
    native_id = answers.an_id(payload.get("native_id"), "native_id")
    return rows_of(payload["answer"], window, definition, native_id, countries)


def rows_of(
    payload: Any,
    window: ReportRequest,
    definition: Definition,
    native_id: str = "",
    countries: Countries | None = None,
) -> list[KeyedRow]:
    """Of a report by campaign, or of one campaign (``native_id``) by country."""
    by_country = window.breakdown is Breakdown.COUNTRY
    found = elements_of(payload)
    figures = {"impressions", "clicks", _COST, *definition.actions}
    if found and not any(figures & element.keys() for element in found):
        raise answers.Unexpected("without any figures")  # one element alone may have none: what is null is left out
    _FIGURES.check(Platform.LINKEDIN, found)
    rows = []
    for element in found:
        pivot = _pivot(element)
        if by_country:
            region = answers.country((countries or {}).get(pivot, UNKNOWN_REGION))
            rows.append(_row(element, definition, native_id, pivot, region))
        else:
            own = answers.an_id(native_key(Platform.LINKEDIN, window.level, pivot), "pivotValues")
            rows.append(_row(element, definition, own, "", ""))
    return rows


def _row(element: Mapping[str, Any], definition: Definition, native_id: str, told: str, region: str) -> KeyedRow:
    day, get = _day(element.get("dateRange")), element.get
    row = ReportRow(
        native_id,
        day,
        region,
        answers.count(get("impressions"), "impressions"),
        answers.count(get("clicks"), "clicks"),
        sum([answers.millionths(get(name), name) for name in definition.actions]),
        answers.millionths(get(_COST), _COST),
        answers.millionths(get(_REVENUE), _REVENUE),
    )
    return KeyedRow((native_id, day, told), row)


def _pivot(element: Mapping[str, Any]) -> str:
    values = answers.a_list(element.get("pivotValues"), "pivotValues")
    if len(values) != 1:
        raise answers.Unexpected("without one value at pivotValues")
    return answers.an_id(values[0], "pivotValues")


def _day(range_: object) -> date:
    start = answers.an_object(answers.an_object(range_, "dateRange").get("start"), "dateRange.start")
    year, month, day = (start.get(name) for name in ("year", "month", "day"))
    if not (isinstance(year, int) and isinstance(month, int) and isinstance(day, int)):
        raise answers.Unexpected("without a day at dateRange.start")
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        raise answers.Unexpected("without a day at dateRange.start") from None
