-- Which migrations the store has had, and which tables it has.

-- create_list
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number     UInt32,
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (number, applied_at);

-- has_list
SELECT name FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations';

-- applied
-- Should a migration be recorded twice (a crash between its last statement and the record), the later record stands.
SELECT number, name, checksum FROM schema_migrations ORDER BY number, applied_at DESC LIMIT 1 BY number;

-- record
INSERT INTO schema_migrations (number, name, checksum) SELECT {number:UInt32}, {name:String}, {checksum:String};

-- windows
-- How the tables that a worker writes to were made.
SELECT name, create_table_query FROM system.tables
WHERE database = currentDatabase()
    AND name IN ('events', 'rollup_1d', 'event_conflicts', 'report_slices', 'report_coverage');

-- server_version
SELECT version() AS version;

-- disks
-- Those of the machine itself: what is elsewhere has no end that it would tell.
SELECT name, toInt64(free_space) AS free_bytes, toInt64(total_space) AS total_bytes
FROM system.disks WHERE lower(type) = 'local' ORDER BY name;

-- server_time
SELECT toUnixTimestamp64Milli(now64(3)) AS now_ms;
