-- Campaigns, the native campaigns they claim, and currency rates. Days are text, YYYY-MM-DD.

-- AUTOINCREMENT: an id is never given twice, also after the newest campaign was removed.
-- name_key is the name as it is searched: NFKC, case folded. version is the settings', data_version that of the data.
CREATE TABLE IF NOT EXISTS campaigns (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    name_key        TEXT NOT NULL,
    budget_micros   INTEGER,
    budget_period   TEXT NOT NULL,
    currency        TEXT NOT NULL,
    timezone        TEXT NOT NULL,
    start_date      TEXT,
    end_date        TEXT,
    status          TEXT NOT NULL,
    has_events      INTEGER NOT NULL DEFAULT 0,
    version         INTEGER NOT NULL DEFAULT 1,
    data_version    INTEGER NOT NULL DEFAULT 0,
    created_at_us   INTEGER NOT NULL,
    updated_at_us   INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS campaigns_by_organization ON campaigns (organization_id, id);

-- position keeps the order in which the links were given.
CREATE TABLE IF NOT EXISTS platform_links (
    campaign_id     INTEGER NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    organization_id INTEGER NOT NULL,
    platform        TEXT NOT NULL,
    account_id      TEXT NOT NULL,
    external_id     TEXT NOT NULL,
    level           TEXT NOT NULL,
    valid_from      TEXT,
    valid_to        TEXT,
    PRIMARY KEY (campaign_id, position)
) STRICT;

CREATE INDEX IF NOT EXISTS platform_links_by_native_campaign
    ON platform_links (organization_id, platform, account_id, external_id);

-- rate is text, exact: SQLite has no decimal type.
CREATE TABLE IF NOT EXISTS currency_rates (
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    base            TEXT NOT NULL,
    currency        TEXT NOT NULL,
    day             TEXT NOT NULL,
    rate            TEXT NOT NULL,
    PRIMARY KEY (organization_id, base, currency, day)
) STRICT;

CREATE INDEX IF NOT EXISTS currency_rates_by_day ON currency_rates (organization_id, day, currency, base);
