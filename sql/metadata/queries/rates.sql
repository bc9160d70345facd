-- raise_rates_version
-- No row when there is no such organization.
UPDATE organizations SET rates_version = rates_version + 1 WHERE id = :organization_id;

-- put_rate
INSERT INTO currency_rates (organization_id, base, currency, day, rate)
VALUES (:organization_id, :base, :currency, :day, :rate)
ON CONFLICT (organization_id, base, currency, day) DO UPDATE SET rate = excluded.rate;

-- fetch_rates_version
SELECT rates_version FROM organizations WHERE id = :organization_id;

-- fetch_rates
-- Every rate into the base on the (inclusive) days.
SELECT day, currency, base, rate FROM currency_rates
WHERE organization_id = :organization_id AND base = :base AND day >= :first_day AND day <= :last_day
ORDER BY currency, day;

-- list_rates
-- A page in order of day, currency, base; a NULL filter lets everything pass.
SELECT day, currency, base, rate FROM currency_rates
WHERE organization_id = :organization_id
  AND (day, currency, base) > (:after_day, :after_currency, :after_base)
  AND day >= :first_day
  AND day <= :last_day
  AND (CAST(:currency AS TEXT) IS NULL OR currency = :currency)
  AND (CAST(:base AS TEXT) IS NULL OR base = :base)
ORDER BY day, currency, base
LIMIT :limit;
