-- What is asked of reports. Native campaigns are found by each of their five names alone, which is what the tables' order
-- can use; rows of other combinations of the same names are left out by the caller.

-- standing_rows
-- The rows of the slices that stood at an instant.
SELECT
    organization_id AS organization, platform, toLowCardinality(account_id) AS account, level,
    toLowCardinality(native_id) AS native,
    toInt32(day) AS day_number,
    toLowCardinality(region) AS in_region,
    currency,
    definition,
    toUnixTimestamp64Micro(fetched_at) AS fetched_us,
    i AS impressions, c AS clicks, v AS conversions, s AS spend, r AS revenue
FROM
(
    SELECT
        organization_id, platform, account_id, level, native_id, day, currency, definition, fetched_at,
        regions, impressions, clicks, conversions_millionths, spend_micros, revenue_micros
    FROM report_slices
    WHERE organization_id IN {organizations:Array(UInt64)}
        AND platform IN {platforms:Array(String)}
        AND account_id IN {accounts:Array(String)}
        AND native_id IN {natives:Array(String)}
        AND breakdown IN {breakdowns:Array(String)}
        AND day >= {first:Date32} AND day <= {last:Date32}
        AND ktime <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
    ORDER BY
        organization_id, platform, account_id, level, native_id, breakdown, day,
        fetched_at DESC, ktime DESC, koff DESC, kindex DESC
    LIMIT 1 BY organization_id, platform, account_id, level, native_id, breakdown, day
)
ARRAY JOIN
    regions AS region, impressions AS i, clicks AS c, conversions_millionths AS v, spend_micros AS s,
    revenue_micros AS r;

-- coverage
-- When each window of days was covered last; windows outside of the days asked are told as one that has no days.
WITH last_day >= {first:Date32} AND first_day <= {last:Date32} AS is_inside
SELECT
    organization_id AS organization, platform, toLowCardinality(account_id) AS account, level,
    toLowCardinality(native_id) AS native,
    breakdown,
    if(is_inside, toInt32(first_day), 1) AS from_day,
    if(is_inside, toInt32(last_day), 0) AS to_day,
    toUnixTimestamp64Micro(max(fetched_at)) AS at_us,
    argMax(timezone, (fetched_at, ktime, koff)) AS zone
FROM report_coverage
WHERE organization_id IN {organizations:Array(UInt64)}
    AND platform IN {platforms:Array(String)}
    AND account_id IN {accounts:Array(String)}
    AND (native_id = '' OR native_id IN {natives:Array(String)})
    AND ktime <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
GROUP BY organization, platform, account, level, native, breakdown, from_day, to_day;

-- first_rows
-- When native campaigns first had a row.
SELECT
    organization_id AS organization, platform, toLowCardinality(account_id) AS account, level,
    toLowCardinality(native_id) AS native,
    toUnixTimestamp64Milli(min(first_ktime)) AS seen_ms
FROM report_natives
WHERE organization_id IN {organizations:Array(UInt64)}
    AND platform IN {platforms:Array(String)}
    AND account_id IN {accounts:Array(String)}
    AND native_id IN {natives:Array(String)}
GROUP BY organization, platform, account, level, native;

-- total_versions
-- Every version of the totals, in the order of the log.
SELECT
    organization_id AS organization, platform, toLowCardinality(account_id) AS account, level,
    toLowCardinality(native_id) AS native,
    toInt32(day) AS day_number,
    toUnixTimestamp64Micro(fetched_at) AS fetched_us,
    toUnixTimestamp64Milli(ktime) AS landed_ms,
    currency,
    timezone AS zone,
    definition,
    notEmpty(regions) AS has_rows,
    r.impressions[1] AS impressions,
    r.clicks[1] AS clicks,
    r.conversions_millionths[1] AS conversions,
    r.spend_micros[1] AS spend,
    r.revenue_micros[1] AS revenue
FROM report_slices AS r
WHERE organization_id IN {organizations:Array(UInt64)}
    AND platform IN {platforms:Array(String)}
    AND account_id IN {accounts:Array(String)}
    AND native_id IN {natives:Array(String)}
    AND breakdown = 'total'
    AND day >= {first:Date32} AND day <= {last:Date32}
ORDER BY ktime, koff, kindex;

-- first_coverage
-- When each window of days was first covered.
SELECT
    organization_id AS organization, platform, toLowCardinality(account_id) AS account, level,
    toLowCardinality(native_id) AS native,
    toInt32(first_day) AS from_day,
    toInt32(last_day) AS to_day,
    toUnixTimestamp64Milli(min(ktime)) AS landed_ms
FROM report_coverage
WHERE organization_id IN {organizations:Array(UInt64)}
    AND platform IN {platforms:Array(String)}
    AND account_id IN {accounts:Array(String)}
    AND (native_id = '' OR native_id IN {natives:Array(String)})
    AND breakdown = 'total'
    AND last_day >= {first:Date32} AND first_day <= {last:Date32}
GROUP BY organization, platform, account, level, native, from_day, to_day
ORDER BY landed_ms, from_day, to_day;

-- standing_digests
-- What stands now of an account's slices.
SELECT
    native_id,
    toInt32(day) AS day_number,
    argMax(r.digest, (r.fetched_at, r.ktime, r.koff, r.kindex)) AS digest,
    argMax(notEmpty(r.regions), (r.fetched_at, r.ktime, r.koff, r.kindex)) AS has_rows,
    toUnixTimestamp64Micro(max(r.fetched_at)) AS fetched_us
FROM report_slices AS r
WHERE organization_id = {organization:UInt64} AND platform = {platform:String} AND account_id = {account:String}
    AND level = {level:String} AND breakdown = {breakdown:String}
    AND day >= {first:Date32} AND day <= {last:Date32}
GROUP BY native_id, day_number;

-- natives_between
SELECT DISTINCT level, native_id
FROM report_slices
WHERE organization_id = {organization:UInt64} AND platform = {platform:String} AND account_id = {account:String}
    AND day >= {first:Date32} AND day <= {last:Date32}
    AND notEmpty(regions);

-- last_fetches
SELECT
    organization_id AS organization,
    platform,
    account_id,
    toUnixTimestamp64Micro(max(fetched_at)) AS at_us,
    toString(argMax(currency, (fetched_at, ktime, koff))) AS money,
    toString(argMax(timezone, (fetched_at, ktime, koff))) AS zone
FROM report_coverage
WHERE organization_id IN {organizations:Array(UInt64)}
    AND platform IN {platforms:Array(String)}
    AND account_id IN {accounts:Array(String)}
    AND ktime <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
GROUP BY organization, platform, account_id;

-- last_arrivals
-- When the last event of each platform and day came. An event lies less than a day and a half away from its local day.
SELECT platform, toInt32(day) AS day_number, toUnixTimestamp64Milli(max(ktime)) AS arrived_ms
FROM events
WHERE campaign_id = {campaign:UInt64}
    AND day >= {first:Date32} AND day <= {last:Date32}
    AND event_time >= {from:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
GROUP BY platform, day_number;

-- landed_reports
-- The offsets of a range that have slices, and those that have coverage.
SELECT DISTINCT koff, toUInt8(1) AS of_slices FROM report_slices
WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16} AND koff >= {start:UInt64} AND koff < {end:UInt64}
UNION ALL
SELECT DISTINCT koff, toUInt8(0) AS of_slices FROM report_coverage
WHERE ktopic = {topic:UInt32} AND kpart = {partition:UInt16} AND koff >= {start:UInt64} AND koff < {end:UInt64};
