-- What stands behind a number: the records of one day. The edges are those of the day in the asked zone, computed by the
-- caller; inside are those at which the day goes on (local time may run backwards over midnight).

-- streamed_records
SELECT
    platform,
    currency,
    ktopic, kpart,
    toInt64(count()) AS counted,
    min(koff) AS first_offset, max(koff) AS last_offset,
    toUnixTimestamp64Micro(min(event_time)) AS first_us, toUnixTimestamp64Micro(max(event_time)) AS last_us,
    toUnixTimestamp64Milli(max(ktime)) AS taken_ms,
    sum(e.impressions) AS impressions_sum, sum(intDiv(e.impressions, 268435456)) AS impressions_highs,
    sum(e.clicks) AS clicks_sum, sum(intDiv(e.clicks, 268435456)) AS clicks_highs,
    sum(e.conversions_millionths) AS conversions_sum,
    sum(intDiv(e.conversions_millionths, 268435456)) AS conversions_highs,
    sum(e.spend_micros) AS spend_sum, sum(intDiv(e.spend_micros, 268435456)) AS spend_highs,
    sum(e.revenue_micros) AS revenue_sum, sum(intDiv(e.revenue_micros, 268435456)) AS revenue_highs
FROM events AS e
WHERE campaign_id IN {campaigns:Array(UInt64)}
    AND event_time >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    AND roundDown(toUnixTimestamp64Micro(event_time), {edges:Array(Int64)}) IN {inside:Array(Int64)}
    AND platform IN {platforms:Array(String)}
    AND ({any_region:Bool} OR region IN {regions:Array(String)} OR substring(region, 1, 2) IN {countries:Array(String)})
    AND ({to_this_day:Bool} OR ktime <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC'))
GROUP BY platform, currency, ktopic, kpart
ORDER BY platform, currency, ktopic, kpart;

-- summed_events
-- How many events the sums by day hold.
SELECT platform, sum(events) AS counted
FROM rollup_1d
WHERE campaign_id IN {campaigns:Array(UInt64)}
    AND day = {day:Date32}
    AND platform IN {platforms:Array(String)}
    AND ({any_region:Bool} OR region IN {regions:Array(String)} OR substring(region, 1, 2) IN {countries:Array(String)})
GROUP BY platform
HAVING counted != 0;

-- count_conflicts
-- A copy that was written down twice after a crash counts once.
SELECT uniqExact(ktopic, kpart, koff) AS counted
FROM event_conflicts
WHERE campaign_id = {campaign:UInt64}
    AND event_time >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    AND roundDown(toUnixTimestamp64Micro(event_time), {edges:Array(Int64)}) IN {inside:Array(Int64)}
    AND ({to_this_day:Bool} OR ktime <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC'));
