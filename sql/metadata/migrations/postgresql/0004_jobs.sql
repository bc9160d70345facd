-- Jobs and who is doing them. params, state, result and error are JSON; days are text, NULL where the scope is open.
-- scoped: whether no unfinished job of the same kind and campaign may overlap first_day..last_day.

INSERT INTO id_counters (kind, last_id) VALUES ('jobs', 0) ON CONFLICT (kind) DO NOTHING;

CREATE TABLE IF NOT EXISTS jobs (
    id               BIGINT PRIMARY KEY DEFAULT next_id('jobs'),
    organization_id  BIGINT REFERENCES organizations (id) ON DELETE CASCADE,
    kind             TEXT COLLATE "C" NOT NULL,
    campaign_id      BIGINT,
    join_key         TEXT COLLATE "C",
    scoped           BIGINT NOT NULL,
    first_day        TEXT COLLATE "C",
    last_day         TEXT COLLATE "C",
    params           TEXT NOT NULL,
    state            TEXT NOT NULL,
    status           TEXT COLLATE "C" NOT NULL,
    done             BIGINT NOT NULL,
    total            BIGINT,
    unit             TEXT NOT NULL,
    result           TEXT,
    error            TEXT,
    created_by       BIGINT,
    created_at_us    BIGINT NOT NULL,
    started_at_us    BIGINT,
    finished_at_us   BIGINT,
    cancel_requested BIGINT NOT NULL DEFAULT 0,
    attempts         BIGINT NOT NULL DEFAULT 0,
    owner            TEXT COLLATE "C",
    lease_until_us   BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS jobs_by_organization ON jobs (organization_id, id);

CREATE INDEX IF NOT EXISTS jobs_by_campaign ON jobs (campaign_id, id);

CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (id) WHERE status IN ('queued', 'running');
