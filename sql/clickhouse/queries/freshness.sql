-- newest_events_by_campaign
-- The newest event of each campaign and platform, over all time.
SELECT campaign_id AS campaign, platform, toUnixTimestamp64Micro(max(last_event_at)) AS newest_us
FROM rollup_1d
WHERE campaign_id IN {campaigns:Array(UInt64)}
GROUP BY campaign, platform
HAVING sum(events) != 0;
