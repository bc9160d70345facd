"""What Meta's errors and throttle headers mean: classified by code and subcode, never by HTTP status.

Most throttles come as 400, and one code (100) stands for a dozen things.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import httpx2

from campaignctl.adapters.ad_platforms.client import SERVER_ERRORS
from campaignctl.adapters.ad_platforms.gate import Gate
from campaignctl.adapters.ad_platforms.http import Answer, Call, Caller, Hold, Retry, TooMuch
from campaignctl.errors import PlatformForbidden, PlatformRejected, PlatformSignInExpired

PAUSE_ABOVE_PERCENT: Final = 95
_SHORTEST_PAUSE_S = 60.0
_LARGEST_FIGURE = 1e9
_APP_LIMIT = 4
_ACCOUNT_LIMITS = frozenset({17, 32, 613})
_BUSINESS_LIMITS = frozenset({80000, 80001, 80002, 80003, 80004, 80005, 80006, 80008, 80009, 80014})
_PASSING = frozenset({1, 2, 104})
_TOKEN = 190
_SIGNED_OUT = {
    458: "the app was removed from the account",
    460: "the password was changed",
    463: "the access token has expired",
    467: "the access token is no longer valid",
}
_PERMISSION = frozenset({10, 200})
_READING = "ads_read"
_TOO_HEAVY = "reduce the amount of data"
_NOT_IN_SUMMARY = "in summary param because they weren't there while creating the report run"
_NOT_MATERIALISED = (2637, 1815107)


class MetaError(NamedTuple):
    code: int
    subcode: int
    message: str
    is_transient: bool

    @property
    def number(self) -> str:
        return f"{self.code}/{self.subcode}" if self.subcode else f"{self.code}"


def error_in(payload: object) -> MetaError | None:
    """The error that a body holds; None when it holds none."""
    error = payload.get("error") if isinstance(payload, dict) else None
    if not isinstance(error, dict):
        return None
    return MetaError(
        _integer(error.get("code")),
        _integer(error.get("error_subcode")),
        str(error.get("message", "")),
        error.get("is_transient") is True,
    )


def reaction(caller: Caller, call: Call, answer: Answer, error: MetaError | None, *, run: bool) -> Retry | Hold:
    """What to do about an answer that is none. ``run``: it was asked about a report run, which may not be visible yet.

    Raises where trying again cannot help.
    """
    if error is None:
        return _by_status(caller, call, answer)
    account, app = call.keys[0], call.keys[-1]
    if error.code == _APP_LIMIT:
        return Hold("the app's request limit is reached", app)
    if error.code in _ACCOUNT_LIMITS:
        return Hold("the account's request limit is reached", account)
    if error.code in _BUSINESS_LIMITS:
        return Hold("the account's use-case limit is reached", account, wait_s=_regain_s(answer.headers))
    if _TOO_HEAVY in error.message:
        raise TooMuch("the platform asks for a smaller request", smaller_pages_help=True)
    if (error.code, error.subcode) == (100, 1487534):
        raise TooMuch("the platform's limit of data per call is reached")
    if error.code == _NOT_MATERIALISED[0] or error.subcode == _NOT_MATERIALISED[1]:
        return Retry("is finished and not readable yet", first_s=5.0, tries=8)
    if error.code == 100 and _NOT_IN_SUMMARY in error.message:
        return Retry("was refused for a reason that passes")
    if (error.code, error.subcode) == (100, 33) and run:
        return Retry("is not visible yet")
    if error.is_transient or error.code in _PASSING or (error.code == 960 and answer.status == 400):
        return Retry(f"failed with error {error.number}, which passes")
    _refuse(caller, call, answer, error)
    return Retry(f"failed with error {error.number}")


def _refuse(caller: Caller, call: Call, answer: Answer, error: MetaError) -> None:
    """Raise for what no repetition changes; return for a failure of the platform's own."""
    if error.code == _TOKEN:
        why = _SIGNED_OUT.get(error.subcode, "the access token does not hold")
        raise caller.error(PlatformSignInExpired, call, f"was refused: {why}", hint="sign in to Meta again")
    no_access = (error.code, error.subcode) == (100, 33)
    if error.code in _PERMISSION or no_access or "Missing permissions" in error.message:
        raise PlatformForbidden(
            f"{caller.platform}: {call.what} is not allowed (error {error.number})",
            platform=caller.platform,
            account_id=call.account_id,
            missing=(_READING,),
            hint=f"the token needs {_READING} and a role in the ad account",
        )
    if answer.status not in SERVER_ERRORS:
        raise caller.error(PlatformRejected, call, f"was refused with error {error.number}")


