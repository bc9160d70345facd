-- add_api_key
INSERT INTO api_keys (organization_id, name, prefix, key_hash, scopes, created_at_us, expires_at_us)
VALUES (:organization_id, :name, :prefix, :key_hash, :scopes, :now_us, :expires_at_us)
RETURNING id, organization_id, name, prefix, scopes, created_at_us, expires_at_us, last_used_at_us;

-- list_api_keys
-- Of an organization (NULL: of all), by id.
SELECT id, organization_id, name, prefix, scopes, created_at_us, expires_at_us, last_used_at_us FROM api_keys
WHERE (CAST(:organization_id AS BIGINT) IS NULL OR organization_id = :organization_id) AND id > :after_id
ORDER BY id
LIMIT :limit;

-- fetch_api_key
SELECT id, organization_id, name, prefix, scopes, created_at_us, expires_at_us, last_used_at_us FROM api_keys
WHERE id = :key_id;

-- find_api_key
SELECT id, organization_id, name, prefix, scopes, created_at_us, expires_at_us, last_used_at_us FROM api_keys
WHERE key_hash = :key_hash;

-- touch_api_key
UPDATE api_keys SET last_used_at_us = :now_us
WHERE id = :key_id AND (last_used_at_us IS NULL OR last_used_at_us < :now_us);

-- remove_api_key
DELETE FROM api_keys WHERE id = :key_id;
