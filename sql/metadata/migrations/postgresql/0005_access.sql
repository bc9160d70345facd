-- Invitations, one-time password resets, API keys and the audit log. Times are epoch microseconds, UTC. Of every token
-- and key only the SHA-256 is kept.

INSERT INTO id_counters (kind, last_id) VALUES ('invitations', 0), ('api_keys', 0) ON CONFLICT (kind) DO NOTHING;

-- An invitation stays after it was accepted, so that a second use of its token is told apart from a token made up.
CREATE TABLE IF NOT EXISTS invitations (
    id              BIGINT PRIMARY KEY DEFAULT next_id('invitations'),
    organization_id BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email           TEXT NOT NULL,
    email_key       TEXT COLLATE "C" NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('viewer', 'analyst', 'operator', 'admin')),
    token_hash      TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at_us   BIGINT NOT NULL,
    expires_at_us   BIGINT NOT NULL,
    accepted_at_us  BIGINT
);

CREATE INDEX IF NOT EXISTS invitations_by_address ON invitations (organization_id, email_key);

CREATE TABLE IF NOT EXISTS password_resets (
    token_hash    TEXT COLLATE "C" PRIMARY KEY,
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at_us BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS password_resets_by_user ON password_resets (user_id);

-- prefix is the beginning of the key, shown to people; scopes are words parted by commas.
CREATE TABLE IF NOT EXISTS api_keys (
    id              BIGINT PRIMARY KEY DEFAULT next_id('api_keys'),
    organization_id BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    prefix          TEXT NOT NULL,
    key_hash        TEXT COLLATE "C" NOT NULL UNIQUE,
    scopes          TEXT NOT NULL,
    created_at_us   BIGINT NOT NULL,
    expires_at_us   BIGINT,
    last_used_at_us BIGINT
);

CREATE INDEX IF NOT EXISTS api_keys_by_organization ON api_keys (organization_id, id);

-- Who did what: actor is user:N, api_key:N or operator; organization_id is 0 for what the operator of the machine did for
-- none. Rows are added, never changed and never removed. Nobody minds holes in these ids.
CREATE TABLE IF NOT EXISTS audit_log (
    id              BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    organization_id BIGINT NOT NULL,
    at_us           BIGINT NOT NULL,
    actor           TEXT COLLATE "C" NOT NULL,
    actor_name      TEXT NOT NULL,
    action          TEXT COLLATE "C" NOT NULL,
    object          TEXT NOT NULL,
    details         TEXT NOT NULL,
    address         TEXT NOT NULL,
    request_id      TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS audit_log_by_organization ON audit_log (organization_id, id);

CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;

CREATE OR REPLACE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
