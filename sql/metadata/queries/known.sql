-- What completion at a shell offers; asked of the embedded store only, while no server has it open.

-- known_campaigns
SELECT id, name AS about FROM campaigns
WHERE (:organization_id IS NULL OR organization_id = :organization_id) AND CAST(id AS TEXT) LIKE :begun || '%'
ORDER BY id DESC LIMIT :most;

-- known_jobs
SELECT id, kind || ' ' || status AS about FROM jobs
WHERE (:organization_id IS NULL OR organization_id = :organization_id) AND CAST(id AS TEXT) LIKE :begun || '%'
ORDER BY id DESC LIMIT :most;

-- known_accounts
SELECT id, platform || ' ' || CASE WHEN name = '' THEN account_id ELSE name END AS about FROM platform_accounts
WHERE (:organization_id IS NULL OR organization_id = :organization_id) AND CAST(id AS TEXT) LIKE :begun || '%'
ORDER BY id DESC LIMIT :most;
