-- Answers kept for Idempotency-Key. status is NULL while the request is under way; 0 stands for "no user".
CREATE TABLE IF NOT EXISTS idempotency_keys (
    organization_id BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    key             TEXT COLLATE "C" NOT NULL,
    fingerprint     TEXT COLLATE "C" NOT NULL,
    locked_at_us    BIGINT NOT NULL,
    expires_at_us   BIGINT NOT NULL,
    status          BIGINT,
    headers         TEXT,
    body            BYTEA,
    PRIMARY KEY (organization_id, user_id, key)
);

CREATE INDEX IF NOT EXISTS idempotency_keys_by_expiry ON idempotency_keys (expires_at_us);
