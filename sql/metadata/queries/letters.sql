-- mark_replayed
INSERT INTO replayed_letters (incarnation, topic_partition, letter_offset, job_id, replayed_at_us)
VALUES (:incarnation, :topic_partition, :letter_offset, :job_id, :now_us)
ON CONFLICT (incarnation, topic_partition, letter_offset)
DO UPDATE SET job_id = excluded.job_id, replayed_at_us = excluded.replayed_at_us;

-- fetch_replayed
SELECT letter_offset, replayed_at_us FROM replayed_letters
WHERE incarnation = :incarnation AND topic_partition = :topic_partition
  AND letter_offset >= :first_offset AND letter_offset < :end_offset;

-- forget_replayed
DELETE FROM replayed_letters
WHERE incarnation <> :incarnation OR (topic_partition = :topic_partition AND letter_offset < :start_offset);
