-- What a verification asks of the rows that have landed.

-- raw_rows_by_campaign
SELECT campaign_id, sum(n) AS raw_rows
FROM
(
    SELECT campaign_id, toInt64(count()) AS n FROM events GROUP BY campaign_id
    UNION ALL
    SELECT DISTINCT campaign_id, toInt64(0) FROM rollup_1d
)
GROUP BY campaign_id
ORDER BY campaign_id;

-- repeated_rows
-- Rows of ids that came up more than once. One bucket of ids at a time, so that the groups fit in memory.
SELECT
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    toInt32(day) AS day_number,
    ktopic,
    kpart,
    koff,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    _part AS part,
    _part_offset AS part_offset
FROM events
WHERE campaign_id = {campaign:UInt64} AND cityHash64(event_id) % {buckets:UInt32} = {bucket:UInt32}
    AND event_id IN
    (
        SELECT event_id FROM events
        WHERE campaign_id = {campaign:UInt64} AND cityHash64(event_id) % {buckets:UInt32} = {bucket:UInt32}
        GROUP BY event_id
        HAVING count() > 1 AND max(ktime) >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
    )
ORDER BY event_id, ktime, kpart, koff
LIMIT 100000;

-- remove_rows
-- By where they lie: two rows of one record are equal in every column.
ALTER TABLE events DELETE
WHERE campaign_id = {campaign:UInt64}
    AND has(arrayZip({parts:Array(String)}, {offsets:Array(UInt64)}), (toString(_part), _part_offset))
SETTINGS mutations_sync = 2;

-- rollup_differences
SELECT
    toInt32(day) AS day_number, platform, region, currency,
    sum(n) AS events,
    sum(i) AS impressions, sum(ih) AS impressions_high,
    sum(c) AS clicks, sum(ch) AS clicks_high,
    sum(v) AS conversions_millionths, sum(vh) AS conversions_millionths_high,
    sum(s) AS spend_micros, sum(sh) AS spend_micros_high,
    sum(r) AS revenue_micros, sum(rh) AS revenue_micros_high
FROM
(
    SELECT
        day, platform, region, currency,
        toInt64(count()) AS n,
        sum(e.impressions) AS i, sum(intDiv(e.impressions, 268435456)) AS ih,
        sum(e.clicks) AS c, sum(intDiv(e.clicks, 268435456)) AS ch,
        sum(e.conversions_millionths) AS v, sum(intDiv(e.conversions_millionths, 268435456)) AS vh,
        sum(e.spend_micros) AS s, sum(intDiv(e.spend_micros, 268435456)) AS sh,
        sum(e.revenue_micros) AS r, sum(intDiv(e.revenue_micros, 268435456)) AS rh
    FROM events AS e
    WHERE campaign_id = {campaign:UInt64} AND toInt32(day) >= {first_day:Int32}
    GROUP BY day, platform, region, currency
    UNION ALL
    SELECT
        day, platform, region, currency,
        -sum(events),
        -sum(impressions), -sum(impressions_high),
        -sum(clicks), -sum(clicks_high),
        -sum(conversions_millionths), -sum(conversions_millionths_high),
        -sum(spend_micros), -sum(spend_micros_high),
        -sum(revenue_micros), -sum(revenue_micros_high)
    FROM rollup_1d
    WHERE campaign_id = {campaign:UInt64} AND toInt32(day) >= {first_day:Int32}
    GROUP BY day, platform, region, currency
)
GROUP BY day, platform, region, currency
HAVING events != 0 OR impressions != 0 OR impressions_high != 0 OR clicks != 0 OR clicks_high != 0
    OR conversions_millionths != 0 OR conversions_millionths_high != 0 OR spend_micros != 0 OR spend_micros_high != 0
    OR revenue_micros != 0 OR revenue_micros_high != 0
ORDER BY day, platform, region, currency
LIMIT 10000;
