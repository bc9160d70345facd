-- Campaigns that were erased, for ever: their ids are never given again, and nothing brings their events back. job_id is
-- the job that removes what was stored of it; erased_by the user who asked, NULL for the operator of the machine.
CREATE TABLE IF NOT EXISTS erasures (
    campaign_id     BIGINT PRIMARY KEY,
    organization_id BIGINT NOT NULL,
    job_id          BIGINT NOT NULL,
    erased_by       BIGINT,
    erased_at_us    BIGINT NOT NULL
);
