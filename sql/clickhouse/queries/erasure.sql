-- What is asked and removed of one campaign.

-- campaign_rows
SELECT sum(e) AS events, sum(r) AS rollup_rows, sum(c) AS conflicts
FROM
(
    SELECT toInt64(count()) AS e, toInt64(0) AS r, toInt64(0) AS c
    FROM events WHERE campaign_id = {campaign:UInt64}
    UNION ALL
    SELECT toInt64(0), toInt64(count()), toInt64(0) FROM rollup_1d WHERE campaign_id = {campaign:UInt64}
    UNION ALL
    SELECT toInt64(0), toInt64(0), toInt64(count()) FROM event_conflicts WHERE campaign_id = {campaign:UInt64}
);

-- remove_events
ALTER TABLE events DELETE WHERE campaign_id = {campaign:UInt64} SETTINGS mutations_sync = 2;

-- remove_rollup
ALTER TABLE rollup_1d DELETE WHERE campaign_id = {campaign:UInt64} SETTINGS mutations_sync = 2;

-- remove_conflicts
ALTER TABLE event_conflicts DELETE WHERE campaign_id = {campaign:UInt64} SETTINGS mutations_sync = 2;

-- event_traces
-- What is there of some events, that are named by what SHA-256 makes of campaign and id. One row.
SELECT
    sum(e) AS events,
    sum(c) AS conflicts,
    arrayStringConcat(arrayMap(d -> toString(d), arraySort(groupUniqArrayIf(day_number, e > 0))), ',') AS days
FROM
(
    SELECT toInt64(count()) AS e, toInt64(0) AS c, toInt32(day) AS day_number
    FROM events
    WHERE campaign_id = {campaign:UInt64}
        AND hex(SHA256(concat(toString(campaign_id), ':', event_id))) IN {digests:Array(String)}
    GROUP BY day
    UNION ALL
    SELECT toInt64(0), toInt64(count()), toInt32(0)
    FROM event_conflicts
    WHERE campaign_id = {campaign:UInt64}
        AND hex(SHA256(concat(toString(campaign_id), ':', event_id))) IN {digests:Array(String)}
);

-- remove_single_events
ALTER TABLE events DELETE
WHERE campaign_id = {campaign:UInt64}
    AND hex(SHA256(concat(toString(campaign_id), ':', event_id))) IN {digests:Array(String)}
SETTINGS mutations_sync = 2;

-- remove_single_conflicts
ALTER TABLE event_conflicts DELETE
WHERE campaign_id = {campaign:UInt64}
    AND hex(SHA256(concat(toString(campaign_id), ':', event_id))) IN {digests:Array(String)}
SETTINGS mutations_sync = 2;

-- report_slices_of
-- Of native campaigns of one organization, four arrays side by side.
WITH arrayJoin(arrayZip({platforms:Array(String)}, {accounts:Array(String)}, {levels:Array(String)},
    {natives:Array(String)})) AS wanted
SELECT toInt64(count()) AS slices FROM report_slices
WHERE organization_id = {organization:UInt64}
    AND (toString(platform), account_id, toString(level), native_id)
        IN (SELECT wanted.1, wanted.2, wanted.3, wanted.4);
