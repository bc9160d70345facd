-- add_account
-- No row when the organization has it already.
INSERT INTO platform_accounts (
    organization_id, platform, account_id, account_key, name, timezone, currency, credentials, created_at_us, updated_at_us
)
VALUES (
    :organization_id, :platform, :account_id, :account_key, :name, :timezone, :currency, :credentials, :now_us, :now_us
)
ON CONFLICT (organization_id, platform, account_key) DO NOTHING
RETURNING id, organization_id, platform, account_id, name, timezone, currency, credentials, expires_at_us, verified_at_us,
    created_at_us, updated_at_us;

-- fetch_account
SELECT id, organization_id, platform, account_id, name, timezone, currency, credentials, expires_at_us, verified_at_us,
    created_at_us, updated_at_us
FROM platform_accounts WHERE id = :account_id;

-- find_account
SELECT id, organization_id, platform, account_id, name, timezone, currency, credentials, expires_at_us, verified_at_us,
    created_at_us, updated_at_us
FROM platform_accounts
WHERE organization_id = :organization_id AND platform = :platform AND account_key = :account_key;

-- list_accounts
-- Of an organization (NULL: of all), by id.
SELECT id, organization_id, platform, account_id, name, timezone, currency, credentials, expires_at_us, verified_at_us,
    created_at_us, updated_at_us
FROM platform_accounts
WHERE (CAST(:organization_id AS BIGINT) IS NULL OR organization_id = :organization_id) AND id > :after_id
ORDER BY id
LIMIT :limit;

-- replace_account
-- NULL credentials leave those that are kept.
UPDATE platform_accounts
SET name = :name, timezone = :timezone, currency = :currency,
    credentials = COALESCE(:credentials, credentials),
    expires_at_us = CASE WHEN CAST(:credentials AS TEXT) IS NULL THEN expires_at_us END,
    recent_due_at_us = CASE WHEN CAST(:credentials AS TEXT) IS NULL THEN recent_due_at_us ELSE 0 END,
    updated_at_us = :now_us
WHERE id = :account_id
RETURNING id, organization_id, platform, account_id, name, timezone, currency, credentials, expires_at_us, verified_at_us,
    created_at_us, updated_at_us;

-- remove_account
DELETE FROM platform_accounts WHERE id = :account_id;

-- reseal_account
-- Touches no row when the credentials are others by now.
UPDATE platform_accounts SET credentials = :sealed WHERE id = :account_id AND credentials = :known;

-- keep_account_facts
-- What the platform does not say is left as it is; the end of the credentials is taken as told.
UPDATE platform_accounts
SET name = CASE WHEN name = '' THEN :name ELSE name END,
    timezone = CASE WHEN CAST(:timezone AS TEXT) = '' THEN timezone ELSE :timezone END,
    currency = CASE WHEN CAST(:currency AS TEXT) = '' THEN currency ELSE :currency END,
    expires_at_us = :expires_at_us,
    verified_at_us = :now_us
WHERE id = :account_id;

-- hold_account
-- Touches no row while another owner has it.
UPDATE platform_accounts SET held_by = :owner, held_until_us = :until_us
WHERE id = :account_id AND (held_by = :owner OR held_until_us <= :now_us);

-- claimed_natives_of_account
SELECT DISTINCT level, native_key FROM native_claims
WHERE organization_id = :organization_id AND platform = :platform AND account_key = :account_key
ORDER BY level, native_key;

-- watched_accounts
SELECT a.id, a.platform, a.created_at_us, a.expires_at_us,
    (
        SELECT COUNT(*) FROM native_claims AS n
        WHERE n.organization_id = a.organization_id AND n.platform = a.platform AND n.account_key = a.account_key
    ) AS claims,
    (SELECT MAX(w.started_at_us) FROM report_windows AS w WHERE w.account_id = a.id) AS fetched_at_us
FROM platform_accounts AS a WHERE a.credentials <> ''
ORDER BY a.id;

-- due_accounts_recent
SELECT id FROM platform_accounts WHERE credentials <> '' AND recent_due_at_us <= :now_us ORDER BY recent_due_at_us, id LIMIT :limit;

