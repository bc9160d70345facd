"""Members of an organization: inviting them, their roles, and helping those who forgot their password."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from campaignctl.domain.passwords import password_problem
from campaignctl.domain.users import (
    USER_NAME_MAX_CODE_POINTS,
    Actor,
    Invitation,
    Role,
    User,
    email_key,
    email_problem,
    has_unprintable,
)
from campaignctl.errors import Conflict, FieldError, InvalidInput, NotFound
from campaignctl.ports.clock import Clock
from campaignctl.ports.membership import Joining, MemberChange, MemberStore, NewInvitation
from campaignctl.ports.metadata import OrganizationStore, SecretStore, UserStore
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit
from campaignctl.services.passwords import PasswordHashing
from campaignctl.services.tenancy import organization_of

INVITATION_TTL = timedelta(days=7)
RESET_TTL = timedelta(hours=24)
_INVITATION_PREFIX, _RESET_PREFIX = "inv_", "pwr_"
_TOKEN_BYTES = 32
_TOKEN_MAX_CHARACTERS = 200


class MemberRecords(MemberStore, UserStore, OrganizationStore, SecretStore, Protocol):
    """What the member service needs."""


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    invitation: Invitation
    token: str = field(repr=False)
    """Shown once: only its hash is kept."""


@dataclass(frozen=True, slots=True)
class IssuedReset:
    """A one-time token that sets a new password."""

    token: str = field(repr=False)
    expires_at: datetime


class MemberService:
    """What an admin may do with the members of the organization, and what invited people may do."""

    def __init__(
        self, metadata: MemberRecords, clock: Clock, hashing: PasswordHashing, *, password_min_length: int = 12
    ) -> None:
        self._metadata = metadata
        self._clock = clock
        self._hashing = hashing
        self._password_min_length = password_min_length
        self._cursors = Cursors("members", lambda: metadata.installation_secret("cursors"))

    def list(self, actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[User]:
        """A page of members by id. ``Forbidden`` below admin; the operator of the machine sees all organizations'."""
        actor.require(Role.ADMIN)
        checked_limit(limit)
        filters = {"organization": actor.organization_id}
        after_id = 0 if cursor is None else int(self._cursors.decode(cursor, filters)[0])
        found = self._metadata.members(actor.organization_id, after_id, limit + 1)
        return self._cursors.page(found, limit, lambda user: (user.id,), filters)

    def get(self, user_id: int, actor: Actor) -> User:
        actor.require(Role.ADMIN)
        user = self._metadata.user(user_id)
        if user is None or not actor.sees(user.organization_id):
            raise NotFound(f"there is no member {user_id}")
        return user

    def change_role(self, user_id: int, role: Role, actor: Actor) -> User:
        """The member with another role, which holds within 5 s everywhere. ``Conflict`` for the last admin."""
        user = self.get(user_id, actor)
        self._check(self._metadata.change_member_role(user.organization_id, user_id, role), user_id)
        return self.get(user_id, actor)

    def remove(self, user_id: int, actor: Actor) -> None:
        """The member is gone, all sessions end within 5 s. ``Conflict`` for the last admin."""
        user = self.get(user_id, actor)
        self._check(self._metadata.remove_member(user.organization_id, user_id), user_id)

    def invite(self, email: str, role: Role, actor: Actor) -> IssuedInvitation:
        """An invitation that holds for a week, in place of an earlier one to the same address.

        Raises ``InvalidInput``, and ``Conflict`` (``email_taken``) when somebody has registered with the address.
        """
        actor.require(Role.ADMIN)
        problem = email_problem(email)
        if problem:
            raise InvalidInput.of("email", problem)
        key = email_key(email)
        if self._metadata.email_is_taken(key):
            raise _taken()
        token = _INVITATION_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        organization_id = organization_of(actor, self._metadata)
        expires_at = self._clock.now() + INVITATION_TTL
        wanted = NewInvitation(organization_id, email, key, role, token_digest(token), expires_at)
        return IssuedInvitation(self._metadata.invite(wanted), token)

    def accept(self, token: str, password: str, name: str = "") -> User:
        """The new member. ``NotFound`` for a token that does not hold (any more), ``Conflict`` for a taken address."""
        digest = token_digest(token)
        invitation = self._metadata.invitation(digest)
        if invitation is None:
            raise _no_invitation()
        problems = {
            "password": password_problem(password, invitation.email, min_length=self._password_min_length),
            "name": name_problem(name),
        }
        errors = [FieldError(member, problem) for member, problem in problems.items() if problem]
        if errors:
            raise InvalidInput(errors)
        with self._hashing.turn():
            password_hash = self._hashing.hash(password)
        user = self._metadata.join(digest, Joining(name, password_hash))
        if user is None:
            raise _taken() if self._metadata.invitation(digest) else _no_invitation()
        return user

    def issue_reset(self, user_id: int, actor: Actor) -> IssuedReset:
        """A token with which the member can set a new password within a day, once."""
        user = self.get(user_id, actor)
        token = _RESET_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        expires_at = self._clock.now() + RESET_TTL
        self._metadata.add_password_reset(user.id, token_digest(token), expires_at)
        return IssuedReset(token, expires_at)

    def reset_password(self, token: str, new_password: str) -> User:
        """Set the password of the token's owner, answered; all sessions end. ``NotFound`` for a token that is void."""
        digest = token_digest(token)
        target = self._metadata.password_reset(digest)
        if target is None:
            raise _no_reset()
        problem = password_problem(new_password, target.email, min_length=self._password_min_length)
        if problem:
            raise InvalidInput.of("new_password", problem)
        with self._hashing.turn():
            new_hash = self._hashing.hash(new_password)
        user = self._metadata.user(target.user_id)
        if user is None or not self._metadata.reset_password(digest, new_hash):
            raise _no_reset()
        return user

    def _check(self, outcome: MemberChange, user_id: int) -> None:
        match outcome:
            case MemberChange.MISSING:
                raise NotFound(f"there is no member {user_id}")
            case MemberChange.LAST_ADMIN:
                raise Conflict(
                    f"member {user_id} is the last admin of the organization",
                    hint="give another member the role admin first",
                    code="last_admin",
                )


def name_problem(name: str) -> str | None:
    """What is wrong with a person's name, as the end of a sentence; None when nothing is."""
    if len(name) > USER_NAME_MAX_CODE_POINTS:
        return f"must have at most {USER_NAME_MAX_CODE_POINTS} characters"
    return "must not hold control characters or line breaks" if has_unprintable(name) else None


def token_digest(token: str) -> str:
    """What is kept of a token or a key."""
    return hashlib.sha256(token[:_TOKEN_MAX_CHARACTERS].encode("utf-8", "replace")).hexdigest()


def _taken() -> Conflict:
    return Conflict("somebody has registered with this e-mail address", code="email_taken")


def _no_invitation() -> NotFound:
    return NotFound(
        "there is no such invitation, or it was used or has expired", hint="ask an admin for a new invitation"
    )


def _no_reset() -> NotFound:
    return NotFound("there is no such reset token, or it was used or has expired", hint="ask an admin for a new one")
