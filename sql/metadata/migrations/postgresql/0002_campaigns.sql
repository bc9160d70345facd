-- Campaigns, the native campaigns they claim, and currency rates. Days are text, YYYY-MM-DD.

INSERT INTO id_counters (kind, last_id) VALUES ('campaigns', 0) ON CONFLICT (kind) DO NOTHING;

-- An id is never given twice, also after the newest campaign was removed.
-- name_key is the name as it is searched: NFKC, case folded. version is the settings', data_version that of the data.
CREATE TABLE IF NOT EXISTS campaigns (
    id              BIGINT PRIMARY KEY DEFAULT next_id('campaigns'),
    organization_id BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    name_key        TEXT COLLATE "C" NOT NULL,
    budget_micros   BIGINT,
    budget_period   TEXT NOT NULL,
    currency        TEXT COLLATE "C" NOT NULL,
    timezone        TEXT COLLATE "C" NOT NULL,
    start_date      TEXT COLLATE "C",
    end_date        TEXT COLLATE "C",
    status          TEXT COLLATE "C" NOT NULL,
    has_events      BIGINT NOT NULL DEFAULT 0,
    version         BIGINT NOT NULL DEFAULT 1,
    data_version    BIGINT NOT NULL DEFAULT 0,
    created_at_us   BIGINT NOT NULL,
    updated_at_us   BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS campaigns_by_organization ON campaigns (organization_id, id);

-- position keeps the order in which the links were given.
CREATE TABLE IF NOT EXISTS platform_links (
    campaign_id     BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    position        BIGINT NOT NULL,
    organization_id BIGINT NOT NULL,
    platform        TEXT COLLATE "C" NOT NULL,
    account_id      TEXT COLLATE "C" NOT NULL,
    external_id     TEXT COLLATE "C" NOT NULL,
    level           TEXT NOT NULL,
    valid_from      TEXT COLLATE "C",
    valid_to        TEXT COLLATE "C",
    PRIMARY KEY (campaign_id, position)
);

CREATE INDEX IF NOT EXISTS platform_links_by_native_campaign
    ON platform_links (organization_id, platform, account_id, external_id);

-- rate is text, exact, as in the embedded store.
CREATE TABLE IF NOT EXISTS currency_rates (
    organization_id BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    base            TEXT COLLATE "C" NOT NULL,
    currency        TEXT COLLATE "C" NOT NULL,
    day             TEXT COLLATE "C" NOT NULL,
    rate            TEXT NOT NULL,
    PRIMARY KEY (organization_id, base, currency, day)
);

CREATE INDEX IF NOT EXISTS currency_rates_by_day ON currency_rates (organization_id, day, currency, base);
