-- Sums for insights. Both statements answer the same columns; bucket and money_day are the edge (the greatest that is
-- not after the event) in the list of edges that was sent, so that one time zone database decides, the caller's.
--
-- Amounts in other currencies than the asked one stay apart by day, to be converted once for each. left_out are the
-- (campaign, platform, day) that reports speak of instead.
--
-- A line that ends in "-- if X" is sent only to a question that asks X, one in "-- if not X" only to the others
-- (adapters/sql_files): the engine takes longer to understand what it is asked than to add a campaign's days up. Where
-- each bucket is a day, money_day is the bucket; where there is one only, it has no number.

-- sums_of_rollup
-- Edges are days since 1970-01-01, in the campaigns' own zone.
SELECT
    toInt32(day) AS bucket, -- if each_day
    roundDown(toInt32(day), {bucket_edges:Array(Int32)}) AS bucket, -- if several_days
    if(currency = {base:String}, {no_day:Int32}, toInt32(day)) AS money_day, -- if not each_day
    campaign_id AS campaign, -- if by_campaign
    platform AS platform_label, -- if by_platform
    region AS region_label, -- if by_region
    currency,
    sum(impressions) AS impressions_sum, sum(impressions_high) AS impressions_highs,
    sum(clicks) AS clicks_sum, sum(clicks_high) AS clicks_highs,
    sum(conversions_millionths) AS conversions_sum, sum(conversions_millionths_high) AS conversions_highs,
    sum(spend_micros) AS spend_sum, sum(spend_micros_high) AS spend_highs,
    sum(revenue_micros) AS revenue_sum, sum(revenue_micros_high) AS revenue_highs
FROM rollup_1d
WHERE campaign_id IN {campaigns:Array(UInt64)}
    AND day >= {first_day:Date32} AND day <= {last_day:Date32}
    AND platform IN {platforms:Array(String)} -- if some_platforms
    AND (region IN {regions:Array(String)} OR substring(region, 1, 2) IN {countries:Array(String)}) -- if some_regions
    AND (campaign_id, platform, toInt32(day)) NOT IN {left_out:Array(Tuple(UInt64, String, Int32))} -- if left_out
GROUP BY
    bucket, -- if each_day
    bucket, -- if several_days
    money_day, -- if not each_day
    campaign, -- if by_campaign
    platform_label, -- if by_platform
    region_label, -- if by_region
    currency
HAVING sum(events) != 0;

-- sums_of_events
-- Edges are instants, microseconds since 1970-01-01.
WITH toUnixTimestamp64Micro(event_time) AS time_us
SELECT
    roundDown(time_us, {bucket_edges:Array(Int64)}) AS bucket,
    if(currency = {base:String}, {no_day:Int64}, roundDown(time_us, {day_edges:Array(Int64)})) AS money_day, -- if not each_day
    campaign_id AS campaign, -- if by_campaign
    platform AS platform_label, -- if by_platform
    region AS region_label, -- if by_region
    toLowCardinality(ad_group_id) AS ad_group_label, -- if by_ad_group
    toLowCardinality(ad_id) AS ad_label, -- if by_ad
    device AS device_label, -- if by_device
    currency,
    sum(impressions) AS impressions_sum, sum(intDiv(impressions, 268435456)) AS impressions_highs,
    sum(clicks) AS clicks_sum, sum(intDiv(clicks, 268435456)) AS clicks_highs,
    sum(conversions_millionths) AS conversions_sum, sum(intDiv(conversions_millionths, 268435456)) AS conversions_highs,
    sum(spend_micros) AS spend_sum, sum(intDiv(spend_micros, 268435456)) AS spend_highs,
    sum(revenue_micros) AS revenue_sum, sum(intDiv(revenue_micros, 268435456)) AS revenue_highs
FROM events
WHERE campaign_id IN {campaigns:Array(UInt64)}
    AND event_time >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    AND platform IN {platforms:Array(String)} -- if some_platforms
    AND (region IN {regions:Array(String)} OR substring(region, 1, 2) IN {countries:Array(String)}) -- if some_regions
    AND ktime <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC') -- if as_of
    AND (campaign_id, platform, roundDown(time_us, {day_edges:Array(Int64)})) -- if left_out
        NOT IN {left_out:Array(Tuple(UInt64, String, Int64))} -- if left_out
GROUP BY
    bucket,
    money_day, -- if not each_day
    campaign, -- if by_campaign
    platform_label, -- if by_platform
    region_label, -- if by_region
    ad_group_label, -- if by_ad_group
    ad_label, -- if by_ad
    device_label, -- if by_device
    currency;

-- newest_events
-- The newest event of each platform, over all time.
SELECT platform, toUnixTimestamp64Micro(max(last_event_at)) AS newest_us
FROM rollup_1d
WHERE campaign_id IN {campaigns:Array(UInt64)}
GROUP BY platform
HAVING sum(events) != 0;

-- newest_events_then
-- The same from the events that the log had taken by then.
SELECT platform, toUnixTimestamp64Micro(max(event_time)) AS newest_us
FROM events
WHERE campaign_id IN {campaigns:Array(UInt64)} AND ktime <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
GROUP BY platform;
