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

-- add_event_erasure
INSERT INTO event_erasures (job_id, campaign_id, organization_id, digests, erased_by, erased_at_us)
VALUES (:job_id, :campaign_id, :organization_id, :digests, :erased_by, :now_us);

-- fetch_event_erasure_numbers
SELECT job_id FROM event_erasures ORDER BY job_id;

-- fetch_event_erasure
SELECT job_id, campaign_id, digests, erased_at_us FROM event_erasures WHERE job_id = :job_id;

-- remove_event_erasures
-- They went with their campaign.
DELETE FROM event_erasures WHERE campaign_id = :campaign_id;

-- fetch_claims_of_campaign
SELECT DISTINCT platform, account_key AS account_id, level, native_key AS native_id FROM native_claims
WHERE campaign_id = :campaign_id
ORDER BY platform, account_id, level, native_id;

-- fetch_erasure
SELECT campaign_id, organization_id, job_id FROM erasures WHERE campaign_id = :campaign_id;

-- set_erasure_job
UPDATE erasures SET job_id = :job_id WHERE campaign_id = :campaign_id;

-- fetch_campaigns_being_erased
SELECT DISTINCT campaign_id FROM jobs
WHERE kind IN ('erase', 'erase_events') AND status IN ('queued', 'running') AND campaign_id IS NOT NULL;
