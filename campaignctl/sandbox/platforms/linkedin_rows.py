"""Elements of adAnalytics, campaigns, and places, as LinkedIn spells them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from campaignctl.sandbox.deliveries import MICROS
from campaignctl.sandbox.natives import GROUP, Native
from campaignctl.sandbox.platforms.rows import Row, amount
from campaignctl.sandbox.reported import UNKNOWN

_GEOS = {
    "US": ("103644278", "United States"),
    "CA": ("101174742", "Canada"),
    "IN": ("102713980", "India"),
    "GB": ("101165590", "United Kingdom"),
    "DE": ("101282230", "Germany"),
    "FR": ("105015875", "France"),
    "JP": ("101355337", "Japan"),
    "AU": ("101452733", "Australia"),
    "BR": ("106057199", "Brazil"),
    "NZ": ("105490917", "New Zealand"),
    UNKNOWN: ("999999999", ""),
}
_HAIR = Decimal("1E-18")


def native(one: Native) -> dict[str, object]:
    facts: dict[str, object] = {"id": int(one.native_id), "name": one.name, "status": one.status}
    facts["account"] = f"urn:li:sponsoredAccount:{one.account.account_id}"
    return facts | ({"campaignGroup": f"urn:li:sponsoredCampaignGroup:{one.group_id}"} if one.group_id else {})


def places(asked: Iterable[str]) -> list[dict[str, object]]:
    """Those that have a name."""
    names = {f"urn:li:geo:{number}": name for number, name in _GEOS.values() if name}
    return [
        {"urn": urn, "name": names[urn], "facetUrn": "urn:li:adTargetingFacet:locations"}
        for urn in asked
        if urn in names
    ]


def merged(rows: Sequence[Row]) -> list[Row]:
    """By country the campaigns that are asked for together are one row: the answer does not tell them apart."""
    sums: dict[tuple[date, str], Row] = {}
    for row in rows:
        key = (row.day, row.native.native_id if row.place is None else row.place.country)
        known = sums.get(key)
        sums[key] = row if known is None else replace(row, figures=known.figures.plus(row.figures))
    return list(sums.values())


def element(row: Row, fields: Sequence[str], *, tiny: bool, unset: bool) -> dict[str, object] | None:
    """None where nothing that was asked for has a value."""
    figures = row.figures
    conversions = figures.conversions_millionths // MICROS
    leads = conversions // 4
    website = conversions - leads
    known: dict[str, object] = {
        "impressions": figures.impressions,
        "clicks": figures.clicks,
        "costInLocalCurrency": _cost(figures.spend_micros) if tiny else amount(figures.spend_micros),
        "externalWebsiteConversions": website,
        "externalWebsitePostClickConversions": website - website // 3,
        "externalWebsitePostViewConversions": website // 3,
        "oneClickLeads": leads,
        "conversionValueInLocalCurrency": amount(figures.revenue_micros),
    }
    told = {name: known[name] for name in fields if name in known and not (unset and _is_zero(known[name]))}
    if not told:
        return None
    if "dateRange" in fields:
        day = {"year": row.day.year, "month": row.day.month, "day": row.day.day}
        told["dateRange"] = {"start": day, "end": day}
    if "pivotValues" in fields:
        told["pivotValues"] = [_pivot(row)]
    return told


def _pivot(row: Row) -> str:
    if row.place is not None:
        return f"urn:li:geo:{_GEOS[row.place.country][0]}"
    kind = "sponsoredCampaignGroup" if row.native.level == GROUP else "sponsoredCampaign"
    return f"urn:li:{kind}:{row.native.native_id}"


def _cost(micros: int) -> str:
    """A hair off, and in scientific notation where that is all there is."""
    cost = Decimal(micros) / MICROS
    return f"{cost + _HAIR:.18f}" if micros else "-1.2E-18"


def _is_zero(value: object) -> bool:
    return value in (0, "0.00")
