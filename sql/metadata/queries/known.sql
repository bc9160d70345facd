-- What completion at a shell offers; asked of the embedded store only, while no server has it open. folded() is the
-- connection's own function: the engine's lower() knows ASCII alone.

-- known_campaigns
SELECT id, name AS about FROM campaigns
WHERE (:organization_id IS NULL OR organization_id = :organization_id)
  AND (instr(CAST(id AS TEXT), :begun) = 1 OR instr(folded(name), :folded) > 0)
ORDER BY instr(CAST(id AS TEXT), :begun) = 1 DESC, id DESC LIMIT :most;

-- known_jobs
SELECT id, kind || ' ' || status AS about FROM jobs
WHERE (:organization_id IS NULL OR organization_id = :organization_id) AND instr(CAST(id AS TEXT), :begun) = 1
ORDER BY id DESC LIMIT :most;

-- known_accounts
WITH named AS (
    SELECT id, organization_id, platform || ' ' || CASE WHEN name = '' THEN account_id ELSE name END AS about
    FROM platform_accounts
)
SELECT id, about FROM named
WHERE (:organization_id IS NULL OR organization_id = :organization_id)
  AND (instr(CAST(id AS TEXT), :begun) = 1 OR instr(folded(about), :folded) > 0)
ORDER BY instr(CAST(id AS TEXT), :begun) = 1 DESC, id DESC LIMIT :most;
