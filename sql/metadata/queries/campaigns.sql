-- lock_claims
-- Whoever changes an organization's platform links does this first: such changes follow one another.
UPDATE organizations SET claims_version = claims_version + 1 WHERE id = :organization_id;

-- add_campaign
INSERT INTO campaigns (
    organization_id, name, name_key, budget_micros, budget_period, currency, timezone, start_date, end_date, status,
    created_at_us, updated_at_us
)
VALUES (
    :organization_id, :name, :name_key, :budget_micros, :budget_period, :currency, :timezone, :start_date, :end_date,
    :status, :now_us, :now_us
)
RETURNING id;

-- change_campaign
-- Touches no row when the version is no longer the expected one (0: any), or when currency or zone may not change.
UPDATE campaigns
SET name = :name, name_key = :name_key, budget_micros = :budget_micros, budget_period = :budget_period,
    currency = :currency, timezone = :timezone, start_date = :start_date, end_date = :end_date, status = :status,
    version = version + 1, updated_at_us = :now_us
WHERE id = :campaign_id
  AND (:expected_version = 0 OR version = :expected_version)
  AND (has_events = 0 OR (currency = :currency AND timezone = :timezone));

-- fetch_campaign
SELECT id, organization_id, name, budget_micros, budget_period, currency, timezone, start_date, end_date, status,
       version, created_at_us, updated_at_us
FROM campaigns
WHERE id = :campaign_id;

-- list_campaigns
-- A page in order of id; a NULL filter lets everything pass.
SELECT id, organization_id, name, budget_micros, budget_period, currency, timezone, start_date, end_date, status,
       version, created_at_us, updated_at_us
FROM campaigns
WHERE id > :after_id
  AND (CAST(:organization_id AS BIGINT) IS NULL OR organization_id = :organization_id)
  AND (CAST(:status AS TEXT) IS NULL OR status = :status)
  AND (CAST(:name_pattern AS TEXT) IS NULL OR name_key LIKE :name_pattern ESCAPE '!')
  AND (
      CAST(:platform AS TEXT) IS NULL
      OR EXISTS (SELECT 1 FROM platform_links l WHERE l.campaign_id = campaigns.id AND l.platform = :platform)
  )
ORDER BY id
LIMIT :limit;

-- fetch_campaign_ids
SELECT id FROM campaigns
WHERE CAST(:organization_id AS BIGINT) IS NULL OR organization_id = :organization_id
ORDER BY id;

-- facts_of_chosen_campaigns
-- As fetch_facts_of_campaigns, of those that list_campaigns would list.
SELECT DISTINCT c.id, c.organization_id, c.timezone, c.currency, c.has_events, c.version, c.data_version,
                o.rates_version, l.platform
FROM campaigns c
JOIN organizations o ON o.id = c.organization_id
LEFT JOIN platform_links l ON l.campaign_id = c.id
WHERE (CAST(:organization_id AS BIGINT) IS NULL OR c.organization_id = :organization_id)
  AND (CAST(:status AS TEXT) IS NULL OR c.status = :status)
  AND (CAST(:name_pattern AS TEXT) IS NULL OR c.name_key LIKE :name_pattern ESCAPE '!')
  AND (
      CAST(:platform AS TEXT) IS NULL
      OR EXISTS (SELECT 1 FROM platform_links w WHERE w.campaign_id = c.id AND w.platform = :platform)
  )
ORDER BY c.id, l.platform;

-- fetch_facts_of_campaign
-- As fetch_facts_of_campaigns, of one: for an array a server would make a plan each time it is asked.
SELECT DISTINCT c.id, c.organization_id, c.timezone, c.currency, c.has_events, c.version, c.data_version,
                o.rates_version, l.platform
FROM campaigns c
JOIN organizations o ON o.id = c.organization_id
LEFT JOIN platform_links l ON l.campaign_id = c.id
WHERE c.id = :campaign_id
ORDER BY c.id, l.platform;

-- mark_campaign_as_having_events
UPDATE campaigns SET has_events = 1 WHERE id = :campaign_id AND has_events = 0;

-- bump_data_version
UPDATE campaigns SET data_version = data_version + 1 WHERE id = :campaign_id;

-- add_platform_link
INSERT INTO platform_links (
    campaign_id, position, organization_id, platform, account_id, external_id, level, valid_from, valid_to
)
VALUES (
    :campaign_id, :position, :organization_id, :platform, :account_id, :external_id, :level, :valid_from, :valid_to
);

-- add_native_claim
INSERT INTO native_claims (
    campaign_id, position, organization_id, platform, account_key, level, native_key, valid_from, valid_to
)
VALUES (
    :campaign_id, :position, :organization_id, :platform, :account_key, :level, :native_key, :valid_from, :valid_to
);

-- remove_platform_links
DELETE FROM platform_links WHERE campaign_id = :campaign_id;

-- remove_native_claims
DELETE FROM native_claims WHERE campaign_id = :campaign_id;

-- fetch_platform_links
SELECT platform, account_id, external_id, level, valid_from, valid_to
FROM platform_links
WHERE campaign_id = :campaign_id
ORDER BY position;

-- find_claim
-- Another campaign of the organization that claims the native campaign on one of the (inclusive) days.
SELECT c.id, c.name
FROM native_claims n
JOIN campaigns c ON c.id = n.campaign_id
WHERE n.organization_id = :organization_id
  AND n.platform = :platform
  AND n.account_key = :account_key
  AND n.level = :level
  AND n.native_key = :native_key
  AND n.campaign_id <> :campaign_id
  AND COALESCE(n.valid_from, '0001-01-01') <= :last_day
  AND COALESCE(n.valid_to, '9999-12-31') >= :first_day
ORDER BY c.id
LIMIT 1;

-- claims_of_account
SELECT campaign_id, level, native_key, valid_from, valid_to
FROM native_claims
WHERE organization_id = :organization_id AND platform = :platform AND account_key = :account_key;
