"""What the four clients have in common: their surroundings, credentials, and how a payload is judged."""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, ParamSpec, TypeVar

import httpx2

from campaignctl.adapters.ad_platforms.answers import NotJson, Unexpected, parse_json
from campaignctl.adapters.ad_platforms.gate import Gate
from campaignctl.adapters.ad_platforms.http import Answer, Call, Caller, HttpLimits, Retry
from campaignctl.adapters.ad_platforms.windows import KeyedRow, Lost, SeenRows
from campaignctl.domain.platforms import account_key
from campaignctl.domain.reports import ReportRow
from campaignctl.errors import PlatformAnswerInvalid, PlatformError, PlatformSignInExpired
from campaignctl.ports.ad_platforms import AccountAccess, KeepCredentials, PlatformWatch, StoredCredentials
from campaignctl.ports.clock import Clock

_P = ParamSpec("_P")
_T = TypeVar("_T")
_PUBLIC = frozenset({"app_id", "client_id", "login_customer_id"})
SERVER_ERRORS: Final = frozenset({500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What comes from outside, so that tests say what it is."""

    clock: Clock
    dice: random.Random
    limits: HttpLimits = field(default_factory=HttpLimits)
    transport: httpx2.BaseTransport | None = None
    """None: connections to the configured hosts, where ``egress`` allows them."""
    on_credentials: KeepCredentials | None = None
    """Told of an account's credentials when the platform has replaced them; to be stored before anything else."""
    stored_credentials: StoredCredentials | None = None
    """Asked when a platform refuses a refresh token; None: those in hand are all there are."""
    watch: PlatformWatch | None = None
    """Told of every request; None: nobody is."""
    pace_s: float | None = None
    """Seconds between two calls of one account or app; None: the platform's default."""


def caller_of(platform: str, origins: Sequence[httpx2.URL], around: Surroundings, *, pace_s: float) -> Caller:
    return Caller(
        platform,
        origins,
        clock=around.clock,
        dice=around.dice,
        gate=Gate(around.clock, pace_s if around.pace_s is None else around.pace_s),
        limits=around.limits,
        transport=around.transport,
        watch=around.watch,
    )


def account_of(access: AccountAccess) -> str:
    return account_key(access.platform, access.account_id)


def account_gate_key(access: AccountAccess) -> str:
    return f"account:{account_of(access)}"


def shared_gate_key(kind: str, secret: str) -> str:
    """A key for what several accounts share (an app, a developer token) that does not tell what it is."""
    return f"{kind}:{hashlib.blake2b(secret.encode(), digest_size=8).hexdigest()}"


def secrets_of(access: AccountAccess) -> list[str]:
    """Those credentials that are secret; ids of apps and of manager accounts are not, and stand in answers."""
    return [value for name, value in access.credentials.items() if name not in _PUBLIC]


def credential(access: AccountAccess, name: str, *, default: str | None = None) -> str:
    """A credential that can stand in a header. Without it nobody is signed in."""
    value = access.credentials.get(name, "").strip()
    if not value and default is not None:
        return default
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        reason = "is missing" if not value else "is not well-formed"
        raise PlatformSignInExpired(
            f"{access.platform}: the account's {name} {reason}",
            platform=access.platform,
            account_id=access.account_id,
            hint=f"give the account a new {name}",
        )
    return value


def signed(call: Call, token: str) -> Call:
    return replace(call, headers={**call.headers, "Authorization": f"Bearer {token}"})


def json_of(answer: Answer) -> "Any | Retry":
    """The document; what is none may have been cut off on its way, so it is asked for again, though not for long."""
    try:
        return parse_json(answer.body)
    except NotJson as error:
        return Retry(f"answered {error}", tries=3, error=PlatformAnswerInvalid)


def checked(caller: Caller, call: Call, read: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What ``read`` makes of an answer; an answer of another shape is the same when asked again, so that ends it."""
    try:
        return read(*args, **kwargs)
    except Unexpected as error:
        raise caller.error(
            PlatformAnswerInvalid, call, f"was answered {error}", hint="the platform may have changed its API"
        ) from None


def rows_again(
    access: AccountAccess, raws: Iterable[bytes], rows_of: Callable[[bytes], Sequence[KeyedRow]]
) -> Iterator[Sequence[ReportRow]]:
    """``AdPlatform.read``, with ``rows_of`` for a single answer."""
    seen = SeenRows(access.platform)
    for raw in raws:
        try:
            yield seen.fresh(rows_of(raw))
        except (Unexpected, Lost) as error:
            raise failed(PlatformAnswerInvalid, access, f"a kept answer cannot be read again: {error}") from None


def failed(kind: type[PlatformError], access: AccountAccess, reason: str, *, hint: str = "") -> PlatformError:
    return kind(f"{access.platform}: {reason}", platform=access.platform, account_id=access.account_id, hint=hint)
