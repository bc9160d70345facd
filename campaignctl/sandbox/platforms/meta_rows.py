"""Rows of insights: every number a text, and a conversion under each of the names that contain it."""

from collections.abc import Sequence

from campaignctl.sandbox.deliveries import MICROS
from campaignctl.sandbox.platforms.rows import Row, amount
from campaignctl.sandbox.reported import Figures

_PIXEL = "offsite_conversion.fb_pixel_purchase"


def insight(row: Row, fields: Sequence[str]) -> dict[str, object]:
    """The breakdown's value stands in the row whether asked for or not."""
    known: dict[str, object] = {
        "account_id": row.native.account.account_id,
        "account_currency": row.native.account.currency,
        "campaign_id": row.native.native_id,
        "campaign_name": row.native.name,
        "impressions": str(row.figures.impressions),
        "clicks": str(row.figures.clicks),
        "spend": amount(row.figures.spend_micros, 0).rstrip("."),
        "actions": _actions(row.figures),
        "action_values": _values(row.figures),
    }
    told = {name: known[name] for name in fields if known.get(name)}
    if row.place is not None:
        told["country"] = row.place.country
    return told | {"date_start": row.day.isoformat(), "date_stop": row.day.isoformat()}


def _actions(figures: Figures) -> list[dict[str, str]]:
    """Absent rather than empty where there are none."""
    conversions = figures.conversions_millionths // MICROS
    leads = conversions // 4
    purchases = conversions - leads
    found = {
        "link_click": figures.clicks,
        "page_engagement": figures.clicks + figures.impressions // 90,
        "omni_purchase": purchases,
        "purchase": purchases,
        _PIXEL: purchases,
        "lead": leads,
        "onsite_conversion.lead_grouped": leads,
    }
    return [_windowed(name, str(value)) for name, value in found.items() if value]


def _values(figures: Figures) -> list[dict[str, str]]:
    worth = amount(figures.revenue_micros)
    names = ("omni_purchase", "purchase", _PIXEL) if figures.revenue_micros else ()
    return [_windowed(name, worth) for name in names]


def _windowed(name: str, value: str) -> dict[str, str]:
    return {"action_type": name, "value": value, "7d_click": value}
