-- add_work
INSERT INTO partition_work (incarnation, topic_partition, start_offset, owner, deaths, begun_at_us)
VALUES (:incarnation, :topic_partition, :start_offset, :owner, 0, :now_us)
ON CONFLICT (incarnation, topic_partition) DO NOTHING;

-- lock_work
-- The update locks the row, so that of two who begin the second one sees the first.
UPDATE partition_work SET deaths = deaths
WHERE incarnation = :incarnation AND topic_partition = :topic_partition
RETURNING start_offset, owner, deaths;

-- set_work
UPDATE partition_work
SET start_offset = :start_offset, owner = :owner, deaths = :deaths, begun_at_us = :now_us
WHERE incarnation = :incarnation AND topic_partition = :topic_partition;

-- end_work
UPDATE partition_work SET owner = ''
WHERE incarnation = :incarnation AND topic_partition = :topic_partition AND owner = :owner;

-- add_quarantined
INSERT INTO quarantined_records (incarnation, topic_partition, record_offset, quarantined_at_us)
VALUES (:incarnation, :topic_partition, :record_offset, :now_us)
ON CONFLICT (incarnation, topic_partition, record_offset) DO NOTHING;

-- fetch_quarantined
SELECT topic_partition, record_offset FROM quarantined_records WHERE incarnation = :incarnation;
