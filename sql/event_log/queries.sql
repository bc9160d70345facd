-- insert_topic
-- Two processes may create the same topic at once: the first one wins.
INSERT INTO topics (name, incarnation, partitions, retention_ms, max_record_bytes)
VALUES (:name, :incarnation, :partitions, :retention_ms, :max_record_bytes)
ON CONFLICT (name) DO NOTHING;

-- topic_by_name
SELECT id, name, incarnation, partitions, retention_ms, max_record_bytes FROM topics WHERE name = :name;

-- all_topics
SELECT id, name, incarnation, partitions, retention_ms, max_record_bytes FROM topics ORDER BY id;

-- insert_partition
INSERT INTO partitions (topic_id, partition) VALUES (:topic_id, :partition)
ON CONFLICT (topic_id, partition) DO NOTHING;

-- partition
SELECT start_offset, next_offset, last_time_ms FROM partitions WHERE topic_id = :topic_id AND partition = :partition;

-- partitions
SELECT partition, start_offset, next_offset FROM partitions WHERE topic_id = :topic_id ORDER BY partition;

-- insert_chunk
INSERT INTO chunks (topic_id, partition, first_offset, last_offset, time_ms, body)
VALUES (:topic_id, :partition, :first_offset, :last_offset, :time_ms, :body);

-- advance_partition
UPDATE partitions SET next_offset = :next_offset, last_time_ms = :last_time_ms
WHERE topic_id = :topic_id AND partition = :partition;

-- chunks_from
-- The chunk that holds an offset, and those after it.
SELECT first_offset, last_offset, time_ms, body FROM chunks
WHERE topic_id = :topic_id AND partition = :partition AND last_offset >= :offset
ORDER BY last_offset;

-- expired_until
-- The end of the oldest chunks that were appended before a time, and how many chunks that are: at most :max_chunks.
SELECT max(last_offset) AS last_offset, count(*) AS chunks FROM (
    SELECT last_offset, time_ms FROM chunks
    WHERE topic_id = :topic_id AND partition = :partition
    ORDER BY last_offset LIMIT :max_chunks
) WHERE time_ms < :before_ms;

-- delete_chunks
DELETE FROM chunks WHERE topic_id = :topic_id AND partition = :partition AND last_offset <= :last_offset;

-- raise_start
UPDATE partitions SET start_offset = :start_offset WHERE topic_id = :topic_id AND partition = :partition;

-- insert_member
INSERT INTO members (topic_id, group_name, boot_id, pid_namespace, pid, process_started, heartbeat_s, session_timeout_s)
VALUES (:topic_id, :group_name, :boot_id, :pid_namespace, :pid, :process_started, :heartbeat_s, :session_timeout_s);

-- members
-- In the order in which they joined.
SELECT id, boot_id, pid_namespace, pid, process_started, heartbeat_s, session_timeout_s FROM members
WHERE topic_id = :topic_id AND group_name = :group_name
ORDER BY id;

-- renew_lease
UPDATE members SET heartbeat_s = :heartbeat_s WHERE id = :id;

-- delete_member
DELETE FROM members WHERE id = :id;

-- disown_member
UPDATE ownership SET owner = NULL WHERE topic_id = :topic_id AND group_name = :group_name AND owner = :owner;

-- insert_ownership
INSERT INTO ownership (topic_id, group_name, partition) VALUES (:topic_id, :group_name, :partition)
ON CONFLICT (topic_id, group_name, partition) DO NOTHING;

-- ownership
SELECT partition, owner, epoch FROM ownership
WHERE topic_id = :topic_id AND group_name = :group_name
ORDER BY partition;

-- take_partition
UPDATE ownership SET owner = :owner, epoch = epoch + 1
WHERE topic_id = :topic_id AND group_name = :group_name AND partition = :partition AND owner IS NULL;

-- release_partition
UPDATE ownership SET owner = NULL
WHERE topic_id = :topic_id AND group_name = :group_name AND partition = :partition AND owner = :owner;

-- commit_offset
-- Nothing is written unless the member owns the partition under this epoch.
INSERT INTO commits (topic_id, group_name, partition, next_offset, metadata)
SELECT topic_id, group_name, partition, :next_offset, :metadata FROM ownership
WHERE topic_id = :topic_id AND group_name = :group_name AND partition = :partition
  AND owner = :owner AND epoch = :epoch
ON CONFLICT (topic_id, group_name, partition)
DO UPDATE SET next_offset = excluded.next_offset, metadata = excluded.metadata;

-- commits
SELECT partition, next_offset, metadata FROM commits
WHERE topic_id = :topic_id AND group_name = :group_name
ORDER BY partition;

-- delete_topic_chunks
DELETE FROM chunks WHERE topic_id = :topic_id;

-- delete_topic_partitions
DELETE FROM partitions WHERE topic_id = :topic_id;

-- delete_topic_members
DELETE FROM members WHERE topic_id = :topic_id;

-- delete_topic_ownership
DELETE FROM ownership WHERE topic_id = :topic_id;

-- delete_topic_commits
DELETE FROM commits WHERE topic_id = :topic_id;

-- delete_topic
DELETE FROM topics WHERE id = :topic_id;
