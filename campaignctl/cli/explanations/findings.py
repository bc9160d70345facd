"""What ``doctor`` and ``verify`` find beside errors."""

WINDOW_HINT = "ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 100000, then campaignctl verify"
_VERIFY = "campaignctl verify --repair mends it while everything runs"

TOLD = {
    "credentials_end_soon": (
        "The credentials of an account end within 14 days.",
        "Tokens of platforms hold for a time.",
        "campaignctl accounts update N --credentials FILE, before they do",
    ),
    "credentials_ended": (
        "The credentials of an account have ended: nothing can be fetched with them.",
        "Tokens of platforms hold for a time.",
        "campaignctl accounts update N --credentials FILE",
    ),
    "directory_writable": (
        "Other users of the machine may write the data directory.",
        "Its permissions were changed.",
        "chmod 700 the data directory",
    ),
    "disk_low": (
        "Little space is left where the data directory is.",
        "Less than 1 GiB or 5 % is free.",
        "free space there, or move data_dir to a larger disk",
    ),
    "erased": (
        "Rows of an erased campaign, or of erased events, are there.",
        "A worker that was frozen during the erasure landed them afterwards, or the analytics store was restored.",
        _VERIFY,
    ),
    "foreign_row": (
        "A row names an offset of the log at which there is no record.",
        "Something else wrote to the store, or log and store are of different times.",
        "campaignctl verify names partition and offset; look for what wrote there, or restore both from one backup",
    ),
    "hole": (
        "A record of the log was applied and has no row.",
        "A part of the analytics store was lost.",
        _VERIFY,
    ),
    "key_readable": (
        "Other users of the machine may read a key.",
        "Permissions in the data directory were changed.",
        "chmod 600 the file; if somebody may have read it, make a new key",
    ),
    "keys_equal": (
        "jwt.key and secrets.key are the same.",
        "One key was set for both: whoever learns one has both.",
        "make another with: openssl rand -base64 48, and campaignctl accounts rotate-keys",
    ),
    "overlap": (
        "An event counts twice.",
        "A store was restored or written by hand, or a table lacks its deduplication window.",
        _VERIFY,
    ),
    "platform_not_listed": (
        "A campaign counts events of a platform that it does not list.",
        "They are counted, and no report will ever stand in their place.",
        "list it with campaignctl campaigns update N --link ..., or look at who sends them",
    ),
    "replica_away": (
        "A server of the ClickHouse cluster does not answer.",
        "It is down, or the server in clickhouse.host cannot reach its native port. Another replica of its shard stands"
        " in for it; without one, nothing of the shard's partitions is counted, and no question is answered.",
        "see whether it runs; campaignctl doctor names it",
    ),
    "replica_read_only": (
        "Tables of a server of the ClickHouse cluster take no rows.",
        "It lost ZooKeeper or Keeper, or what that knows of the tables is gone.",
        "see system.replicas there (zookeeper_exception), and SYSTEM RESTORE REPLICA",
    ),
    "rewind": (
        "The log, or the workers' place in it, was set back behind what has been applied.",
        "The log lost records or was restored from an earlier time, or somebody reset the consumer group.",
        "where the group was reset, let the workers catch up; where the log lost records, send the events again",
    ),
    "window_missing": (
        "A table was made without a deduplication window: a repeated batch would count twice.",
        "It was made by hand, or restored without its settings. A worker refuses to start on it, and"
        " init-schema changes no table that is there.",
        WINDOW_HINT.format(table="NAME") + " (of a replicated table the setting is replicated_deduplication_window)",
    ),
}
