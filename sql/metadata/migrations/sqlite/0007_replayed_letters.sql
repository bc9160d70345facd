-- Dead letters that were produced again, by their place in an incarnation of the dead-letter topic; the last time.
CREATE TABLE IF NOT EXISTS replayed_letters (
    incarnation     TEXT NOT NULL,
    topic_partition INTEGER NOT NULL,
    letter_offset   INTEGER NOT NULL,
    job_id          INTEGER NOT NULL,
    replayed_at_us  INTEGER NOT NULL,
    PRIMARY KEY (incarnation, topic_partition, letter_offset)
) STRICT, WITHOUT ROWID;