def _by_status(caller: Caller, call: Call, answer: Answer) -> Retry | Hold:
    """An answer that does not follow Meta's own form: something in between has answered."""
    if answer.status == 429:
        return Hold("the request limit is reached", call.keys[0])
    if answer.status in SERVER_ERRORS:
        return Retry(f"answered with status {answer.status}")
    raise caller.error(PlatformRejected, call, f"was refused with status {answer.status}")


def is_place_lost(error: MetaError) -> bool:
    """Whether an error about a place that was given before says that it is no place any more."""
    if error.code != 100 or error.is_transient or _NOT_IN_SUMMARY in error.message:
        return False
    return error.subcode == 33 or (error.subcode == 0 and "Missing permissions" not in error.message)


def is_too_much(code: object, subcode: object, message: object) -> bool:
    """Whether a report run failed because it was asked for too much."""
    return (_integer(code), _integer(subcode)) == (100, 1487534) or _TOO_HEAVY in str(message)


def pause_if_nearly_used_up(gate: Gate, account: str, app: str, headers: httpx2.Headers) -> None:
    """Hold the account or the app back while a quota is nearly used up, before the platform has to refuse."""
    pause = _SHORTEST_PAUSE_S
    for usage in _usages(headers):
        if _highest(usage, "call_count", "total_cputime", "total_time") > PAUSE_ABOVE_PERCENT:
            gate.hold(account, max(pause, _minutes(usage) * 60.0))
    per_account = _object(headers.get("x-ad-account-usage"))
    if _highest(per_account, "acc_id_util_pct") > PAUSE_ABOVE_PERCENT:
        gate.hold(account, max(pause, _percent(per_account.get("reset_time_duration"))))
    insights = _object(headers.get("x-fb-ads-insights-throttle"))
    if _highest(insights, "acc_id_util_pct") > PAUSE_ABOVE_PERCENT:
        gate.hold(account, pause)
    app_wide = _object(headers.get("x-app-usage"))
    if (
        _highest(insights, "app_id_util_pct") > PAUSE_ABOVE_PERCENT
        or _highest(app_wide, "call_count", "total_cputime", "total_time") > PAUSE_ABOVE_PERCENT
    ):
        gate.hold(app, pause)


def _regain_s(headers: httpx2.Headers) -> float | None:
    minutes = max(map(_minutes, _usages(headers)), default=0.0)
    return minutes * 60.0 or None


def _usages(headers: httpx2.Headers) -> Iterator[Mapping[str, Any]]:
    """The use-case usages of the business objects that the call touched."""
    for entries in _object(headers.get("x-business-use-case-usage")).values():
        if isinstance(entries, list):
            yield from (entry for entry in entries if isinstance(entry, dict))


def _minutes(usage: Mapping[str, Any]) -> float:
    return _percent(usage.get("estimated_time_to_regain_access"))


def _highest(usage: Mapping[str, Any], *names: str) -> float:
    return max(_percent(usage.get(name)) for name in names)


def _percent(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        return 0.0
    return float(min(value, _LARGEST_FIGURE))


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _object(text: str | None) -> dict[str, Any]:
    """A header that holds a JSON object; {} for anything else: no figure depends on it."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
