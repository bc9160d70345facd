-- Copies of an event that say something else than the one that counted. value is the copy's record, byte for byte.
CREATE TABLE IF NOT EXISTS event_conflicts
(
    campaign_id UInt64,
    event_id    String,
    event_time  DateTime64(6, 'UTC'),
    value       String CODEC(ZSTD(1)),
    ktopic      UInt32,
    kpart       UInt16,
    koff        UInt64,
    ktime       DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (campaign_id, ktime, koff)
SETTINGS non_replicated_deduplication_window = 100000;
