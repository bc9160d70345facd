-- Dead letters that were produced again, by their place in an incarnation of the dead-letter topic; the last time.
CREATE TABLE IF NOT EXISTS replayed_letters (
    incarnation     TEXT COLLATE "C" NOT NULL,
    topic_partition BIGINT NOT NULL,
    letter_offset   BIGINT NOT NULL,
    job_id          BIGINT NOT NULL,
    replayed_at_us  BIGINT NOT NULL,
    PRIMARY KEY (incarnation, topic_partition, letter_offset)
);
