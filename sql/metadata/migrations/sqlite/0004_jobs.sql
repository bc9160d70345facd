-- Jobs and who is doing them. params, state, result and error are JSON; days are text, NULL where the scope is open.
-- scoped: whether no unfinished job of the same kind and campaign may overlap first_day..last_day.
CREATE TABLE IF NOT EXISTS jobs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id  INTEGER REFERENCES organizations (id) ON DELETE CASCADE,
    kind             TEXT NOT NULL,
    campaign_id      INTEGER,
    join_key         TEXT,
    scoped           INTEGER NOT NULL,
    first_day        TEXT,
    last_day         TEXT,
    params           TEXT NOT NULL,
    state            TEXT NOT NULL,
    status           TEXT NOT NULL,
    done             INTEGER NOT NULL,
    total            INTEGER,
    unit             TEXT NOT NULL,
    result           TEXT,
    error            TEXT,
    created_by       INTEGER,
    created_at_us    INTEGER NOT NULL,
    started_at_us    INTEGER,
    finished_at_us   INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    attempts         INTEGER NOT NULL DEFAULT 0,
    owner            TEXT,
    lease_until_us   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX IF NOT EXISTS jobs_by_organization ON jobs (organization_id, id);

CREATE INDEX IF NOT EXISTS jobs_by_campaign ON jobs (campaign_id, id);

CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (id) WHERE status IN ('queued', 'running');
