"""Registering, signing in and out, and telling who asks.

Everything that lets somebody in asks the metadata store, at most 2 s ago. Where the store does not answer, nobody signs
in and nothing is changed (``Unavailable``); who was let in within the last five minutes may go on reading.
"""

import ipaddress
import logging
import math
import secrets
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from cachetools import TTLCache

from campaignctl.domain.passwords import password_problem
from campaignctl.domain.users import (
    Actor,
    Organization,
    Role,
    User,
    email_key,
    email_problem,
)
from campaignctl.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    NotSignedIn,
    Throttled,
    Unavailable,
)
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import AccessStore, Credentials, LoginBucket, NewUser, Rotation, SessionState
from campaignctl.services.members import name_problem, token_digest
from campaignctl.services.passwords import PasswordHashing
from campaignctl.services.tokens import AccessTokens, Claims, invalid_token

Registration = Literal["open", "invite", "closed"]

FAILURES_PER_ACCOUNT = 10
FAILURES_PER_ADDRESS = 50
FAILURE_WINDOW_S = 60.0
SESSION_MEMORY_S = 2.0
"""How old what we know of a session may be: a revoked token is dead, a changed role holds, within 5 s."""
OUTAGE_MEMORY_S = 300.0
"""How old it may be for reading while the metadata store does not answer: what was revoked just before that lives so
long, and no longer.
"""
_REMEMBERED_SESSIONS = 10_000
_REGISTRATION_LOCKS = 64
_REFRESH_PREFIX = "rt_"
_REFRESH_BYTES = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client needs to stay signed in."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    """Good for one exchange."""
    expires_in_s: int
    """Of the access token."""


class AccessService:
    """Users, their passwords and their sessions. One for the process: it bounds hashing and remembers sessions."""

    def __init__(
        self,
        metadata: AccessStore,
        clock: Clock,
        *,
        jwt_key: str,
        issuer: str,
        audience: str,
        access_ttl_s: int = 900,
        refresh_ttl_s: int = 30 * 86_400,
        registration: Registration = "open",
        password_min_length: int = 12,
        hashing: PasswordHashing | None = None,
    ) -> None:
        self._metadata = metadata
        self._clock = clock
        self._tokens = AccessTokens(jwt_key, issuer=issuer, audience=audience, ttl_s=access_ttl_s, clock=clock)
        self._hashing = hashing or PasswordHashing()
        self._access_ttl_s = access_ttl_s
        self._refresh_ttl = timedelta(seconds=refresh_ttl_s)
        self._registration = registration
        self._password_min_length = password_min_length
        self._sessions: TTLCache[int, SessionState | None] = TTLCache(
            _REMEMBERED_SESSIONS, SESSION_MEMORY_S, timer=clock.monotonic_s
        )
        self._seen: TTLCache[int, SessionState | None] = TTLCache(
            _REMEMBERED_SESSIONS, OUTAGE_MEMORY_S, timer=clock.monotonic_s
        )
        self._lock = threading.Lock()
        # Of many requests with one address the first one hashes, the others wait for its outcome.
        self._registering = [threading.Lock() for _ in range(_REGISTRATION_LOCKS)]

    def register(self, email: str, password: str, name: str = "") -> User:
        """The new user, admin of an organization of their own.

        Raises ``InvalidInput``, ``Conflict`` (``email_taken``: addresses are compared without case), and ``Forbidden``
        (``registration_closed``) where registration is not open.
        """
        if self._registration != "open":
            raise Forbidden(
                "registration is not open here", hint="ask an admin for an invitation", code="registration_closed"
            )
        self._check_new_user(email, password, name)
        key = email_key(email)
        with self._registering[hash(key) % len(self._registering)]:
            if self._metadata.email_is_taken(key):
                raise _taken()
            with self._hashing.turn():
                password_hash = self._hashing.hash(password)
            user = self._metadata.register(NewUser(email, key, name, Role.ADMIN, password_hash), name or email)
        if user is None:
            raise _taken()
        return user

    def login(self, email: str, password: str, *, address: str) -> TokenPair:
        """Tokens of a new session. ``address`` is the client's, as far as it can be trusted.

        Raises ``NotSignedIn`` (``invalid_credentials``), the same for a wrong password and an unknown user, and
        ``Throttled`` after too many failures.
        """
        key, network = email_key(email), _network(address)
        buckets = self._buckets(key, network)
        _refuse_while(self._metadata.login_wait_s(buckets, FAILURE_WINDOW_S))
        with self._hashing.turn():
            credentials = self._metadata.credentials(key)
            if not self._proves(credentials, password, buckets) or credentials is None:
                raise NotSignedIn("the e-mail address or the password is wrong", code="invalid_credentials")
            if self._hashing.is_outdated(credentials.password_hash):
                self._metadata.rehash_password(credentials, self._hashing.hash(password))
        refresh_token = _new_refresh_token()
        expires_at = self._clock.now() + self._refresh_ttl
        session_id = self._metadata.open_session(credentials.user_id, network, token_digest(refresh_token), expires_at)
        return self._pair(credentials.user_id, session_id, refresh_token)

    def refresh(self, refresh_token: str) -> TokenPair:
        """New tokens for a refresh token, which is used up by that.

        Shown a second time, it ends its session: one of the two who hold it has stolen it. ``NotSignedIn`` then, and
        for a token that is unknown or has expired.
        """
        successor = _new_refresh_token()
        expires_at = self._clock.now() + self._refresh_ttl
        rotated = self._metadata.rotate(token_digest(refresh_token), token_digest(successor), expires_at)
        if rotated.rotation is Rotation.DONE:
            return self._pair(rotated.user_id, rotated.session_id, successor)
        if rotated.rotation is Rotation.REUSED:
            self._forget_session(rotated.session_id)
            _log.warning(
                "a refresh token was used twice; its session has been ended",
                extra={"user_id": rotated.user_id, "session_id": rotated.session_id},
            )
        raise NotSignedIn("the refresh token does not hold, or no longer", hint="sign in again", code="invalid_token")

    def logout(self, refresh_token: str | None = None, actor: Actor | None = None) -> None:
        """End the session that the refresh token belongs to, and the actor's. An unknown token ends nothing."""
        if refresh_token is not None:
            session_id = self._metadata.end_session_of_token(token_digest(refresh_token))
            if session_id is not None:
                self._forget_session(session_id)
        if actor is not None and actor.session_id is not None:
            self._metadata.end_session(actor.session_id)
            self._forget_session(actor.session_id)

    def authenticate(self, access_token: str, *, reading: bool = False) -> Actor:
        """Who the bearer of the token is, with the role of 2 s ago at most; ``NotSignedIn`` (``invalid_token``).

        For ``reading`` it may be the role of five minutes ago while the metadata store does not answer.
        """
        claims = self._tokens.verify(access_token)
        session = self._session(claims.session_id, reading=reading)
        actor = None if session is None else _actor(claims, session)
        if actor is None:
            raise invalid_token()
        return actor

    def at_hand(self, access_token: str) -> Actor | None:
        """As ``authenticate``, where all of it is remembered; None otherwise. Waits for nothing."""
        claims = self._tokens.verified(access_token)
        if claims is None:
            return None
        with self._lock:
            session = self._sessions.get(claims.session_id)
        return None if session is None else _actor(claims, session)

    def me(self, actor: Actor) -> User:
        """The actor as a user; ``NotFound`` for the operator of the machine and for an API key, which are none."""
        user = None if actor.user_id is None else self._metadata.user(actor.user_id)
        if user is None:
            who = "the operator of the machine" if actor.is_machine_operator else "an API key"
            raise NotFound(f"who asks is not a user but {who}")
        return user

    def change_password(self, actor: Actor, current_password: str, new_password: str) -> None:
        """Replace the password, and end all other sessions of the user.

        Raises ``InvalidInput`` for a wrong current password (which counts as a failed sign-in) or a weak new one.
        """
        user = self.me(actor)
        problem = password_problem(new_password, user.email, min_length=self._password_min_length)
        if problem:
            raise InvalidInput.of("new_password", problem)
        buckets = [LoginBucket(f"password:{user.id}", FAILURES_PER_ACCOUNT)]
        with self._hashing.turn():
            credentials = self._metadata.credentials_of(user.id)
            if not self._proves(credentials, current_password, buckets) or credentials is None:
                raise InvalidInput.of("current_password", "is not the password that holds now")
            new_hash = self._hashing.hash(new_password)
        if not self._metadata.change_password(credentials, new_hash, actor.session_id):
            raise Conflict("the password was changed by another request at the same time", hint="try again")
        with self._lock:
            self._sessions.clear()
            self._seen.clear()

    def ensure_organization(self, name: str) -> int:
        """The id of the organization of that name, made when there is none. For the operator of the machine."""
        return self._metadata.ensure_organization(name)

    def organizations(self) -> list[Organization]:
        """All organizations. For the operator of the machine."""
        return self._metadata.organizations()

    def _check_new_user(self, email: str, password: str, name: str) -> None:
        problems = {
            "email": email_problem(email),
            "password": password_problem(password, email, min_length=self._password_min_length),
            "name": name_problem(name),
        }
        errors = [FieldError(name, problem) for name, problem in problems.items() if problem]
        if errors:
            raise InvalidInput(errors)

    def _buckets(self, key: str, network: str) -> list[LoginBucket]:
        """What a sign-in is counted against.

        Where the account was signed in before it is counted apart: strangers who guess from elsewhere fill a bucket of
        their own, and cannot lock its owner out.
        """
        account = f"account:{token_digest(key)}"
        if self._metadata.signed_in_before(key, network):
            account += f"@{network}"
        return [LoginBucket(account, FAILURES_PER_ACCOUNT), LoginBucket(f"address:{network}", FAILURES_PER_ADDRESS)]

    def _proves(self, credentials: Credentials | None, password: str, buckets: list[LoginBucket]) -> bool:
        """Whether the password is the right one, in the same time for nobody's. Counted before it is looked at, so that
        many guesses at once are not more guesses.
        """
        attempt = secrets.token_hex(16)
        _refuse_while(self._metadata.take_login_attempt(attempt, buckets, FAILURE_WINDOW_S))
        proved = self._hashing.verify(credentials.password_hash if credentials else None, password)
        if proved:
            self._metadata.take_back_login_attempt(attempt)
        return proved

    def _pair(self, user_id: int, session_id: int, refresh_token: str) -> TokenPair:
        return TokenPair(self._tokens.issue(user_id, session_id), refresh_token, self._access_ttl_s)

    def _session(self, session_id: int, *, reading: bool) -> SessionState | None:
        with self._lock:
            if session_id in self._sessions:
                return self._sessions[session_id]
        try:
            session = self._metadata.session(session_id)
        except Unavailable:
            with self._lock:
                seen = self._seen.get(session_id) if reading else None
            if seen is None:
                raise
            return seen
        with self._lock:
            self._sessions[session_id] = self._seen[session_id] = session
        return session

    def _forget_session(self, session_id: int) -> None:
        with self._lock:
            self._sessions.pop(session_id, None)
            self._seen.pop(session_id, None)


def _actor(claims: Claims, session: SessionState) -> Actor | None:
    """None when the session does not hold, or is not the token's."""
    if session.revoked or session.user_id != claims.user_id:
        return None
    return Actor(session.organization_id, session.role, session.user_id, claims.session_id)


def _refuse_while(wait_s: float) -> None:
    if wait_s > 0:
        raise Throttled("too many failed sign-ins", retry_after_s=wait_s, hint=f"try again in {math.ceil(wait_s)} s")


def _taken() -> Conflict:
    return Conflict("somebody has registered with this e-mail address", hint="sign in instead", code="email_taken")


def _new_refresh_token() -> str:
    return _REFRESH_PREFIX + secrets.token_urlsafe(_REFRESH_BYTES)


def _network(address: str) -> str:
    """What one subscriber has: an IPv4 address, or the first half of an IPv6 one. Anything else is taken as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100].encode("utf-8", "replace").decode()
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)
