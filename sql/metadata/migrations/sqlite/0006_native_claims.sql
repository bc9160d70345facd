-- Which native campaigns are claimed, by key (domain/platforms.py): act_1 and 1 are one account. platform_links keeps
-- what was written.
CREATE TABLE IF NOT EXISTS native_claims (
    campaign_id     INTEGER NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    organization_id INTEGER NOT NULL,
    platform        TEXT NOT NULL,
    account_key     TEXT NOT NULL,
    level           TEXT NOT NULL,
    native_key      TEXT NOT NULL,
    valid_from      TEXT,
    valid_to        TEXT,
    PRIMARY KEY (campaign_id, position)
) STRICT;

CREATE INDEX IF NOT EXISTS native_claims_by_native_campaign
    ON native_claims (organization_id, platform, account_key, level, native_key);

INSERT OR IGNORE INTO native_claims (
    campaign_id, position, organization_id, platform, account_key, level, native_key, valid_from, valid_to
)
SELECT
    campaign_id, position, organization_id, platform,
    CASE
        WHEN platform = 'meta' AND trim(account_id) GLOB 'act_?*' THEN substr(trim(account_id), 5)
        WHEN platform = 'google' AND trim(account_id) GLOB '[0-9]*' AND trim(account_id) NOT GLOB '*[^0-9 -]*'
            THEN replace(replace(trim(account_id), '-', ''), ' ', '')
        WHEN platform = 'linkedin' AND trim(account_id) GLOB 'urn:li:sponsoredAccount:[0-9]*'
            AND substr(trim(account_id), 25) NOT GLOB '*[^0-9]*' THEN substr(trim(account_id), 25)
        ELSE trim(account_id)
    END,
    level,
    CASE
        WHEN platform = 'google' AND trim(external_id) GLOB 'customers/[0-9]*/campaigns/[0-9]*'
            AND replace(replace(trim(external_id), 'customers/', ''), '/campaigns/', '') NOT GLOB '*[^0-9]*'
            THEN substr(trim(external_id), instr(trim(external_id), '/campaigns/') + 11)
        WHEN platform = 'linkedin' AND level = 'campaign' AND trim(external_id) GLOB 'urn:li:sponsoredCampaign:[0-9]*'
            AND substr(trim(external_id), 26) NOT GLOB '*[^0-9]*' THEN substr(trim(external_id), 26)
        WHEN platform = 'linkedin' AND level = 'campaign_group'
            AND trim(external_id) GLOB 'urn:li:sponsoredCampaignGroup:[0-9]*'
            AND substr(trim(external_id), 31) NOT GLOB '*[^0-9]*' THEN substr(trim(external_id), 31)
        ELSE trim(external_id)
    END,
    valid_from, valid_to
FROM platform_links;
