"""What TikTok's answers look like: a code inside, rows of dimensions and metrics, figures as texts."""

from collections.abc import Sequence

from campaignctl.sandbox.deliveries import MICROS
from campaignctl.sandbox.platforms.desk import Answer
from campaignctl.sandbox.platforms.rows import Row, amount
from campaignctl.sandbox.reported import UNKNOWN

_NO_DATA = "-"
_CONVERSIONS = ("conversion", "real_time_conversion", "result")


def good(data: object, message: str) -> Answer:
    return Answer({"code": 0, "message": message, "request_id": "sandbox", "data": data})


def error(code: int, message: str) -> Answer:
    return Answer({"code": code, "message": message, "request_id": "sandbox", "data": {}})


def no_permission() -> Answer:
    return error(40001, "No permission to operate advertiser")


def row(one: Row, metrics: Sequence[str], *, dashes: bool, numbers: bool) -> dict[str, object]:
    """``dashes``: a figure that is 0 by day is told as no data. ``numbers``: ids and counts are no texts."""
    figures = one.figures
    conversions = figures.conversions_millionths // MICROS
    known: dict[str, object] = {
        "campaign_name": one.native.name,
        "spend": amount(figures.spend_micros),
        "impressions": figures.impressions if numbers else str(figures.impressions),
        "clicks": figures.clicks if numbers else str(figures.clicks),
        **dict.fromkeys(_CONVERSIONS, str(conversions)),
    }
    if dashes and one.place is None:
        known = {name: _NO_DATA if value in (0, "0", "0.00") else value for name, value in known.items()}
    dimensions: dict[str, object] = {
        "campaign_id": int(one.native.native_id) if numbers else one.native.native_id,
        "stat_time_day": f"{one.day} 00:00:00",
    }
    if one.place is not None:
        dimensions["country_code"] = "" if one.place.country == UNKNOWN else one.place.country
    return {"dimensions": dimensions, "metrics": {name: known[name] for name in metrics if name in known}}


def of_fault(fault: str) -> Answer | None:
    """The error that a fault answers; None for one that answers none."""
    match fault:
        case "tiktok-qps":
            return error(40100, "App reaches the QPS limit.")
        case "tiktok-restricted":
            return error(40100, "Due to too many requests, requests from App 7 are temporarily restricted.")
        case "tiktok-system":
            return error(50000, "System error.")
        case "tiktok-validation":
            return error(40700, "Internal service validation error.")
        case "tiktok-busy":
            return error(51010, "Too many requests. Please retry later.")
        case "tiktok-token":
            return error(40105, "Access token is incorrect or has been revoked.")
        case "tiktok-permission":
            return no_permission()
        case _:
            return None
