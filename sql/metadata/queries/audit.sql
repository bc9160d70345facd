-- add_audit_entry
INSERT INTO audit_log (organization_id, at_us, actor, actor_name, action, object, details, address, request_id)
VALUES (:organization_id, :at_us, :actor, :actor_name, :action, :object, :details, :address, :request_id);

-- list_audit_entries
-- Newest first; a NULL filter lets everything pass, before_id 0 begins at the newest.
SELECT id, organization_id, at_us, actor, actor_name, action, object, details, address, request_id FROM audit_log
WHERE (CAST(:organization_id AS BIGINT) IS NULL OR organization_id = :organization_id)
  AND (:before_id = 0 OR id < :before_id)
  AND (CAST(:since_us AS BIGINT) IS NULL OR at_us >= :since_us)
  AND (CAST(:until_us AS BIGINT) IS NULL OR at_us < :until_us)
  AND (CAST(:actor AS TEXT) IS NULL OR actor = :actor OR actor_name = :actor)
  AND (CAST(:action AS TEXT) IS NULL OR action = :action)
ORDER BY id DESC
LIMIT :limit;
