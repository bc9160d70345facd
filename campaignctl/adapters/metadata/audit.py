"""The audit log."""

import json
from collections.abc import Sequence

from campaignctl.adapters.metadata.database import Row, Tables, from_us, to_us
from campaignctl.domain.audit import AuditEntry, AuditFilter

_NO_ORGANIZATION = 0


class AuditTables(Tables):
    def add_audit_entry(self, entry: AuditEntry, /) -> None:
        with self._database.writing() as tx:
            tx.run(
                "add_audit_entry",
                organization_id=entry.organization_id or _NO_ORGANIZATION,
                at_us=to_us(entry.at),
                actor=entry.actor,
                actor_name=entry.actor_name,
                action=entry.action,
                object=entry.object,
                details=json.dumps(dict(entry.details), sort_keys=True),
                address=entry.address,
                request_id=entry.request_id,
            )

    def audit_entries(self, wanted: AuditFilter, before_id: int, limit: int, /) -> Sequence[AuditEntry]:
        with self._database.reading() as tx:
            rows = tx.all(
                "list_audit_entries",
                organization_id=wanted.organization_id,
                before_id=before_id,
                since_us=None if wanted.since is None else to_us(wanted.since),
                until_us=None if wanted.until is None else to_us(wanted.until),
                actor=wanted.actor,
                action=wanted.action,
                limit=limit,
            )
        return list(map(_entry, rows))


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        at=from_us(row["at_us"]),
        organization_id=row["organization_id"] or None,
        actor=row["actor"],
        actor_name=row["actor_name"],
        action=row["action"],
        object=row["object"],
        address=row["address"],
        request_id=row["request_id"],
        details=json.loads(row["details"]),
        id=row["id"],
    )
