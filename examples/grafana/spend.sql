-- A time series panel of Grafana's ClickHouse data source: spend of a campaign by day and platform, with clicks beside it.
--
-- Variables of the dashboard: campaign (its number). ${__from} and ${__to} are the range that is looked at.
-- The data source needs a user of ClickHouse that may only read (readonly = 1), and the database of clickhouse.database.
--
-- The sums are those of events. What the platforms reported, other currencies and other time zones are the business of
-- GET /api/v1/campaigns/N/insights; what the columns mean is in docs/query.md.
SELECT
    toDateTime(day, 'UTC') AS time,
    concat(platform, ' ', currency) AS series,
    sum(spend_micros) / 1000000 AS spend,
    sum(clicks) AS clicks
FROM rollup_1d
WHERE campaign_id = ${campaign}
  AND day BETWEEN toDate32('${__from:date:YYYY-MM-DD}') AND toDate32('${__to:date:YYYY-MM-DD}')
GROUP BY time, series
ORDER BY time, series
