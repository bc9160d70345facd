-- add_session
INSERT INTO sessions (user_id, address, created_at_us, expires_at_us)
VALUES (:user_id, :address, :now_us, :expires_at_us)
RETURNING id;

-- add_refresh_token
INSERT INTO refresh_tokens (token_hash, session_id, expires_at_us) VALUES (:token_hash, :session_id, :expires_at_us);

-- remove_expired_sessions
DELETE FROM sessions WHERE expires_at_us <= :now_us;

-- remove_expired_refresh_tokens
DELETE FROM refresh_tokens WHERE session_id = :session_id AND expires_at_us <= :now_us;

-- fetch_refresh_token
SELECT t.session_id, t.expires_at_us, t.used_at_us, s.user_id, s.revoked_at_us
FROM refresh_tokens t
JOIN sessions s ON s.id = t.session_id
WHERE t.token_hash = :token_hash;

-- use_refresh_token
-- Touches no row when another request was first.
UPDATE refresh_tokens SET used_at_us = :now_us WHERE token_hash = :token_hash AND used_at_us IS NULL;

-- prolong_session
UPDATE sessions SET expires_at_us = :expires_at_us WHERE id = :session_id;

-- revoke_session
UPDATE sessions SET revoked_at_us = :now_us WHERE id = :session_id AND revoked_at_us IS NULL;

-- revoke_other_sessions
-- All of the user's but one (0 keeps none).
UPDATE sessions SET revoked_at_us = :now_us
WHERE user_id = :user_id AND id <> :kept_session_id AND revoked_at_us IS NULL;

-- fetch_session
SELECT s.user_id, s.revoked_at_us, u.organization_id, u.role
FROM sessions s
JOIN users u ON u.id = s.user_id
WHERE s.id = :session_id;

-- find_session_from_address
-- Whether the account was signed in from the address before, as far back as sessions are kept.
SELECT s.id
FROM sessions s
JOIN users u ON u.id = s.user_id
WHERE u.email_key = :email_key AND s.address = :address
LIMIT 1;

-- remove_old_login_attempts
-- Those out of the window, and those of a future that a clock set back has left behind.
DELETE FROM login_attempts WHERE at_us <= :window_start_us OR at_us > :window_end_us;

-- fetch_limiting_login_attempt
-- The attempt that must leave the window before the bucket has room again; no row while it has room.
SELECT at_us FROM login_attempts
WHERE bucket = :bucket AND at_us > :window_start_us AND at_us <= :window_end_us
ORDER BY at_us DESC
LIMIT 1 OFFSET :limit - 1;

-- add_login_attempt
INSERT INTO login_attempts (attempt, bucket, at_us) VALUES (:attempt, :bucket, :now_us);

-- remove_login_attempt
DELETE FROM login_attempts WHERE attempt = :attempt;
