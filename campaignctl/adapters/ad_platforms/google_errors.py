"""What Google Ads' errors mean: by their error codes, then by status.

``searchStream`` wraps the error in an array; both forms are read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from campaignctl.adapters.ad_platforms.client import SERVER_ERRORS
from campaignctl.adapters.ad_platforms.http import Answer, Call, Caller, Hold, Retry, TooMuch, Unauthorized
from campaignctl.adapters.ad_platforms.windows import Lost
from campaignctl.errors import PlatformForbidden, PlatformRejected

_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_DELAY_IN_WORDS = re.compile(r"Retry in (\d{1,9}) seconds?")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,80}")
_PAGE_TOKENS = frozenset({"EXPIRED_PAGE_TOKEN", "INVALID_PAGE_TOKEN"})
_TOO_LARGE = frozenset({"RPC_DEADLINE_TOO_SHORT", "DATE_RANGE_TOO_WIDE"})
_NOT_THE_TOKEN = frozenset({"DEVELOPER_TOKEN_INVALID", "NOT_ADS_USER", "CUSTOMER_NOT_FOUND"})
_HINTS = {
    "USER_PERMISSION_DENIED": "if access goes through a manager account, give its id as login_customer_id",
    "CUSTOMER_NOT_ENABLED": "the account is closed or not yet set up",
    "CUSTOMER_NOT_FOUND": "check the account's id",
    "DEVELOPER_TOKEN_NOT_APPROVED": "the developer token is approved for test accounts only",
    "DEVELOPER_TOKEN_INVALID": "check developer_token",
    "METRIC_ACCESS_DENIED": "the user may not see these figures",
    "NOT_ADS_USER": "the user who signed in has no Google Ads account",
    "UNSUPPORTED_VERSION": "set google.api_version to one that Google still serves",
    "REQUESTED_METRICS_FOR_MANAGER": "a manager account has no figures: give the client accounts",
}


@dataclass(frozen=True, slots=True)
class GoogleError:
    status: str
    """``RESOURCE_EXHAUSTED``; "" when the answer has none."""
    codes: tuple[str, ...]
    """``queryError.UNRECOGNIZED_FIELD``: kind and code of each error."""
    delay_s: float | None
    is_developers: bool
    """Whether the quota that is used up is the developer token's."""
    names: frozenset[str] = field(default=frozenset())

    @property
    def told(self) -> str:
        return ", ".join(self.codes) or self.status or "no code"


def error_in(payload: object) -> GoogleError | None:
    """The error of an answer or of the array around it; None when there is none."""
    for entry in payload if isinstance(payload, list) else [payload]:
        error = entry.get("error") if isinstance(entry, dict) else None
        if isinstance(error, dict):
            return _read(error)
    return None


def reaction(caller: Caller, call: Call, answer: Answer, error: GoogleError | None, *, resumed: bool) -> Retry | Hold:
    """What to do about an answer that is none. Raises where trying again cannot help."""
    error = error or GoogleError("", (), None, is_developers=False)
    account, developer = call.keys[0], call.keys[-1]
    kinds = {code.partition(".")[0] for code in error.codes}
    if answer.status == 429 or error.status == "RESOURCE_EXHAUSTED" or "quotaError" in kinds:
        key = developer if error.is_developers else account
        return Hold("the quota is used up", key, wait_s=error.delay_s)
    if error.names & _TOO_LARGE:
        raise TooMuch("the platform asks for a smaller request")
    if resumed and error.names & _PAGE_TOKENS:
        raise Lost("the platform no longer knows the place")
    if answer.status == 403 or error.status == "PERMISSION_DENIED" or "authorizationError" in kinds:
        raise _forbidden(caller, call, error)
    if answer.status == 401 or error.status == "UNAUTHENTICATED" or "authenticationError" in kinds:
        if error.names & _NOT_THE_TOKEN:
            raise _forbidden(caller, call, error)
        raise Unauthorized(error.told)
    if answer.status in SERVER_ERRORS or "internalError" in kinds or answer.ok:
        return Retry(f"failed with {error.told} (status {answer.status})")
    hint = next((_HINTS[name] for name in sorted(error.names) if name in _HINTS), "")
    raise caller.error(PlatformRejected, call, f"was refused: {error.told} (status {answer.status})", hint=hint)


def _forbidden(caller: Caller, call: Call, error: GoogleError) -> PlatformForbidden:
    known = sorted(error.names & _HINTS.keys())
    return PlatformForbidden(
        f"{caller.platform}: {call.what} is not allowed: {error.told}",
        platform=caller.platform,
        account_id=call.account_id,
        missing=known,
        hint=_HINTS[known[0]] if known else "check the user's access to the account",
    )


def _read(error: Mapping[str, Any]) -> GoogleError:
    codes, delays, scopes = [], [], set[str]()
    for one in _errors(error):
        for kind, name in _pairs(one.get("errorCode")):
            codes.append(f"{kind}.{name}")
        quota = _within(one, "details", "quotaErrorDetails")
        delays += [_delay_s(quota.get("retryDelay")), _delay_in_words_s(one.get("message"))]
        scopes.add(str(quota.get("rateScope")))
    delays += [_delay_s(detail.get("retryDelay")) for detail in _objects(error.get("details"))]
    status = error.get("status")
    return GoogleError(
        status=status if isinstance(status, str) and _NAME.fullmatch(status) else "",
        codes=tuple(dict.fromkeys(codes)),
        delay_s=max((delay for delay in delays if delay is not None), default=None),
        is_developers="DEVELOPER" in scopes,
        names=frozenset(code.partition(".")[2] for code in codes),
    )


def _errors(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for detail in _objects(error.get("details")):
        yield from _objects(detail.get("errors"))


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _within(value: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        inner = value.get(name)
        value = inner if isinstance(inner, dict) else {}
    return value


def _pairs(code: object) -> Iterator[tuple[str, str]]:
    """Kind and name, as far as they look like what they should be: they go into messages."""
    for kind, name in code.items() if isinstance(code, dict) else ():
        if isinstance(name, str) and _NAME.fullmatch(name) and kind.isidentifier() and kind.isascii():
            yield kind, name


def _delay_s(value: object) -> float | None:
    found = _DELAY.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) if found else None


def _delay_in_words_s(message: object) -> float | None:
    found = _DELAY_IN_WORDS.search(message) if isinstance(message, str) else None
    return float(found[1]) if found else None
