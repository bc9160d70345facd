-- Every event that counts, once, as it came: the truth that everything else is made from.
--
-- ktopic, kpart and koff say which record of the log it is, ktime when the log took it. day is the event's calendar day
-- in the campaign's own time zone. Money is in millionths of the currency, conversions in millionths.
--
-- Partitions are months of UTC, so that old ones can be dropped whole. The deduplication window is what lets a batch be
-- sent again after a failure: the table remembers the tokens of that many parts. Smaller blocks than the default of
-- 1 MiB a column make merges take 40 MiB instead of 100.
CREATE TABLE IF NOT EXISTS events
(
    event_id               String,
    campaign_id            UInt64,
    event_time             DateTime64(6, 'UTC') CODEC(Delta, LZ4),
    day                    Date32,
    platform               LowCardinality(String),
    event_type             LowCardinality(String),
    region                 LowCardinality(String),
    ad_group_id            String,
    ad_id                  String,
    device                 LowCardinality(String),
    currency               LowCardinality(String),
    impressions            Int64,
    clicks                 Int64,
    conversions_millionths Int64,
    spend_micros           Int64,
    revenue_micros         Int64,
    fingerprint            UInt64 CODEC(NONE),
    ktopic                 UInt32,
    kpart                  UInt16,
    koff                   UInt64 CODEC(Delta, LZ4),
    ktime                  DateTime64(3, 'UTC') CODEC(Delta, LZ4),
    INDEX events_by_offset koff TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (campaign_id, event_time)
SETTINGS non_replicated_deduplication_window = 100000, max_compress_block_size = 131072;

-- Sums of events by day of the campaign's own zone. Ask it with sum() and GROUP BY: merges are late.
--
-- The engine adds 64-bit numbers without noticing when they wrap, and no wider ones exist in every build of it. So
-- beside each sum stands the sum of its values' multiples of 2^28: with it the true sum is known, also far beyond 64
-- bits (for up to 2^35 events; see adapters/analytics/questions.py).
--
-- No PARTITION BY: what one insert brings becomes visible in one step, also across months.
CREATE TABLE IF NOT EXISTS rollup_1d
(
    campaign_id                 UInt64,
    day                         Date32,
    platform                    LowCardinality(String),
    region                      LowCardinality(String),
    currency                    LowCardinality(String),
    events                      Int64,
    impressions                 Int64,
    impressions_high            Int64,
    clicks                      Int64,
    clicks_high                 Int64,
    conversions_millionths      Int64,
    conversions_millionths_high Int64,
    spend_micros                Int64,
    spend_micros_high           Int64,
    revenue_micros              Int64,
    revenue_micros_high         Int64,
    last_event_at               SimpleAggregateFunction(max, DateTime64(6, 'UTC'))
)
ENGINE = SummingMergeTree
ORDER BY (campaign_id, day, platform, region, currency)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 100000, max_compress_block_size = 131072;

-- Fills the rollup with every insert into events, under the same token.
CREATE MATERIALIZED VIEW IF NOT EXISTS rollup_1d_of_events TO rollup_1d AS
SELECT
    e.campaign_id AS campaign_id,
    e.day AS day,
    e.platform AS platform,
    e.region AS region,
    e.currency AS currency,
    toInt64(count()) AS events,
    sum(e.impressions) AS impressions,
    sum(intDiv(e.impressions, 268435456)) AS impressions_high,
    sum(e.clicks) AS clicks,
    sum(intDiv(e.clicks, 268435456)) AS clicks_high,
    sum(e.conversions_millionths) AS conversions_millionths,
    sum(intDiv(e.conversions_millionths, 268435456)) AS conversions_millionths_high,
    sum(e.spend_micros) AS spend_micros,
    sum(intDiv(e.spend_micros, 268435456)) AS spend_micros_high,
    sum(e.revenue_micros) AS revenue_micros,
    sum(intDiv(e.revenue_micros, 268435456)) AS revenue_micros_high,
    max(e.event_time) AS last_event_at
FROM events AS e
GROUP BY campaign_id, day, platform, region, currency;
