-- Accounts on ad platforms and the platforms' answers. Times are epoch microseconds, UTC; days are text, YYYY-MM-DD.

-- credentials is sealed (AES-256-GCM); '' when there are none. account_key is the id as it is compared. An account is due for
-- a fetch of its newest days at recent_due_at_us, of its whole look-back window at whole_due_at_us; one fetch at a time holds it.
CREATE TABLE IF NOT EXISTS platform_accounts (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id  INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    platform         TEXT NOT NULL,
    account_id       TEXT NOT NULL,
    account_key      TEXT NOT NULL,
    name             TEXT NOT NULL,
    timezone         TEXT NOT NULL,
    currency         TEXT NOT NULL,
    credentials      TEXT NOT NULL,
    expires_at_us    INTEGER,
    verified_at_us   INTEGER,
    recent_due_at_us INTEGER NOT NULL DEFAULT 0,
    whole_due_at_us  INTEGER NOT NULL DEFAULT 0,
    held_by          TEXT NOT NULL DEFAULT '',
    held_until_us    INTEGER NOT NULL DEFAULT 0,
    created_at_us    INTEGER NOT NULL,
    updated_at_us    INTEGER NOT NULL,
    UNIQUE (organization_id, platform, account_key)
) STRICT;

-- One row per page of a report. scope is '' for all native campaigns of the account, else the digest of those asked for.
CREATE TABLE IF NOT EXISTS report_pages (
    account_id    INTEGER NOT NULL REFERENCES platform_accounts (id) ON DELETE CASCADE,
    level         TEXT NOT NULL,
    breakdown     TEXT NOT NULL,
    first_day     TEXT NOT NULL,
    last_day      TEXT NOT NULL,
    scope         TEXT NOT NULL,
    job_id        INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    fetched_at_us INTEGER NOT NULL,
    resume        TEXT,
    raw           BLOB NOT NULL,
    PRIMARY KEY (account_id, level, breakdown, first_day, last_day, scope, job_id, number)
) STRICT;

CREATE INDEX IF NOT EXISTS report_pages_by_age ON report_pages (fetched_at_us);

-- The fetch of each window that came to its end last.
CREATE TABLE IF NOT EXISTS report_windows (
    account_id    INTEGER NOT NULL REFERENCES platform_accounts (id) ON DELETE CASCADE,
    level         TEXT NOT NULL,
    breakdown     TEXT NOT NULL,
    first_day     TEXT NOT NULL,
    last_day      TEXT NOT NULL,
    scope         TEXT NOT NULL,
    job_id        INTEGER NOT NULL,
    started_at_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, level, breakdown, first_day, last_day, scope)
) STRICT;
