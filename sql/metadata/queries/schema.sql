-- fetch_applied_migrations
-- What this database has had, by number.
SELECT number, name, checksum FROM schema_migrations ORDER BY number;

-- record_migration
-- Written in the same transaction as the migration itself, where the database allows it.
INSERT INTO schema_migrations (number, name, checksum, applied_at_us)
VALUES (:number, :name, :checksum, :now_us)
ON CONFLICT (number) DO NOTHING;

-- add_secret
-- The first to ask makes the secret; everybody else finds it.
INSERT INTO installation_secrets (name, secret) VALUES (:name, :secret) ON CONFLICT (name) DO NOTHING;

-- fetch_secret
SELECT secret FROM installation_secrets WHERE name = :name;
