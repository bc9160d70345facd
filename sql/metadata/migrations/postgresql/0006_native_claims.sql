-- Which native campaigns are claimed, by key (domain/platforms.py): act_1 and 1 are one account. platform_links keeps
-- what was written.
CREATE TABLE IF NOT EXISTS native_claims (
    campaign_id     BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    position        BIGINT NOT NULL,
    organization_id BIGINT NOT NULL,
    platform        TEXT COLLATE "C" NOT NULL,
    account_key     TEXT COLLATE "C" NOT NULL,
    level           TEXT COLLATE "C" NOT NULL,
    native_key      TEXT COLLATE "C" NOT NULL,
    valid_from      TEXT COLLATE "C",
    valid_to        TEXT COLLATE "C",
    PRIMARY KEY (campaign_id, position)
);

CREATE INDEX IF NOT EXISTS native_claims_by_native_campaign
    ON native_claims (organization_id, platform, account_key, level, native_key);

INSERT INTO native_claims (
    campaign_id, position, organization_id, platform, account_key, level, native_key, valid_from, valid_to
)
SELECT
    campaign_id, position, organization_id, platform,
    CASE
        WHEN platform = 'meta' THEN regexp_replace(btrim(account_id), '^act_(.+)$', '\1')
        WHEN platform = 'google' AND btrim(account_id) ~ '^[0-9][0-9 -]*$'
            THEN replace(replace(btrim(account_id), '-', ''), ' ', '')
        WHEN platform = 'linkedin' THEN regexp_replace(btrim(account_id), '^urn:li:sponsoredAccount:([0-9]+)$', '\1')
        ELSE btrim(account_id)
    END,
    level,
    CASE
        WHEN platform = 'google' THEN regexp_replace(btrim(external_id), '^customers/[0-9]+/campaigns/([0-9]+)$', '\1')
        WHEN platform = 'linkedin' AND level = 'campaign'
            THEN regexp_replace(btrim(external_id), '^urn:li:sponsoredCampaign:([0-9]+)$', '\1')
        WHEN platform = 'linkedin' AND level = 'campaign_group'
            THEN regexp_replace(btrim(external_id), '^urn:li:sponsoredCampaignGroup:([0-9]+)$', '\1')
        ELSE btrim(external_id)
    END,
    valid_from, valid_to
FROM platform_links
ON CONFLICT DO NOTHING;