-- due_accounts_whole
SELECT id FROM platform_accounts WHERE credentials <> '' AND whole_due_at_us <= :now_us ORDER BY whole_due_at_us, id LIMIT :limit;

-- take_due_account_recent
-- Touches no row when another process was first.
UPDATE platform_accounts SET recent_due_at_us = :next_at_us WHERE id = :account_id AND recent_due_at_us <= :now_us;

-- take_due_account_whole
UPDATE platform_accounts SET whole_due_at_us = :next_at_us WHERE id = :account_id AND whole_due_at_us <= :now_us;

-- add_report_page
INSERT INTO report_pages (
    account_id, level, breakdown, first_day, last_day, scope, job_id, number, fetched_at_us, resume, raw
)
VALUES (
    :account_id, :level, :breakdown, :first_day, :last_day, :scope, :job_id, :number, :fetched_at_us, :resume, :raw
)
ON CONFLICT (account_id, level, breakdown, first_day, last_day, scope, job_id, number)
DO UPDATE SET fetched_at_us = excluded.fetched_at_us, resume = excluded.resume, raw = excluded.raw;

-- fetch_report_pages
SELECT number, fetched_at_us, resume FROM report_pages
WHERE account_id = :account_id AND level = :level AND breakdown = :breakdown AND first_day = :first_day
  AND last_day = :last_day AND scope = :scope AND job_id = :job_id
ORDER BY number;

-- fetch_raw_page
SELECT raw FROM report_pages
WHERE account_id = :account_id AND level = :level AND breakdown = :breakdown AND first_day = :first_day
  AND last_day = :last_day AND scope = :scope AND job_id = :job_id AND number = :number;

-- drop_report_pages
DELETE FROM report_pages
WHERE account_id = :account_id AND level = :level AND breakdown = :breakdown AND first_day = :first_day
  AND last_day = :last_day AND scope = :scope AND job_id = :job_id;

-- drop_other_report_pages
DELETE FROM report_pages
WHERE account_id = :account_id AND level = :level AND breakdown = :breakdown AND first_day = :first_day
  AND last_day = :last_day AND scope = :scope AND job_id <> :job_id;

-- complete_report_window
INSERT INTO report_windows (account_id, level, breakdown, first_day, last_day, scope, job_id, started_at_us)
VALUES (:account_id, :level, :breakdown, :first_day, :last_day, :scope, :job_id, :started_at_us)
ON CONFLICT (account_id, level, breakdown, first_day, last_day, scope)
DO UPDATE SET job_id = excluded.job_id, started_at_us = excluded.started_at_us;

-- find_completed_window
SELECT job_id FROM report_windows
WHERE account_id = :account_id AND level = :level AND breakdown = :breakdown AND first_day = :first_day
  AND last_day = :last_day AND scope = :scope AND started_at_us >= :since_us;

-- fetch_completed_windows
SELECT account_id, level, breakdown, first_day, last_day, scope, job_id FROM report_windows
WHERE account_id = :account_id
ORDER BY first_day, last_day, level, breakdown, scope;

-- forget_report_pages
DELETE FROM report_pages WHERE fetched_at_us < :before_us;

-- forget_report_windows
-- Those without pages.
DELETE FROM report_windows
WHERE started_at_us < :before_us;

-- chosen_definitions
-- Of an account, the latest first.
SELECT version, actions, is_own, chosen_at_us FROM account_definitions
WHERE account_id = :account_id
ORDER BY number DESC
LIMIT :limit;

-- choose_definition
INSERT INTO account_definitions (account_id, number, version, actions, is_own, chosen_at_us)
SELECT CAST(:account_id AS BIGINT), COALESCE(MAX(number), 0) + 1, CAST(:version AS TEXT), CAST(:actions AS TEXT),
    CAST(:is_own AS BIGINT), CAST(:now_us AS BIGINT)
FROM account_definitions WHERE account_id = :account_id;

-- lock_account
-- So that two choices for an account come one after the other.
UPDATE platform_accounts SET updated_at_us = updated_at_us WHERE id = :account_id;

-- actions_of_definition
SELECT actions FROM account_definitions WHERE version = :version LIMIT 1;
