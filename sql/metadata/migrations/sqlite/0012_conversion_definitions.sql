-- What counts as a conversion in accounts, as it was chosen one after the other: the highest number holds. actions is a JSON
-- list of the platform's names. is_own 0: given back to the configuration, which said this then. Stays when an account
-- is removed: reports keep their versions.
CREATE TABLE IF NOT EXISTS account_definitions (
    account_id   INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    version      TEXT NOT NULL,
    actions      TEXT NOT NULL,
    is_own       INTEGER NOT NULL,
    chosen_at_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, number)
) STRICT;

CREATE INDEX IF NOT EXISTS account_definitions_by_version ON account_definitions (version);
