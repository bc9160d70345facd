"""What the metadata store keeps of who may do what: members, invitations, API keys, and the audit log.

As in ``ports.metadata`` every method is one transaction. Tokens and keys are known here by their hexadecimal SHA-256.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from campaignctl.domain.api_keys import ApiKey, Scope
from campaignctl.domain.audit import AuditEntry, AuditFilter
from campaignctl.domain.users import Invitation, Role, User


class MemberChange(Enum):
    """What became of a change to a member."""

    DONE = "done"
    MISSING = "missing"
    """No such member in the organization."""
    LAST_ADMIN = "last_admin"
    """The organization would be left without an admin."""


@dataclass(frozen=True, slots=True)
class NewInvitation:
    organization_id: int
    email: str
    email_key: str
    role: Role
    token_hash: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Joining:
    """Who accepts an invitation, beside what the invitation says."""

    name: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class ResetTarget:
    """Whose password a one-time token may set."""

    user_id: int
    email: str
    organization_id: int


class MemberStore(Protocol):
    def members(self, organization_id: int | None, after_id: int, limit: int, /) -> list[User]:
        """Up to ``limit`` members of the organization (None: of all) with a larger id, ascending."""
        ...

    def change_member_role(self, organization_id: int, user_id: int, role: Role, /) -> MemberChange:
        """Never takes the last admin's role, whatever happens at the same time."""
        ...

    def remove_member(self, organization_id: int, user_id: int, /) -> MemberChange:
        """The user is gone with all sessions; the address is free again."""
        ...

    def invite(self, invitation: NewInvitation, /) -> Invitation:
        """A new invitation in place of those to the same address that nobody has accepted."""
        ...

    def invitation(self, token_hash: str, /) -> Invitation | None:
        """The invitation while it holds: neither accepted nor expired."""
        ...

    def join(self, token_hash: str, joining: Joining, /) -> User | None:
        """Use the invitation up for a new user; None when it does not hold any more, or the address is taken by now.

        Of several callers one has the user.
        """
        ...

    def add_password_reset(self, user_id: int, token_hash: str, expires_at: datetime, /) -> None:
        """In place of earlier ones of the same user."""
        ...

    def password_reset(self, token_hash: str, /) -> ResetTarget | None: ...

    def reset_password(self, token_hash: str, new_hash: str, /) -> bool:
        """Set the password and end every session of the user; False when the token does not hold any more."""
        ...


@dataclass(frozen=True, slots=True)
class NewApiKey:
    organization_id: int
    name: str
    prefix: str
    key_hash: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None


class ApiKeyStore(Protocol):
    def add_api_key(self, key: NewApiKey, /) -> ApiKey: ...

    def api_keys(self, organization_id: int | None, after_id: int, limit: int, /) -> list[ApiKey]:
        """Up to ``limit`` keys of the organization (None: of all) with a larger id, ascending."""
        ...

    def api_key(self, key_id: int, /) -> ApiKey | None: ...

    def find_api_key(self, key_hash: str, /) -> ApiKey | None:
        """The key, also one that has expired."""
        ...

    def touch_api_key(self, key_id: int, /) -> None:
        """Remember that the key was used now."""
        ...

    def remove_api_key(self, key_id: int, /) -> bool: ...


class AuditStore(Protocol):
    """Append-only: nothing here changes or removes an entry."""

    def add_audit_entry(self, entry: AuditEntry, /) -> None: ...

    def audit_entries(self, wanted: AuditFilter, before_id: int, limit: int, /) -> Sequence[AuditEntry]:
        """Up to ``limit`` entries with a smaller id than ``before_id`` (0: from the newest on), newest first."""
        ...


class MembershipStore(MemberStore, ApiKeyStore, AuditStore, Protocol):
    """All of it."""
