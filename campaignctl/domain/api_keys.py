"""API keys: what a program signs in with."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from campaignctl.domain.users import Role

NAME_MAX_CODE_POINTS = 200
START = "cak_"
"""Every key begins with it, so that it is told from an access token, and found by scanners where it leaked."""


class Scope(StrEnum):
    """What a key may be used for; several add up."""

    READ = "read"
    INGEST = "ingest"
    OPERATE = "operate"
    ADMIN = "admin"


_ROLES = {Scope.READ: Role.VIEWER, Scope.OPERATE: Role.OPERATOR, Scope.ADMIN: Role.ADMIN}


def role_of(scopes: Collection[Scope]) -> Role | None:
    """The highest role among the scopes; None where events may be posted and nothing else."""
    roles = [_ROLES[scope] for scope in scopes if scope in _ROLES]
    return max(roles, key=lambda role: role.rank, default=None)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed: without the key itself, which only its owner has."""

    id: int
    organization_id: int
    name: str
    prefix: str
    """The key's first characters, to tell keys apart."""
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute; None for a key that was never used."""
