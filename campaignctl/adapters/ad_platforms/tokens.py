"""Access tokens made from refresh tokens (Google, LinkedIn): kept in memory, renewed by one thread at a time.

A platform may replace the refresh token with every renewal. Then the old one may be worthless from that moment on, so
the new one is handed back to be stored before the access token is used, and whoever still comes with the old one is
served from what it led to. Another process may have replaced it too: a refresh token that is refused is looked up in
the store before anybody is asked to sign in again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx2

from campaignctl.adapters.ad_platforms import answers
from campaignctl.adapters.ad_platforms.client import (
    SERVER_ERRORS,
    account_gate_key,
    account_of,
    checked,
    credential,
    json_of,
    secrets_of,
    shared_gate_key,
    signed,
)
from campaignctl.adapters.ad_platforms.http import Answer, Call, Caller, Hold, Judge, Retry, Unauthorized
from campaignctl.errors import PlatformError, PlatformRejected, PlatformSignInExpired
from campaignctl.ports.ad_platforms import AccountAccess, KeepCredentials, StoredCredentials
from campaignctl.ports.clock import Clock

_T = TypeVar("_T")
_EARLY_S, _EARLY_SHARE = 60.0, 0.1
"""A token is renewed so long before it ends, but not before all but this share of its life is over."""
_STORED_WITHIN_S = 2.0
"""So long another process may take from the platform's answer to having the new refresh token stored."""
_UNKNOWN_LIFE_S = 3_000.0
_LONGEST_LIFE_S = 10 * 366 * 86_400.0
_ENTRIES = 10_000
_GRANT_ENDED = frozenset({"invalid_grant", "invalid_refresh_token", "unauthorized_client"})


@dataclass(slots=True)
class _Grant:
    """What a refresh token has led to so far."""

    refresh_token: str = field(repr=False)
    stored: str = field(repr=False)
    """The refresh token that was handed back last, or the one that was given."""
    access_token: str = field(default="", repr=False)
    renew_at_s: float = 0.0
    signed_in_until: datetime | None = None
    lock: Lock = field(default_factory=Lock)


