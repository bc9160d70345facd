-- find_unfinished_job
-- The oldest unfinished job that a new one joins (the same key), or that is in its way (an overlapping scope).
SELECT id, join_key FROM jobs
WHERE status IN ('queued', 'running')
  AND kind = :kind
  AND COALESCE(organization_id, 0) = COALESCE(CAST(:organization_id AS BIGINT), 0)
  AND COALESCE(campaign_id, 0) = COALESCE(CAST(:campaign_id AS BIGINT), 0)
  AND (
      join_key = :join_key
      OR (
          scoped = 1 AND :scoped = 1
          AND COALESCE(first_day, '0001-01-01') <= COALESCE(CAST(:last_day AS TEXT), '9999-12-31')
          AND COALESCE(last_day, '9999-12-31') >= COALESCE(CAST(:first_day AS TEXT), '0001-01-01')
      )
  )
ORDER BY CASE WHEN join_key = :join_key THEN 0 ELSE 1 END, id
LIMIT 1;

-- add_job
INSERT INTO jobs (
    organization_id, kind, campaign_id, join_key, scoped, first_day, last_day, params, state, status, done, unit,
    created_by, created_at_us
)
VALUES (
    :organization_id, :kind, :campaign_id, :join_key, :scoped, :first_day, :last_day, :params, '{}', 'queued', 0, :unit,
    :created_by, :now_us
)
RETURNING id;

-- add_job_lane
INSERT INTO job_lanes (job_id, lane) VALUES (:job_id, :lane);

-- fetch_job_lane
SELECT lane FROM job_lanes WHERE job_id = :job_id;

-- fetch_job
SELECT id, organization_id, kind, campaign_id, params, state, status, done, total, unit, result, error, created_by,
       created_at_us, started_at_us, finished_at_us, cancel_requested, attempts
FROM jobs
WHERE id = :job_id;

-- list_jobs
-- A page, newest first; a NULL filter lets everything pass.
SELECT id, organization_id, kind, campaign_id, params, state, status, done, total, unit, result, error, created_by,
       created_at_us, started_at_us, finished_at_us, cancel_requested, attempts
FROM jobs
WHERE id < :before_id
  AND (CAST(:organization_id AS BIGINT) IS NULL OR organization_id = :organization_id)
  AND (CAST(:campaign_id AS BIGINT) IS NULL OR campaign_id = :campaign_id)
  AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind)
  AND (CAST(:status AS TEXT) IS NULL OR status = :status)
ORDER BY id DESC
LIMIT :limit;

-- find_claimable_job
-- The oldest job that nobody is doing. kinds is a list of names between commas (,fetch,,replay,), full one of lanes (,fetch/meta,).
SELECT id FROM jobs
WHERE status IN ('queued', 'running')
  AND (status = 'queued' OR lease_until_us <= :now_us)
  AND REPLACE(CAST(:kinds AS TEXT), ',' || kind || ',', '') <> CAST(:kinds AS TEXT)
  AND REPLACE(
      CAST(:full AS TEXT),
      ',' || kind || '/' || COALESCE((SELECT lane FROM job_lanes WHERE job_id = jobs.id), '') || ',', ''
  ) = CAST(:full AS TEXT)
ORDER BY id
LIMIT 1;

-- lock_claimable_job
-- The same, for whoever claims it in this transaction.
SELECT id FROM jobs
WHERE status IN ('queued', 'running')
  AND (status = 'queued' OR lease_until_us <= :now_us)
  AND REPLACE(CAST(:kinds AS TEXT), ',' || kind || ',', '') <> CAST(:kinds AS TEXT)
  AND REPLACE(
      CAST(:full AS TEXT),
      ',' || kind || '/' || COALESCE((SELECT lane FROM job_lanes WHERE job_id = jobs.id), '') || ',', ''
  ) = CAST(:full AS TEXT)
ORDER BY id
LIMIT 1;

-- hold_job
-- The unfinished job is the owner's now.
UPDATE jobs
SET status = 'running', owner = :owner, lease_until_us = :lease_until_us,
    attempts = attempts + CASE WHEN owner = :owner THEN 0 ELSE 1 END,
    started_at_us = COALESCE(started_at_us, :now_us)
WHERE id = :job_id AND status IN ('queued', 'running');

-- renew_job
-- A NULL keeps what is there.
UPDATE jobs
SET lease_until_us = :lease_until_us,
    done = COALESCE(CAST(:done AS BIGINT), done),
    total = COALESCE(CAST(:total AS BIGINT), total),
    unit = COALESCE(CAST(:unit AS TEXT), unit),
    state = COALESCE(CAST(:state AS TEXT), state),
    result = COALESCE(CAST(:result AS TEXT), result)
WHERE id = :job_id AND owner = :owner AND status = 'running'
RETURNING cancel_requested;

-- finish_job
UPDATE jobs
SET status = :status, result = :result, error = :error, finished_at_us = :now_us, owner = NULL, lease_until_us = 0
WHERE id = :job_id AND owner = :owner AND status = 'running';

-- cancel_queued_job
UPDATE jobs SET status = 'cancelled', cancel_requested = 1, finished_at_us = :now_us
WHERE id = :job_id AND status = 'queued';

-- ask_job_to_stop
UPDATE jobs SET cancel_requested = 1 WHERE id = :job_id AND status = 'running';
