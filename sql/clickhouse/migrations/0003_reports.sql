-- What the platforms say of their campaigns, in versions: one row is one version of one slice.
--
-- A slice is (native campaign, day, breakdown). Its rows lie in arrays side by side, one place for each region, so that
-- a version becomes visible whole and replaces the one before it whole; a slice that says nothing any more has empty
-- ones. regions holds '' for a day's total, else countries; NULL is a metric that the platform does not give.
-- Money is in millionths of the currency, conversions in millionths. day is the account's own.
--
-- ktopic, kpart and koff say which record of the log a version is from, kindex which of the record's slices it is,
-- ktime when the log took it. Of the versions there were at an instant the one with the greatest (fetched_at, ktime,
-- koff, kindex) stood.
CREATE TABLE IF NOT EXISTS report_slices
(
    organization_id        UInt64,
    platform               LowCardinality(String),
    account_id             String,
    level                  LowCardinality(String),
    native_id              String,
    breakdown              LowCardinality(String),
    day                    Date32,
    currency               LowCardinality(String),
    timezone               LowCardinality(String),
    definition             LowCardinality(String),
    fetched_at             DateTime64(6, 'UTC'),
    digest                 String,
    regions                Array(String),
    impressions            Array(Nullable(Int64)),
    clicks                 Array(Nullable(Int64)),
    conversions_millionths Array(Nullable(Int64)),
    spend_micros           Array(Nullable(Int64)),
    revenue_micros         Array(Nullable(Int64)),
    ktopic                 UInt32,
    kpart                  UInt16,
    koff                   UInt64,
    kindex                 UInt32,
    ktime                  DateTime64(3, 'UTC'),
    INDEX report_slices_by_offset koff TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (organization_id, platform, account_id, level, native_id, breakdown, day, fetched_at)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 100000, max_compress_block_size = 131072;

-- When a native campaign first had a row, of any day. Written again and again: the smallest counts.
CREATE TABLE IF NOT EXISTS report_natives
(
    organization_id UInt64,
    platform        LowCardinality(String),
    account_id      String,
    level           LowCardinality(String),
    native_id       String,
    first_ktime     SimpleAggregateFunction(min, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (organization_id, platform, account_id, level, native_id)
SETTINGS index_granularity = 1024;

-- Which (inclusive) days a fetch has got to the end of, whether anything had changed or not. A native_id of '' stands
-- for all native campaigns that the account has at the level.
CREATE TABLE IF NOT EXISTS report_coverage
(
    organization_id UInt64,
    platform        LowCardinality(String),
    account_id      String,
    level           LowCardinality(String),
    native_id       String,
    breakdown       LowCardinality(String),
    first_day       Date32,
    last_day        Date32,
    currency        LowCardinality(String),
    timezone        LowCardinality(String),
    fetched_at      DateTime64(6, 'UTC'),
    ktopic          UInt32,
    kpart           UInt16,
    koff            UInt64,
    ktime           DateTime64(3, 'UTC'),
    INDEX report_coverage_by_offset koff TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (organization_id, platform, account_id, level, native_id, breakdown, last_day)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 100000, max_compress_block_size = 131072;
