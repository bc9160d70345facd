"""What LinkedIn's errors mean: by status, then by what the body says. The body may be no JSON."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from campaignctl.adapters.ad_platforms.client import SERVER_ERRORS
from campaignctl.adapters.ad_platforms.http import Answer, Call, Caller, Hold, Retry, Unauthorized
from campaignctl.errors import PlatformForbidden, PlatformRejected

READING: Final = "r_ads_reporting"
LISTING: Final = "r_ads"
_METRIC_VALUES_HOLD_S = 330.0
"""Of the limit of metric values in five minutes, with half a minute to spare."""
_FIRST_HOLD_S = 5.0
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,60}")
_HINTS = {
    411: "the request has no length",
    426: "set linkedin.api_version to a version that LinkedIn still serves (YYYYMM)",
}


class TooLongQuery(Exception):
    """The address is too long; its query can travel in the body. Never leaves the adapter."""


def reaction(caller: Caller, call: Call, answer: Answer, payload: Any, *, missing: str, now: datetime) -> Retry | Hold:
    """What to do about an answer that is none. Raises where trying again cannot help."""
    message, code = _told(payload)
    match answer.status:
        case 429:
            return _hold(call, message, now)
        case 414:
            raise TooLongQuery
        case 401:
            raise Unauthorized(code or "the access token does not hold")
        case 403:
            raise PlatformForbidden(
                f"{caller.platform}: {call.what} is not allowed ({code or 'status 403'})",
                platform=caller.platform,
                account_id=call.account_id,
                missing=(missing,),
                hint=f"the token needs {missing}, and the member a role in the ad account",
            )
        case status if status in SERVER_ERRORS:
            return Retry(f"answered with status {status}")
    hint = _HINTS.get(answer.status, _HINTS[426] if code == "VERSION_MISSING" else "")
    reason = f"was refused with status {answer.status}" + (f" ({code})" if code else "")
    raise caller.error(PlatformRejected, call, reason, hint=hint)


def _hold(call: Call, message: str, now: datetime) -> Hold:
    account, app = call.keys[0], call.keys[-1]
    if "metric values" in message or "data request limit" in message:
        return Hold("the limit of metric values is reached", app, wait_s=_METRIC_VALUES_HOLD_S)
    if "DAY limit" in message:
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        key = account if "MEMBER DAY" in message else app
        return Hold("the day's limit is reached", key, wait_s=(day - now).total_seconds())
    return Hold("the request limit is reached", account, first_s=_FIRST_HOLD_S)


def _told(payload: Any) -> tuple[str, str]:
    """The message, for us alone, and the code, which may be shown."""
    told = payload if isinstance(payload, dict) else {}
    code = told.get("code")
    return str(told.get("message", "")), code if isinstance(code, str) and _CODE.fullmatch(code) else ""
