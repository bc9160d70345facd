-- remove_campaign
DELETE FROM campaigns WHERE id = :campaign_id AND organization_id = :organization_id;

-- remove_jobs_of_campaign
-- Whoever is doing one of them learns at the next renewal of its lease that it is gone.
DELETE FROM jobs WHERE campaign_id = :campaign_id;

-- forget_answers_about_campaign
-- Answers kept under idempotency keys whose header Location names it.
DELETE FROM idempotency_keys
WHERE organization_id = :organization_id AND headers LIKE :location_pattern;

-- add_erasure
INSERT INTO erasures (campaign_id, organization_id, job_id, erased_by, erased_at_us)
VALUES (:campaign_id, :organization_id, :job_id, :erased_by, :now_us);

-- fetch_erasures
SELECT campaign_id, erased_at_us FROM erasures;
