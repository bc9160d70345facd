-- What a worker asks of the rows that have landed.

-- landed_before
-- Rows of a partition below an offset that the log took since an instant.
SELECT
    campaign_id,
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    fingerprint
FROM events
WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16} AND koff < {offset:UInt64}
    AND ktime >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC');

-- campaigns_elsewhere
SELECT DISTINCT campaign_id FROM events
WHERE NOT (ktopic = {topic:UInt32} AND kpart = {partition:UInt16})
    AND ktime >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
ORDER BY campaign_id;

-- landed_elsewhere
-- Rows of some campaigns that the log took since an instant, in another partition or in another incarnation.
SELECT
    campaign_id,
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    fingerprint
FROM events
WHERE campaign_id IN {campaigns:Array(UInt64)}
    AND NOT (ktopic = {topic:UInt32} AND kpart = {partition:UInt16})
    AND ktime >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC');

-- earliest_instants
SELECT campaign_id, toUnixTimestamp64Micro(min(event_time)) AS earliest_us FROM events
WHERE campaign_id IN {campaigns:Array(UInt64)} AND ktime < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
GROUP BY campaign_id;

-- newest_offset
-- The highest offset of which anything has landed; 0 rows tell that nothing has.
SELECT sum(there) AS landed, max(highest) AS newest
FROM
(
    SELECT count() AS there, max(koff) AS highest FROM events
    WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16}
    UNION ALL
    SELECT count() AS there, max(koff) AS highest FROM report_slices
    WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16}
    UNION ALL
    SELECT count() AS there, max(koff) AS highest FROM report_coverage
    WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16}
);

-- landed_offsets
SELECT DISTINCT koff FROM events
WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16} AND koff >= {start:UInt64} AND koff < {end:UInt64}
ORDER BY koff;

-- find_by_instant
-- Rows of the given campaigns, ids and instants (three arrays side by side) outside of a range of offsets.
WITH arrayJoin(arrayZip({campaigns:Array(UInt64)}, {ids:Array(String)}, {times_us:Array(Int64)})) AS wanted
SELECT
    campaign_id,
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    fingerprint
FROM events
WHERE (campaign_id, event_time) IN (SELECT wanted.1, fromUnixTimestamp64Micro(wanted.3, 'UTC'))
    AND (campaign_id, event_id, toUnixTimestamp64Micro(event_time)) IN (SELECT wanted.1, wanted.2, wanted.3)
    AND NOT (ktopic = {topic:UInt32} AND kpart = {partition:UInt16} AND koff >= {start:UInt64} AND koff < {end:UInt64});

-- find_by_id
-- The same, whatever the instant.
WITH arrayJoin(arrayZip({campaigns:Array(UInt64)}, {ids:Array(String)})) AS wanted
SELECT
    campaign_id,
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    fingerprint
FROM events
WHERE campaign_id IN {campaigns:Array(UInt64)}
    AND (campaign_id, event_id) IN (SELECT wanted.1, wanted.2)
    AND NOT (ktopic = {topic:UInt32} AND kpart = {partition:UInt16} AND koff >= {start:UInt64} AND koff < {end:UInt64});

-- reconcile_rollup
-- One insert of what has to be added to the rollup so that its given campaign days equal their raw rows. Run again, it
-- adds nothing.
INSERT INTO rollup_1d
WITH arrayJoin(arrayZip({campaigns:Array(UInt64)}, {days:Array(Int32)})) AS wanted
SELECT
    campaign_id, day, platform, region, currency,
    sum(n) AS events,
    sum(i) AS impressions, sum(ih) AS impressions_high,
    sum(c) AS clicks, sum(ch) AS clicks_high,
    sum(v) AS conversions_millionths, sum(vh) AS conversions_millionths_high,
    sum(s) AS spend_micros, sum(sh) AS spend_micros_high,
    sum(r) AS revenue_micros, sum(rh) AS revenue_micros_high,
    max(raw_last) AS last_event_at
FROM
(
    SELECT
        campaign_id, day, platform, region, currency,
        toInt64(count()) AS n,
        sum(e.impressions) AS i, sum(intDiv(e.impressions, 268435456)) AS ih,
        sum(e.clicks) AS c, sum(intDiv(e.clicks, 268435456)) AS ch,
        sum(e.conversions_millionths) AS v, sum(intDiv(e.conversions_millionths, 268435456)) AS vh,
        sum(e.spend_micros) AS s, sum(intDiv(e.spend_micros, 268435456)) AS sh,
        sum(e.revenue_micros) AS r, sum(intDiv(e.revenue_micros, 268435456)) AS rh,
        max(event_time) AS raw_last,
        fromUnixTimestamp64Micro(toInt64(0), 'UTC') AS summed_last
    FROM events AS e
    WHERE campaign_id IN {campaigns:Array(UInt64)}
        AND event_time >= {from:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
        AND (campaign_id, toInt32(day)) IN (SELECT wanted.1, wanted.2)
    GROUP BY campaign_id, day, platform, region, currency
    UNION ALL
    SELECT
        campaign_id, day, platform, region, currency,
        -sum(events),
        -sum(impressions), -sum(impressions_high),
        -sum(clicks), -sum(clicks_high),
        -sum(conversions_millionths), -sum(conversions_millionths_high),
        -sum(spend_micros), -sum(spend_micros_high),
        -sum(revenue_micros), -sum(revenue_micros_high),
        fromUnixTimestamp64Micro(toInt64(0), 'UTC'),
        max(last_event_at)
    FROM rollup_1d
    WHERE campaign_id IN {campaigns:Array(UInt64)} AND (campaign_id, toInt32(day)) IN (SELECT wanted.1, wanted.2)
    GROUP BY campaign_id, day, platform, region, currency
)
GROUP BY campaign_id, day, platform, region, currency
HAVING events != 0 OR impressions != 0 OR impressions_high != 0 OR clicks != 0 OR clicks_high != 0
    OR conversions_millionths != 0 OR conversions_millionths_high != 0 OR spend_micros != 0 OR spend_micros_high != 0
    OR revenue_micros != 0 OR revenue_micros_high != 0 OR max(raw_last) > max(summed_last);
