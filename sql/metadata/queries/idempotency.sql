-- claim_idempotency_key
-- A row when the key is the caller's now: it is new, its answer has expired, or the equal request that held it is
-- taken for dead. No row when it is somebody else's or answered.
INSERT INTO idempotency_keys (organization_id, user_id, key, fingerprint, locked_at_us, expires_at_us)
VALUES (:organization_id, :user_id, :key, :fingerprint, :now_us, :expires_at_us)
ON CONFLICT (organization_id, user_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, locked_at_us = excluded.locked_at_us, expires_at_us = excluded.expires_at_us,
    status = NULL, headers = NULL, body = NULL
WHERE idempotency_keys.expires_at_us <= :now_us
   OR (
       idempotency_keys.status IS NULL
       AND idempotency_keys.locked_at_us <= :dead_before_us
       AND idempotency_keys.fingerprint = excluded.fingerprint
   )
RETURNING key;

-- fetch_idempotency_key
SELECT fingerprint, status, headers, body FROM idempotency_keys
WHERE organization_id = :organization_id AND user_id = :user_id AND key = :key;

-- keep_answer
-- The first answer counts.
UPDATE idempotency_keys SET status = :status, headers = :headers, body = :body
WHERE organization_id = :organization_id AND user_id = :user_id AND key = :key AND status IS NULL;

-- release_idempotency_key
DELETE FROM idempotency_keys
WHERE organization_id = :organization_id AND user_id = :user_id AND key = :key AND status IS NULL;

-- remove_expired_idempotency_keys
DELETE FROM idempotency_keys WHERE expires_at_us <= :now_us;
