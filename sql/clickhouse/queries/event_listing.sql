-- A campaign's events as they count, to be written down elsewhere.

-- list_events
-- In the order of the table's key, so that each page reads little more than its own rows.
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
WHERE campaign_id = {campaign:UInt64}
    AND event_time >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    AND toInt32(day) >= {first_day:Int32} AND toInt32(day) <= {last_day:Int32}
    AND (toUnixTimestamp64Micro(event_time), event_id) > ({after_us:Int64}, {after_id:String})
ORDER BY event_time, event_id
LIMIT {limit:UInt32};
