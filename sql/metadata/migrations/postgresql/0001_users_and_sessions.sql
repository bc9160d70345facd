-- Organizations, their users, and how users sign in. Times are epoch microseconds, UTC.
-- Text is compared and sorted by code points (COLLATE "C"), whatever the database's own collation is.

CREATE TABLE IF NOT EXISTS schema_migrations (
    number        BIGINT PRIMARY KEY,
    name          TEXT NOT NULL,
    checksum      TEXT NOT NULL,
    applied_at_us BIGINT NOT NULL
);

-- Ids that people see count up from 1 without holes: a sequence would lose those of transactions that roll back.
-- The row stays locked until its transaction ends, so whoever makes objects of one kind does so one after another.
CREATE TABLE IF NOT EXISTS id_counters (
    kind    TEXT COLLATE "C" PRIMARY KEY,
    last_id BIGINT NOT NULL
);

INSERT INTO id_counters (kind, last_id) VALUES ('organizations', 0), ('users', 0) ON CONFLICT (kind) DO NOTHING;

CREATE OR REPLACE FUNCTION next_id(wanted TEXT) RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ UPDATE id_counters SET last_id = last_id + 1 WHERE kind = wanted RETURNING last_id $$;

-- Random secrets of this installation, made at the first ask (page cursors are signed with one).
CREATE TABLE IF NOT EXISTS installation_secrets (
    name   TEXT COLLATE "C" PRIMARY KEY,
    secret TEXT NOT NULL
);

-- rates_version rises with every change of the organization's currency rates: it is part of cache keys.
-- claims_version is raised first by whoever changes platform links, so that two such changes never interleave.
CREATE TABLE IF NOT EXISTS organizations (
    id             BIGINT PRIMARY KEY DEFAULT next_id('organizations'),
    name           TEXT COLLATE "C" NOT NULL,
    rates_version  BIGINT NOT NULL DEFAULT 0,
    claims_version BIGINT NOT NULL DEFAULT 0,
    created_at_us  BIGINT NOT NULL
);

-- email_key is the address as it is compared: NFKC, case folded.
CREATE TABLE IF NOT EXISTS users (
    id              BIGINT PRIMARY KEY DEFAULT next_id('users'),
    organization_id BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email           TEXT NOT NULL,
    email_key       TEXT COLLATE "C" NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('viewer', 'analyst', 'operator', 'admin')),
    password_hash   TEXT COLLATE "C" NOT NULL,
    created_at_us   BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS users_by_organization ON users (organization_id, id);

-- One row per sign-in: the family of all refresh tokens that descend from it. Nobody minds holes in these ids.
CREATE TABLE IF NOT EXISTS sessions (
    id            BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address       TEXT COLLATE "C" NOT NULL,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    revoked_at_us BIGINT
);

CREATE INDEX IF NOT EXISTS sessions_by_user ON sessions (user_id, address);

CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_at_us);

-- Only SHA-256 of the tokens. A used one stays until it expires, so that its reuse is noticed.
CREATE TABLE IF NOT EXISTS refresh_tokens (
    token_hash    TEXT COLLATE "C" PRIMARY KEY,
    session_id    BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at_us BIGINT NOT NULL,
    used_at_us    BIGINT
);

CREATE INDEX IF NOT EXISTS refresh_tokens_by_session ON refresh_tokens (session_id, expires_at_us);

-- Sign-ins that failed or are under way, one row per bucket (an account, an address); a success removes its own.
CREATE TABLE IF NOT EXISTS login_attempts (
    attempt TEXT COLLATE "C" NOT NULL,
    bucket  TEXT COLLATE "C" NOT NULL,
    at_us   BIGINT NOT NULL,
    PRIMARY KEY (attempt, bucket)
);

CREATE INDEX IF NOT EXISTS login_attempts_by_bucket ON login_attempts (bucket, at_us);

CREATE INDEX IF NOT EXISTS login_attempts_by_time ON login_attempts (at_us);
