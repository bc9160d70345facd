-- The embedded event log: one SQLite file. Bump SCHEMA_VERSION in log_file.py with every change to this file.
-- Written for SQLite 3.26 and newer, so neither STRICT nor RETURNING.

-- create_topics
-- An id is never used twice, so everything that hangs on it dies with the incarnation.
CREATE TABLE topics (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT NOT NULL UNIQUE,
    incarnation      TEXT NOT NULL UNIQUE,
    partitions       INTEGER NOT NULL CHECK (partitions > 0),
    retention_ms     INTEGER NOT NULL CHECK (retention_ms >= -1),
    max_record_bytes INTEGER NOT NULL CHECK (max_record_bytes > 0)
);

-- create_partitions
-- start_offset: the oldest record kept; next_offset: what the next record gets; last_time_ms: the newest append time.
CREATE TABLE partitions (
    topic_id     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    next_offset  INTEGER NOT NULL DEFAULT 0,
    last_time_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, partition)
) WITHOUT ROWID;

-- create_chunks
-- A run of consecutive records of one partition that were appended together (the body is laid out in chunks.py).
-- With one row per record appending takes about 7 microseconds a record instead of 2.5, and removing what has expired
-- costs as much again; reading is alike.
CREATE TABLE chunks (
    id           INTEGER PRIMARY KEY,
    topic_id     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    last_offset  INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    body         BLOB NOT NULL
);

-- create_chunks_by_offset
-- By the last offset, so that "the chunk that holds offset N" is the first one at or after N.
CREATE UNIQUE INDEX chunks_by_offset ON chunks (topic_id, partition, last_offset);

-- create_members
-- The living members of consumer groups; the id is never used twice and gives the order of joining.
-- The lease ends at heartbeat_s + session_timeout_s, seconds of the machine's monotonic clock since it started.
CREATE TABLE members (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    topic_id          INTEGER NOT NULL,
    group_name        TEXT NOT NULL,
    boot_id           TEXT NOT NULL,
    pid_namespace     TEXT NOT NULL,
    pid               INTEGER NOT NULL,
    process_started   TEXT NOT NULL,
    heartbeat_s       REAL NOT NULL,
    session_timeout_s REAL NOT NULL
);

-- create_members_by_group
CREATE INDEX members_by_group ON members (topic_id, group_name);

-- create_ownership
-- Who owns a partition within a group (NULL: nobody). The epoch rises each time it gets an owner, and never falls.
CREATE TABLE ownership (
    topic_id   INTEGER NOT NULL,
    group_name TEXT NOT NULL,
    partition  INTEGER NOT NULL,
    owner      INTEGER,
    epoch      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, group_name, partition)
) WITHOUT ROWID;

-- create_commits
CREATE TABLE commits (
    topic_id    INTEGER NOT NULL,
    group_name  TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    metadata    TEXT NOT NULL,
    PRIMARY KEY (topic_id, group_name, partition)
) WITHOUT ROWID;
