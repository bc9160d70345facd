-- Answers kept for Idempotency-Key. status is NULL while the request is under way; 0 stands for "no user".
CREATE TABLE IF NOT EXISTS idempotency_keys (
    organization_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    key             TEXT NOT NULL,
    fingerprint     TEXT NOT NULL,
    locked_at_us    INTEGER NOT NULL,
    expires_at_us   INTEGER NOT NULL,
    status          INTEGER,
    headers         TEXT,
    body            BLOB,
    PRIMARY KEY (organization_id, user_id, key)
) STRICT;

CREATE INDEX IF NOT EXISTS idempotency_keys_by_expiry ON idempotency_keys (expires_at_us);
