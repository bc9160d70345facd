-- What PostgreSQL needs besides the shared statements: locks where SQLite's one writer at a time makes them needless, and
-- statements that must be worded otherwise because many write at once. Those have the name of the one they stand for.
--
-- Nobody waits in a circle, because everybody takes locks in this order: an advisory lock, id_counters (organizations
-- before users), an organization, campaigns by id, a user, a session, then its tokens. What clears away old rows takes no
-- row that anybody holds.

-- find_migrations_table
-- A row once the database has been migrated.
SELECT to_regclass('schema_migrations') AS name WHERE to_regclass('schema_migrations') IS NOT NULL;

-- try_migration_lock
-- Held by the connection until it ends.
SELECT pg_try_advisory_lock(1667329392, 1) AS held;

-- release_migration_lock
SELECT pg_advisory_unlock(1667329392, 1);

-- lock_migrating_transaction
-- A second fence: the connection that holds the lock above may break while a migration runs.
SELECT pg_advisory_xact_lock(1667329392, 2);

-- lock_organization_ids
-- Before looking for an organization that will be made when it is not there.
SELECT last_id FROM id_counters WHERE kind = 'organizations' FOR UPDATE;

-- lock_login_bucket
-- Before counting the attempts in a bucket to add one.
SELECT pg_advisory_xact_lock(hashtextextended('campaignctl login attempts ' || CAST(:bucket AS TEXT), 0));

-- lock_new_jobs
-- Before looking for the job that a new one joins or meets.
SELECT pg_advisory_xact_lock(hashtextextended('campaignctl jobs ' || CAST(:kind AS TEXT), COALESCE(CAST(:campaign_id AS BIGINT), 0)));

-- lock_claimable_job
-- Locks the job: of several who claim, each gets another one.
SELECT id FROM jobs
WHERE status IN ('queued', 'running')
  AND (status = 'queued' OR lease_until_us <= :now_us)
  AND REPLACE(CAST(:kinds AS TEXT), ',' || kind || ',', '') <> CAST(:kinds AS TEXT)
  AND REPLACE(
      CAST(:full AS TEXT),
      ',' || kind || '/' || COALESCE((SELECT lane FROM job_lanes WHERE job_id = jobs.id), '') || ',', ''
  ) = CAST(:full AS TEXT)
ORDER BY id
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- fetch_refresh_token
-- Locks the session: of all who come with its tokens, one after another decides what becomes of it.
SELECT t.session_id, t.expires_at_us, t.used_at_us, s.user_id, s.revoked_at_us
FROM refresh_tokens t
JOIN sessions s ON s.id = t.session_id
WHERE t.token_hash = :token_hash
FOR UPDATE OF s;

-- remove_expired_sessions
-- Some of them at a time: after a long standstill all of them would take longer than a call may.
WITH old AS MATERIALIZED (
    SELECT id FROM sessions WHERE expires_at_us <= :now_us ORDER BY expires_at_us LIMIT 500 FOR UPDATE SKIP LOCKED
)
DELETE FROM sessions WHERE id IN (SELECT id FROM old);

-- remove_old_login_attempts
-- Those out of the window, and those of a future that a clock set back has left behind; some of them at a time.
WITH old AS MATERIALIZED (
    SELECT attempt, bucket
    FROM login_attempts
    WHERE at_us <= :window_start_us OR at_us > :window_end_us
    LIMIT 500
    FOR UPDATE SKIP LOCKED
)
DELETE FROM login_attempts WHERE (attempt, bucket) IN (SELECT attempt, bucket FROM old);

-- remove_expired_idempotency_keys
-- Some of them at a time, by one transaction at a time: two could each wait for a key that the other has removed.
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(1667329392, 3) AS mine),
old AS MATERIALIZED (
    SELECT organization_id, user_id, key
    FROM idempotency_keys
    WHERE expires_at_us <= :now_us AND (SELECT mine FROM turn)
    ORDER BY expires_at_us
    LIMIT 500
    FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency_keys WHERE (organization_id, user_id, key) IN (SELECT organization_id, user_id, key FROM old);

-- fetch_facts_of_campaigns
-- One row per platform a campaign lists; one with a NULL platform when it lists none.
SELECT DISTINCT c.id, c.organization_id, c.timezone, c.currency, c.has_events, c.version, c.data_version,
                o.rates_version, l.platform
FROM campaigns c
JOIN organizations o ON o.id = c.organization_id
LEFT JOIN platform_links l ON l.campaign_id = c.id
WHERE c.id = ANY(CAST(:campaign_ids AS BIGINT[]))
ORDER BY c.id, l.platform;

-- fetch_links_of_campaigns
-- As fetch_platform_links, of many.
SELECT campaign_id, platform, account_id, external_id, level, valid_from, valid_to
FROM platform_links
WHERE campaign_id = ANY(CAST(:campaign_ids AS BIGINT[]))
ORDER BY campaign_id, position;

-- mark_campaigns_as_having_events
UPDATE campaigns SET has_events = 1
FROM (
    SELECT id AS due FROM campaigns
    WHERE id = ANY(CAST(:campaign_ids AS BIGINT[])) AND has_events = 0
    ORDER BY id
    FOR NO KEY UPDATE
) AS locked
WHERE id = due;

-- bump_all_data_versions
UPDATE campaigns SET data_version = data_version + 1
FROM (SELECT id AS due FROM campaigns WHERE id = ANY(CAST(:campaign_ids AS BIGINT[])) ORDER BY id FOR NO KEY UPDATE) AS locked
WHERE id = due;

-- put_all_rates
-- A (base, currency, day) must not be given twice.
INSERT INTO currency_rates (organization_id, base, currency, day, rate)
SELECT :organization_id, base, currency, day, rate
FROM unnest(CAST(:bases AS TEXT[]), CAST(:currencies AS TEXT[]), CAST(:days AS TEXT[]), CAST(:rates AS TEXT[]))
    AS given (base, currency, day, rate)
ON CONFLICT (organization_id, base, currency, day) DO UPDATE SET rate = excluded.rate;

-- server_version
SELECT current_setting('server_version') AS version;

-- server_time
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now_us;
