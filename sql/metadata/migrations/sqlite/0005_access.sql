-- Invitations, one-time password resets, API keys and the audit log. Times are epoch microseconds, UTC. Of every token
-- and key only the SHA-256 is kept.

-- An invitation stays after it was accepted, so that a second use of its token is told apart from a token made up.
CREATE TABLE IF NOT EXISTS invitations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email           TEXT NOT NULL,
    email_key       TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('viewer', 'analyst', 'operator', 'admin')),
    token_hash      TEXT NOT NULL UNIQUE,
    created_at_us   INTEGER NOT NULL,
    expires_at_us   INTEGER NOT NULL,
    accepted_at_us  INTEGER
) STRICT;

CREATE INDEX IF NOT EXISTS invitations_by_address ON invitations (organization_id, email_key);

CREATE TABLE IF NOT EXISTS password_resets (
    token_hash    TEXT PRIMARY KEY,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS password_resets_by_user ON password_resets (user_id);

-- prefix is the beginning of the key, shown to people; scopes are words parted by commas.
CREATE TABLE IF NOT EXISTS api_keys (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    prefix          TEXT NOT NULL,
    key_hash        TEXT NOT NULL UNIQUE,
    scopes          TEXT NOT NULL,
    created_at_us   INTEGER NOT NULL,
    expires_at_us   INTEGER,
    last_used_at_us INTEGER
) STRICT;

CREATE INDEX IF NOT EXISTS api_keys_by_organization ON api_keys (organization_id, id);

-- Who did what: actor is user:N, api_key:N or operator; organization_id is 0 for what the operator of the machine did for
-- none. Rows are added, never changed and never removed.
CREATE TABLE IF NOT EXISTS audit_log (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL,
    at_us           INTEGER NOT NULL,
    actor           TEXT NOT NULL,
    actor_name      TEXT NOT NULL,
    action          TEXT NOT NULL,
    object          TEXT NOT NULL,
    details         TEXT NOT NULL,
    address         TEXT NOT NULL,
    request_id      TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS audit_log_by_organization ON audit_log (organization_id, id);

CREATE TRIGGER IF NOT EXISTS audit_log_is_not_changed BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER IF NOT EXISTS audit_log_is_not_shortened BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
