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

-- landed_events
-- The rows of a range of offsets.
SELECT
    campaign_id,
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    fingerprint
FROM events
WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16} AND koff >= {start:UInt64} AND koff < {end:UInt64};

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

-- recount
-- The rollup's rows of the given campaign days, two arrays side by side: what they hold (current_...), and what has to be
-- added so that they equal their raw rows. side 1 is raw rows, 2 those of them that are copies, 3 the rollup.
--
-- Few ids come up twice, so only those are looked at in order: 10 bytes an id instead of a sort of all rows.
WITH arrayJoin(arrayZip({campaigns:Array(UInt64)}, {days:Array(Int32)})) AS wanted
SELECT
    campaign_id, day, platform, region, currency,
    sumIf(n, side = 1) AS rows_read, -sumIf(n, side = 2) AS copies,
    sum(n) AS events, -sumIf(n, side = 3) AS current_events,
    sum(i) AS impressions, -sumIf(i, side = 3) AS current_impressions,
    sum(ih) AS impressions_high, -sumIf(ih, side = 3) AS current_impressions_high,
    sum(c) AS clicks, -sumIf(c, side = 3) AS current_clicks,
    sum(ch) AS clicks_high, -sumIf(ch, side = 3) AS current_clicks_high,
    sum(v) AS conversions_millionths, -sumIf(v, side = 3) AS current_conversions_millionths,
    sum(vh) AS conversions_millionths_high, -sumIf(vh, side = 3) AS current_conversions_millionths_high,
    sum(s) AS spend_micros, -sumIf(s, side = 3) AS current_spend_micros,
    sum(sh) AS spend_micros_high, -sumIf(sh, side = 3) AS current_spend_micros_high,
    sum(r) AS revenue_micros, -sumIf(r, side = 3) AS current_revenue_micros,
    sum(rh) AS revenue_micros_high, -sumIf(rh, side = 3) AS current_revenue_micros_high,
    maxIf(last_us, side = 1) AS last_event_us, maxIf(last_us, side = 3) AS current_last_event_us
FROM
(
    SELECT
        campaign_id, day, platform, region, currency, 1 AS side,
        toInt64(count()) AS n,
        sum(e.impressions) AS i, sum(intDiv(e.impressions, 268435456)) AS ih,
        sum(e.clicks) AS c, sum(intDiv(e.clicks, 268435456)) AS ch,
        sum(e.conversions_millionths) AS v, sum(intDiv(e.conversions_millionths, 268435456)) AS vh,
        sum(e.spend_micros) AS s, sum(intDiv(e.spend_micros, 268435456)) AS sh,
        sum(e.revenue_micros) AS r, sum(intDiv(e.revenue_micros, 268435456)) AS rh,
        toUnixTimestamp64Micro(max(e.event_time)) AS last_us
    FROM events AS e
    WHERE campaign_id IN {campaigns:Array(UInt64)}
        AND event_time >= {from:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
        AND (campaign_id, toInt32(day)) IN (SELECT wanted.1, wanted.2)
    GROUP BY campaign_id, day, platform, region, currency
    UNION ALL
    SELECT
        campaign_id, day, platform, region, currency, 2,
        -toInt64(count()),
        -sum(e.impressions), -sum(intDiv(e.impressions, 268435456)),
        -sum(e.clicks), -sum(intDiv(e.clicks, 268435456)),
        -sum(e.conversions_millionths), -sum(intDiv(e.conversions_millionths, 268435456)),
        -sum(e.spend_micros), -sum(intDiv(e.spend_micros, 268435456)),
        -sum(e.revenue_micros), -sum(intDiv(e.revenue_micros, 268435456)),
        toInt64(0)
    FROM
    (
        SELECT
            campaign_id, day, platform, region, currency,
            impressions, clicks, conversions_millionths, spend_micros, revenue_micros,
            row_number() OVER (PARTITION BY campaign_id, event_id, event_time ORDER BY ktime, kpart, koff) AS place,
            toUnixTimestamp64Milli(ktime) AS time_ms,
            lagInFrame(toUnixTimestamp64Milli(ktime), 1, toInt64(-4611686018427387904)) OVER (
                PARTITION BY campaign_id, event_id ORDER BY ktime, kpart, koff
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS earlier_ms
        FROM events
        WHERE campaign_id IN {campaigns:Array(UInt64)}
            AND event_time >= {from:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
            AND (campaign_id, toInt32(day)) IN (SELECT wanted.1, wanted.2)
            AND (campaign_id, cityHash64(event_id)) IN
            (
                SELECT campaign_id, cityHash64(event_id) AS id_hash
                FROM events
                WHERE campaign_id IN {campaigns:Array(UInt64)}
                    AND event_time >= {from:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
                    AND (campaign_id, toInt32(day)) IN (SELECT wanted.1, wanted.2)
                GROUP BY campaign_id, id_hash
                HAVING count() > 1
            )
    ) AS e
    WHERE e.place > 1 OR e.time_ms - e.earlier_ms <= {window_ms:Int64}
    GROUP BY campaign_id, day, platform, region, currency
    UNION ALL
    SELECT
        campaign_id, day, platform, region, currency, 3,
        -sum(events),
        -sum(impressions), -sum(impressions_high),
        -sum(clicks), -sum(clicks_high),
        -sum(conversions_millionths), -sum(conversions_millionths_high),
        -sum(spend_micros), -sum(spend_micros_high),
        -sum(revenue_micros), -sum(revenue_micros_high),
        toUnixTimestamp64Micro(max(last_event_at))
    FROM rollup_1d
    WHERE campaign_id IN {campaigns:Array(UInt64)} AND (campaign_id, toInt32(day)) IN (SELECT wanted.1, wanted.2)
    GROUP BY campaign_id, day, platform, region, currency
)
GROUP BY campaign_id, day, platform, region, currency
ORDER BY campaign_id, day, platform, region, currency;

-- recorded_days
-- The days of a campaign that have raw rows or sums; no row when none has.
SELECT min(first) AS first_day, max(last) AS last_day
FROM
(
    SELECT toInt32(min(day)) AS first, toInt32(max(day)) AS last, count() AS n FROM events
    WHERE campaign_id = {campaign:UInt64}
    UNION ALL
    SELECT toInt32(min(day)), toInt32(max(day)), count() FROM rollup_1d WHERE campaign_id = {campaign:UInt64}
)
WHERE n > 0
HAVING count() > 0;
