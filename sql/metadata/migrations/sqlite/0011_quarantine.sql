-- Which process works on which partition of the events topic, since which offset; '' when it gave the partition up alive.
-- deaths counts the processes that began there before and died, one after another. incarnation is the topic's.
CREATE TABLE IF NOT EXISTS partition_work (
    incarnation     TEXT NOT NULL,
    topic_partition INTEGER NOT NULL,
    start_offset    INTEGER NOT NULL,
    owner           TEXT NOT NULL,
    deaths          INTEGER NOT NULL,
    begun_at_us     INTEGER NOT NULL,
    PRIMARY KEY (incarnation, topic_partition)
) STRICT;

-- Records that processes died of: whoever prepares a batch leaves them out, for ever.
CREATE TABLE IF NOT EXISTS quarantined_records (
    incarnation       TEXT NOT NULL,
    topic_partition   INTEGER NOT NULL,
    record_offset     INTEGER NOT NULL,
    quarantined_at_us INTEGER NOT NULL,
    PRIMARY KEY (incarnation, topic_partition, record_offset)
) STRICT;
