-- find_migrations_table
-- A row once the database has been migrated.
SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations';

-- fetch_facts_of_campaigns
-- One row per platform a campaign lists; one with a NULL platform when it lists none. Arrays come as JSON.
SELECT DISTINCT c.id, c.organization_id, c.timezone, c.currency, c.has_events, c.version, c.data_version,
                o.rates_version, l.platform
FROM campaigns c
JOIN organizations o ON o.id = c.organization_id
LEFT JOIN platform_links l ON l.campaign_id = c.id
WHERE c.id IN (SELECT value FROM json_each(:campaign_ids))
ORDER BY c.id, l.platform;

-- fetch_links_of_campaigns
-- As fetch_platform_links, of many.
SELECT campaign_id, platform, account_id, external_id, level, valid_from, valid_to
FROM platform_links
WHERE campaign_id IN (SELECT value FROM json_each(:campaign_ids))
ORDER BY campaign_id, position;
