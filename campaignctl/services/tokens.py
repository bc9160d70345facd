"""Access tokens: short-lived JWTs of our own, and nothing else that calls itself one."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass
from typing import Any

import jwt
from cachetools import LRUCache

from campaignctl.errors import ConfigurationError, NotSignedIn
from campaignctl.ports.clock import Clock

MIN_KEY_BYTES = 32
MAX_TOKEN_CHARACTERS = 4_096
LEEWAY_S = 30
"""How far the clock of the process that issued a token may be ahead of ours. Expiry has no leeway."""

_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_CLAIMS = ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"]
_USER_ID = re.compile(r"[1-9][0-9]{0,18}")
_REMEMBERED_TOKENS = 4_096
_FEWEST_CHARACTERS = 8
_PLACEHOLDERS = ("change", "placeholder", "example", "your-", "your_", "secretsecret", "insert", "todo", "xxxx")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    user_id: int
    session_id: int
    expires_at_s: int
    """Epoch seconds."""


class AccessTokens:
    """Issues and verifies access tokens; raises ``ConfigurationError`` for a key that guards nothing."""

    def __init__(self, key: str, *, issuer: str, audience: str, ttl_s: int, clock: Clock) -> None:
        _refuse_weak(key)
        if not issuer or not audience or ttl_s < 1:
            raise ConfigurationError("jwt.issuer and jwt.audience must be set, and jwt.access_ttl at least 1 s")
        # A key of its own for this purpose: what another part of the product signs is never an access token.
        self._key = hmac.digest(key.encode(), b"campaignctl access token 1", "sha256")
        self._issuer, self._audience, self._ttl_s = issuer, audience, ttl_s
        self._clock = clock
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True, "strict_aud": True, "require": _CLAIMS})
        # Every token of ours has this very header, so that no other is even parsed: no alg, jku, kid or crit to obey.
        self._header = self.issue(1, 1).partition(".")[0] + "."
        self._verified: LRUCache[bytes, Claims] = LRUCache(_REMEMBERED_TOKENS)
        self._lock = threading.Lock()

    def issue(self, user_id: int, session_id: int) -> str:
        now_s = int(self._clock.now().timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": session_id,
            "jti": secrets.token_urlsafe(12),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + self._ttl_s,
        }
        return self._jwt.encode(claims, self._key, _ALGORITHM, headers={"typ": _TYPE})

    def verify(self, token: str) -> Claims:
        """The claims of a token that this installation issued and that holds now; ``NotSignedIn`` for any other text.

        What was verified is remembered by the token's hash; whether it has expired is asked each time.
        """
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or not token.startswith(self._header):
            raise invalid_token()
        digest = _digest(token)
        with self._lock:
            claims = self._verified.get(digest)
        if claims is None:
            claims = self._verify(token)
            with self._lock:
                self._verified[digest] = claims
        if self._has_expired(claims):
            raise invalid_token()
        return claims

    def verified(self, token: str) -> Claims | None:
        """The claims of a token that was verified lately and holds now; None for any other, good or not."""
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            return None
        with self._lock:
            claims = self._verified.get(_digest(token))
        return None if claims is None or self._has_expired(claims) else claims

    def _has_expired(self, claims: Claims) -> bool:
        return claims.expires_at_s <= self._clock.now().timestamp()

    def _verify(self, token: str) -> Claims:
        if not _is_canonical_base64(token.rpartition(".")[2]):
            raise invalid_token()
        try:
            payload = self._jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                # The library judges times by the machine's clock, with one leeway for all, and takes text for numbers.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise invalid_token() from None
        return self._claims(payload)

    def _claims(self, payload: dict[str, Any]) -> Claims:
        issued, not_before, expires, session_id = (payload[name] for name in ("iat", "nbf", "exp", "sid"))
        if not all(type(number) is int for number in (issued, not_before, expires, session_id)):
            raise invalid_token()
        latest_s = self._clock.now().timestamp() + LEEWAY_S
        within_times = max(issued, not_before) <= latest_s and expires <= issued + self._ttl_s
        if not within_times or not _USER_ID.fullmatch(payload["sub"]) or not payload["jti"]:
            raise invalid_token()
        return Claims(int(payload["sub"]), session_id, expires)


def invalid_token() -> NotSignedIn:
    """One answer for every way in which a token can be wrong."""
    return NotSignedIn("the access token does not hold, or no longer", hint="sign in again", code="invalid_token")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _refuse_weak(key: str) -> None:
    if len(key.encode()) < MIN_KEY_BYTES:
        problem = f"has fewer than {MIN_KEY_BYTES} bytes"
    elif len(set(key)) < _FEWEST_CHARACTERS or any(word in key.lower() for word in _PLACEHOLDERS):
        problem = "looks like a placeholder"
    else:
        return
    raise ConfigurationError(f"jwt.key {problem}", hint="make one with: openssl rand -base64 48")


def _is_canonical_base64(segment: str) -> bool:
    """Whether this is the one spelling of its bytes: decoders skip odd characters and ignore the last few bits."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        return False
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == segment
