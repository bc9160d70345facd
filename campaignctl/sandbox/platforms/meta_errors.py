"""Meta's errors, as the Marketing API words them, and the headers that tell usage."""

import json
from collections.abc import Mapping

from campaignctl.sandbox.natives import SandboxAccount
from campaignctl.sandbox.platforms.desk import Answer

_TIER = "standard_access"


def error(
    code: int,
    message: str,
    *,
    subcode: int = 0,
    status: int = 400,
    is_transient: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    body: dict[str, object] = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "is_transient": is_transient,
        "fbtrace_id": "Asandbox",
    }
    if subcode:
        body["error_subcode"] = subcode
    return Answer({"error": body}, status, headers or {})


def token(subcode: int) -> Answer:
    reason = "Session has expired" if subcode == 463 else "The session is invalid"
    return error(190, f"Error validating access token: {reason}", subcode=subcode, status=401)


def no_access(object_id: str) -> Answer:
    message = (
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation"
    )
    return error(100, message, subcode=33)


def invalid(message: str, code: int = 100) -> Answer:
    return error(code, message)


def of_place() -> Answer:
    return error(100, "(#100) The After Cursor specified exceeds the max limit supported by this endpoint")


def data_limit() -> Answer:
    return error(100, "(#100) The call exceeds the limit of data per call", subcode=1487534)


def reduce_data() -> Answer:
    message = "Please reduce the amount of data you're asking for, then retry your request"
    return error(1, message, subcode=99, status=500)


def business_limit(account: SandboxAccount | None, *, minutes: int) -> Answer:
    message = "(#80000) There have been too many calls from this ad-account. Wait a bit and try again."
    used = _business(account, 100, minutes)
    return error(80000, message, subcode=2446079, headers={"X-Business-Use-Case-Usage": used})


def usage(account: SandboxAccount, percent: int) -> dict[str, str]:
    """The headers of every answer."""
    shares = {"app_id_util_pct": percent, "acc_id_util_pct": percent, "ads_api_access_tier": _TIER}
    return {
        "x-fb-ads-insights-throttle": json.dumps(shares),
        "X-App-Usage": json.dumps({"call_count": percent, "total_time": percent, "total_cputime": percent}),
        "X-Business-Use-Case-Usage": _business(account, percent, 0),
    }


def _business(account: SandboxAccount | None, percent: int, minutes: int) -> str:
    entry = {
        "type": "ads_insights",
        "call_count": percent,
        "total_cputime": percent,
        "total_time": percent,
        "estimated_time_to_regain_access": minutes,
        "ads_api_access_tier": _TIER,
    }
    return json.dumps({account.account_id if account else "0": [entry]})


def of_fault(fault: str, account: SandboxAccount | None) -> Answer | None:
    """The error that a fault answers; None for one that answers none."""
    match fault:
        case "meta-app-limit":
            return error(4, "(#4) Application request limit reached", subcode=1504022)
        case "meta-account-limit":
            return error(17, "(#17) User request limit reached", subcode=2446079)
        case "meta-business-limit":
            return business_limit(account, minutes=1)
        case "meta-transient":
            return error(2, "An unexpected error has occurred. Please retry your request later.", is_transient=True)
        case "200-error":
            return error(2, "Service temporarily unavailable", status=200, is_transient=True)
        case "meta-not-in-summary":
            return error(
                100,
                "(#100) Cannot include campaign_name in summary param because they weren't there while creating the "
                "report run",
            )
        case "meta-run-not-visible":
            return no_access("report run")
        case "meta-not-materialised":
            message = "Insights report is not ready yet. Please try again later."
            return error(2637, message, subcode=1815107, is_transient=True)
        case "meta-token":
            return token(463)
        case "meta-permission":
            return error(200, "(#200) Ad account owner has NOT grant ads_management or ads_read permission", status=403)
        case _:
            return None
