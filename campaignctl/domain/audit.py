"""The audit log: who did what, when and from where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done. No member ever holds a secret."""

    at: datetime
    organization_id: int | None
    """None: done for no organization, by the operator of the machine."""
    actor: str
    """``user:7``, ``api_key:3`` or ``operator``."""
    actor_name: str
    """The user's address or the key's prefix at that time; empty for the operator."""
    action: str
    """The operation of the API, as its document names it: ``createCampaign``."""
    object: str
    """What it was done to: ``campaign:42``, or a path."""
    address: str
    request_id: str
    details: Mapping[str, str] = field(default_factory=dict)
    id: int = 0
    """Rises with time; 0 before the entry is kept."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to list; None lets every entry pass."""

    organization_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    actor: str | None = None
    """An ``actor`` or an ``actor_name``."""
    action: str | None = None
