"""Idempotency keys and the answers kept for them."""

import json

from campaignctl.adapters.metadata.database import Row, Tables, Value, seconds_to_us
from campaignctl.ports.metadata import HeldKey, IdempotencyScope, StoredAnswer


class IdempotencyTables(Tables):
    def claim_key(self, scope: IdempotencyScope, fingerprint: str, lock_s: float, keep_s: float, /) -> HeldKey | None:
        now_us = self._now_us()
        with self._database.writing() as tx:
            tx.run("remove_expired_idempotency_keys", now_us=now_us)
            claimed = tx.one(
                "claim_idempotency_key",
                fingerprint=fingerprint,
                now_us=now_us,
                expires_at_us=now_us + seconds_to_us(keep_s),
                dead_before_us=now_us - seconds_to_us(lock_s),
                **_key(scope),
            )
            if claimed is not None:
                return None
            held = tx.one("fetch_idempotency_key", **_key(scope))
        # Where writers do not queue up, its holder may just have released it: to the caller it is still in flight.
        return HeldKey(fingerprint, None) if held is None else HeldKey(held["fingerprint"], _answer(held))

    def keep_answer(self, scope: IdempotencyScope, answer: StoredAnswer, /) -> None:
        with self._database.writing() as tx:
            tx.run(
                "keep_answer",
                status=answer.status,
                headers=json.dumps(answer.headers),
                body=answer.body,
                **_key(scope),
            )

    def release_key(self, scope: IdempotencyScope, /) -> None:
        with self._database.writing() as tx:
            tx.run("release_idempotency_key", **_key(scope))


def _key(scope: IdempotencyScope) -> dict[str, Value]:
    return {"organization_id": scope.organization_id, "user_id": scope.user_id, "key": scope.key}


def _answer(row: Row) -> StoredAnswer | None:
    if row["status"] is None:
        return None
    headers = tuple((name, value) for name, value in json.loads(row["headers"]))
    return StoredAnswer(row["status"], headers, bytes(row["body"]))