class AccessTokens:
    """The access tokens of a platform's accounts. Safe to share between threads."""

    def __init__(
        self,
        caller: Caller,
        token_url: httpx2.URL,
        clock: Clock,
        on_credentials: KeepCredentials | None,
        stored: StoredCredentials | None = None,
        *,
        settles_within_s: float = 0.0,
    ) -> None:
        """``settles_within_s``: for so long the platform may refuse a token that it has just given."""
        self._caller = caller
        self._token_url = str(token_url)
        self._clock = clock
        self._on_credentials = on_credentials
        self._stored = stored
        self._settles_within_s = settles_within_s
        self._lock = Lock()
        self._grants: dict[str, _Grant] = {}

    def token(self, access: AccountAccess) -> str:
        """A token that should hold; calls the platform when there is none."""
        grant = self._grant(access)
        with grant.lock:
            if not grant.access_token:
                given = credential(access, "access_token", default="")
                if given:  # how long it lives only the platform knows
                    grant.access_token, grant.renew_at_s = given, self._clock.monotonic_s() + _LONGEST_LIFE_S
            if not grant.access_token or self._clock.monotonic_s() >= grant.renew_at_s:
                self._renew(access, grant)
            return grant.access_token

    def _renewed(self, access: AccountAccess, refused: str) -> str:
        """Another token than the refused one, unless another thread has got one already."""
        grant = self._grant(access)
        with grant.lock:
            if grant.access_token == refused:
                self._renew(access, grant)
            return grant.access_token

    def fetch(self, access: AccountAccess, call: Call, judge: "Judge[_T]") -> _T:
        """``Caller.fetch`` with an access token; one that is refused is renewed, once."""
        self._caller.require_free(call)  # a token is not renewed for a call that will not be made
        token = self.token(access)
        try:
            return self._caller.fetch(signed(call, token), judge)
        except Unauthorized:
            token = self._renewed(access, token)
        try:
            return self._caller.fetch(signed(call, token), judge)
        except Unauthorized as refused:
            if not self._settles_within_s:
                raise self._expired(call, refused) from None
        self._clock.sleep(self._settles_within_s)
        try:
            return self._caller.fetch(signed(call, token), judge)
        except Unauthorized as refused:
            raise self._expired(call, refused) from None

    def _expired(self, call: Call, refused: Unauthorized) -> PlatformError:
        hint = f"sign in to {self._caller.platform} again"
        return self._caller.error(PlatformSignInExpired, call, f"was refused: {refused.reason}", hint=hint)

    def signed_in_until(self, access: AccountAccess) -> datetime | None:
        """When the refresh token ends, as far as a renewal has told."""
        return self._grant(access).signed_in_until

    def secrets(self, access: AccountAccess) -> list[str]:
        grant = self._grant(access)
        return [*secrets_of(access), grant.access_token, grant.refresh_token]

    def _grant(self, access: AccountAccess) -> _Grant:
        key = _key(access, access.credentials.get("refresh_token", ""))
        with self._lock:
            if len(self._grants) > _ENTRIES:
                self._grants.clear()  # they are renewed from what is stored
            given = access.credentials.get("refresh_token", "")
            return self._grants.setdefault(key, _Grant(given, given))

    def _renew(self, access: AccountAccess, grant: _Grant) -> None:
        if not grant.refresh_token:
            raise PlatformSignInExpired(
                f"{access.platform}: the access token does not hold, and there is no refresh_token to renew it",
                platform=access.platform,
                account_id=access.account_id,
                hint=f"sign in to {access.platform} again",
            )
        try:
            call, payload = self._asked(access, grant.refresh_token)
        except PlatformSignInExpired:
            replaced = self._replaced_elsewhere(access, grant.refresh_token)
            if not replaced:
                raise
            grant.refresh_token = grant.stored = replaced
            with self._lock:
                self._grants[_key(access, replaced)] = grant
            call, payload = self._asked(access, replaced)
        now_s = self._clock.monotonic_s()
        token = checked(self._caller, call, _a_token, payload.get("access_token"))
        life_s = _seconds(payload.get("expires_in")) or _UNKNOWN_LIFE_S
        if life := _seconds(payload.get("refresh_token_expires_in")):
            grant.signed_in_until = self._clock.now() + timedelta(seconds=life)
        rotated = payload.get("refresh_token")
        if isinstance(rotated, str) and rotated not in ("", grant.refresh_token):
            grant.refresh_token = rotated
            with self._lock:
                self._grants[_key(access, rotated)] = grant
            if self._on_credentials is not None:
                self._on_credentials(_replaced(access, rotated, token), grant.stored)
            grant.stored = rotated
        grant.access_token = token
        grant.renew_at_s = now_s + life_s - min(_EARLY_S, life_s * _EARLY_SHARE)

    def _asked(self, access: AccountAccess, refresh_token: str) -> tuple[Call, Mapping[str, Any]]:
        call = self._call(access, refresh_token)
        return call, self._caller.fetch(call, lambda answer: self._judge(call, answer))

    def _replaced_elsewhere(self, access: AccountAccess, refused: str) -> str:
        """The refresh token that is stored by now in the place of the refused one; "" where it is still that one."""
        if self._stored is None:
            return ""
        found = self._stored(access).get("refresh_token", "")
        if found == refused:
            self._clock.sleep(_STORED_WITHIN_S)
            found = self._stored(access).get("refresh_token", "")
        return "" if found == refused else found

    def _call(self, access: AccountAccess, refresh_token: str) -> Call:
        client = credential(access, "client_id")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client,
            "client_secret": credential(access, "client_secret"),
        }
        return Call(
            "the renewal of the access token",
            "POST",
            self._token_url,
            account_id=access.account_id,
            keys=(f"token:{account_gate_key(access)}", shared_gate_key("client", client)),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )

    def _judge(self, call: Call, answer: Answer) -> "Mapping[str, Any] | Retry | Hold":
        if answer.status == 429:
            return Hold("is throttled", call.keys[0])
        if answer.status in SERVER_ERRORS:
            return Retry(f"answered with status {answer.status}")
        payload = json_of(answer)
        if answer.ok:
            return (
                payload
                if isinstance(payload, Retry)
                else checked(self._caller, call, answers.an_object, payload, "the top")
            )
        error = payload.get("error") if isinstance(payload, dict) else None
        if error in _GRANT_ENDED or answer.status == 401:
            raise self._caller.error(
                PlatformSignInExpired,
                call,
                "was refused: the refresh token has expired or was revoked",
                hint=f"sign in to {self._caller.platform} again",
            )
        raise self._caller.error(
            PlatformRejected, call, f"was refused with status {answer.status}", hint="check client_id and client_secret"
        )


def _key(access: AccountAccess, refresh_token: str) -> str:
    secret = refresh_token or access.credentials.get("access_token", "")
    digest = hashlib.blake2b(secret.encode(errors="replace"), digest_size=16).hexdigest()
    return f"{account_of(access)}:{digest}"


def _replaced(access: AccountAccess, refresh_token: str, access_token: str) -> AccountAccess:
    credentials = {**access.credentials, "refresh_token": refresh_token}
    if "access_token" in credentials:
        credentials["access_token"] = access_token
    return replace(access, credentials=credentials)


def _a_token(value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or not value:
        raise answers.Unexpected("without an access token")
    return value


def _seconds(value: object) -> float:
    """A length of life; 0 where it is none."""
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    return min(float(text), _LONGEST_LIFE_S) if text.isascii() and text.isdigit() and len(text) < 15 else 0.0
