-- Jobs whose places at work are counted apart from those of other jobs of their kind: lane says with whom they share them.
-- A job without a row shares them with all others that have none.
CREATE TABLE IF NOT EXISTS job_lanes (
    job_id BIGINT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    lane   TEXT COLLATE "C" NOT NULL
);
