-- What an operator asks of copies that say something else than the event that counted.

-- list_conflicts
-- Newest first, behind a place in that order. A copy that was written down twice after a crash is shown once.
SELECT
    campaign_id,
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    hex(value) AS value_hex,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    ktopic,
    kpart,
    koff
FROM event_conflicts
WHERE ({every_campaign:Bool} OR campaign_id IN {campaigns:Array(UInt64)})
    AND campaign_id NOT IN {left_out:Array(UInt64)}
    AND ktime >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
    AND ktime < fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
    AND (toUnixTimestamp64Milli(ktime), ktopic, kpart, koff)
        < ({before_ms:Int64}, {before_topic:UInt32}, {before_partition:UInt16}, {before_offset:UInt64})
ORDER BY ktime DESC, ktopic DESC, kpart DESC, koff DESC
LIMIT 1 BY ktime, ktopic, kpart, koff
LIMIT {limit:UInt32};

-- counted_events
WITH arrayJoin(arrayZip({campaigns:Array(UInt64)}, {ids:Array(String)})) AS wanted
SELECT
    campaign_id,
    event_id,
    toUnixTimestamp64Micro(event_time) AS event_time_us,
    platform,
    event_type,
    region,
    ad_group_id,
    ad_id,
    device,
    currency,
    impressions,
    clicks,
    conversions_millionths,
    spend_micros,
    revenue_micros,
    toUnixTimestamp64Milli(ktime) AS time_ms,
    kpart,
    koff
FROM events
WHERE campaign_id IN {campaigns:Array(UInt64)} AND (campaign_id, event_id) IN (SELECT wanted.1, wanted.2)
ORDER BY ktime, koff;
