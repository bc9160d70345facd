"""The audit log: written by the server after each change, read by admins."""

from collections.abc import Mapping
from typing import Protocol

from campaignctl.domain.audit import AuditEntry, AuditFilter
from campaignctl.domain.users import Actor, Role
from campaignctl.ports.clock import Clock
from campaignctl.ports.membership import ApiKeyStore, AuditStore
from campaignctl.ports.metadata import SecretStore, UserStore
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit


class AuditRecords(AuditStore, ApiKeyStore, UserStore, SecretStore, Protocol):
    """What the audit service needs."""


class AuditService:
    def __init__(self, metadata: AuditRecords, clock: Clock) -> None:
        self._metadata = metadata
        self._clock = clock
        self._cursors = Cursors("audit", lambda: metadata.installation_secret("cursors"))

    def record(
        self, actor: Actor, action: str, what: str, *, address: str, request_id: str, details: Mapping[str, str]
    ) -> None:
        """Keep what the actor has done to ``what``. Raises ``Unavailable``."""
        self._metadata.add_audit_entry(
            AuditEntry(
                at=self._clock.now(),
                organization_id=actor.organization_id,
                actor=actor.label,
                actor_name=self._name_of(actor),
                action=action,
                object=what,
                address=address,
                request_id=request_id,
                details=details,
            )
        )

    def list(
        self, actor: Actor, wanted: AuditFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """A page, newest first. ``Forbidden`` below admin; ``wanted.organization_id`` must be the actor's."""
        actor.require(Role.ADMIN)
        checked_limit(limit)
        filters = {
            "organization": wanted.organization_id,
            "since": wanted.since,
            "until": wanted.until,
            "actor": wanted.actor,
            "action": wanted.action,
        }
        before_id = 0 if cursor is None else int(self._cursors.decode(cursor, filters)[0])
        found = self._metadata.audit_entries(wanted, before_id, limit + 1)
        return self._cursors.page(found, limit, lambda entry: (entry.id,), filters)

    def _name_of(self, actor: Actor) -> str:
        if actor.api_key_id is not None:
            key = self._metadata.api_key(actor.api_key_id)
            return "" if key is None else key.prefix
        user = None if actor.user_id is None else self._metadata.user(actor.user_id)
        return "" if user is None else user.email
