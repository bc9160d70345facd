-- Single events of campaigns that were erased, for ever: nothing brings them back. digests are SHA-256 of campaign and event
-- id, 32 bytes each, one behind the other: the ids themselves are kept nowhere. job_id is the job that removes what was
-- stored of them; erased_by the user who asked, NULL for the operator of the machine.
CREATE TABLE IF NOT EXISTS event_erasures (
    job_id          BIGINT PRIMARY KEY,
    campaign_id     BIGINT NOT NULL,
    organization_id BIGINT NOT NULL,
    digests         BYTEA NOT NULL,
    erased_by       BIGINT,
    erased_at_us    BIGINT NOT NULL
);
