-- What counts as a conversion in accounts, as it was chosen one after the other: the highest number holds. actions is a JSON
-- list of the platform's names. is_own 0: given back to the configuration, which said this then. Stays when an account
-- is removed: reports keep their versions.
CREATE TABLE IF NOT EXISTS account_definitions (
    account_id   BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    version      TEXT COLLATE "C" NOT NULL,
    actions      TEXT NOT NULL,
    is_own       BIGINT NOT NULL,
    chosen_at_us BIGINT NOT NULL,
    PRIMARY KEY (account_id, number)
);

CREATE INDEX IF NOT EXISTS account_definitions_by_version ON account_definitions (version);
