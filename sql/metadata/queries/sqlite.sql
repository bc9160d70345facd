-- find_migrations_table
-- A row once the database has been migrated.
SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations';
