-- The lock that migrations of a server's database hold: see adapters/analytics/migration_claims.py.

-- has_database
SELECT name FROM system.databases WHERE name = {database:String};

-- create_database
CREATE DATABASE IF NOT EXISTS {database:Identifier};

-- create_claims
CREATE TABLE IF NOT EXISTS migration_claims
(
    owner    String,
    at       DateTime64(3, 'UTC') DEFAULT now64(3),
    released UInt8
)
ENGINE = MergeTree
ORDER BY (owner, at)
TTL toDateTime(at, 'UTC') + INTERVAL 1 DAY;

-- claim
-- Made, renewed and (released = 1) given back by one row each.
INSERT INTO migration_claims (owner, released) SELECT {owner:String}, {released:UInt8};

-- rivals
-- Others whose last word, no older than the lease, is a claim. The server's clock is the only one that is asked.
SELECT owner
FROM migration_claims
WHERE owner != {owner:String} AND at > now64(3) - toIntervalMillisecond({lease_ms:UInt32})
GROUP BY owner
HAVING argMax(released, (at, released)) = 0;
