-- What is asked of a cluster's servers. Every server is asked under its place: where it stands in the cluster's
-- definition, counted from 1 through all shards.

-- replicas
SELECT shard_num, replica_num, host_name FROM system.clusters
WHERE cluster = {cluster:String}
ORDER BY shard_num, replica_num;

-- http_ports
-- Of the servers that answer.
SELECT _shard_num AS place, getServerPort({kind:String}) AS port
FROM clusterAllReplicas({cluster:Identifier}, system.one)
ORDER BY place
SETTINGS skip_unavailable_shards = 1;

-- own_replicas
-- Which of the cluster's servers the asked one takes itself for.
SELECT shard_num, replica_num FROM system.clusters
WHERE cluster = {cluster:String} AND is_local;

-- every_shard
SELECT count() AS shards FROM cluster({cluster:Identifier}, system.one);

-- catch_up
-- Returns when the asked server has all parts that the replicas of its shard had when it was asked.
SYSTEM SYNC REPLICA {table:Identifier} LIGHTWEIGHT;

-- list_engine
SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations';

-- windows
-- How the tables that a worker writes to were made, on every server that answers.
SELECT _shard_num AS place, name, create_table_query
FROM clusterAllReplicas({cluster:Identifier}, system.tables)
WHERE database = {database:String}
    AND name IN ('events', 'rollup_1d', 'event_conflicts', 'report_slices', 'report_coverage')
SETTINGS skip_unavailable_shards = 1;

-- read_only_tables
SELECT _shard_num AS place, count() AS tables
FROM clusterAllReplicas({cluster:Identifier}, system.replicas)
WHERE database = {database:String} AND (is_readonly OR is_session_expired)
GROUP BY place
ORDER BY place
SETTINGS skip_unavailable_shards = 1;
