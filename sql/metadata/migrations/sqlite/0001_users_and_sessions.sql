-- Organizations, their users, and how users sign in. Times are epoch microseconds, UTC.

CREATE TABLE IF NOT EXISTS schema_migrations (
    number        INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    checksum      TEXT NOT NULL,
    applied_at_us INTEGER NOT NULL
) STRICT;

-- Random secrets of this installation, made at the first ask (page cursors are signed with one).
CREATE TABLE IF NOT EXISTS installation_secrets (
    name   TEXT PRIMARY KEY,
    secret TEXT NOT NULL
) STRICT;

-- rates_version rises with every change of the organization's currency rates: it is part of cache keys.
-- claims_version is raised first by whoever changes platform links, so that two such changes never interleave.
CREATE TABLE IF NOT EXISTS organizations (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL,
    rates_version  INTEGER NOT NULL DEFAULT 0,
    claims_version INTEGER NOT NULL DEFAULT 0,
    created_at_us  INTEGER NOT NULL
) STRICT;

-- email_key is the address as it is compared: NFKC, case folded.
CREATE TABLE IF NOT EXISTS users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email           TEXT NOT NULL,
    email_key       TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('viewer', 'analyst', 'operator', 'admin')),
    password_hash   TEXT NOT NULL,
    created_at_us   INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS users_by_organization ON users (organization_id, id);

-- One row per sign-in: the family of all refresh tokens that descend from it.
CREATE TABLE IF NOT EXISTS sessions (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address       TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    revoked_at_us INTEGER
) STRICT;

CREATE INDEX IF NOT EXISTS sessions_by_user ON sessions (user_id, address);

CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_at_us);

-- Only SHA-256 of the tokens. A used one stays until it expires, so that its reuse is noticed.
CREATE TABLE IF NOT EXISTS refresh_tokens (
    token_hash    TEXT PRIMARY KEY,
    session_id    INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at_us INTEGER NOT NULL,
    used_at_us    INTEGER
) STRICT;

CREATE INDEX IF NOT EXISTS refresh_tokens_by_session ON refresh_tokens (session_id, expires_at_us);

-- Sign-ins that failed or are under way, one row per bucket (an account, an address); a success removes its own.
CREATE TABLE IF NOT EXISTS login_attempts (
    attempt TEXT NOT NULL,
    bucket  TEXT NOT NULL,
    at_us   INTEGER NOT NULL,
    PRIMARY KEY (attempt, bucket)
) STRICT;

CREATE INDEX IF NOT EXISTS login_attempts_by_bucket ON login_attempts (bucket, at_us);

CREATE INDEX IF NOT EXISTS login_attempts_by_time ON login_attempts (at_us);
