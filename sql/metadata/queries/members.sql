-- fetch_members
-- Members of an organization (NULL: of all), by id.
SELECT id, organization_id, email, name, role, created_at_us FROM users
WHERE (CAST(:organization_id AS BIGINT) IS NULL OR organization_id = :organization_id) AND id > :after_id
ORDER BY id
LIMIT :limit;

-- lock_organization
-- Whoever changes its members comes one after another. No row when there is no such organization.
UPDATE organizations SET claims_version = claims_version WHERE id = :organization_id;

-- count_other_admins
SELECT count(*) AS admins FROM users WHERE organization_id = :organization_id AND role = 'admin' AND id <> :user_id;

-- set_member_role
UPDATE users SET role = :role WHERE id = :user_id AND organization_id = :organization_id;

-- remove_member
DELETE FROM users WHERE id = :user_id AND organization_id = :organization_id;

-- withdraw_invitations
-- Those to the address that nobody has accepted: a new one takes their place.
DELETE FROM invitations
WHERE organization_id = :organization_id AND email_key = :email_key AND accepted_at_us IS NULL;

-- add_invitation
INSERT INTO invitations (organization_id, email, email_key, role, token_hash, created_at_us, expires_at_us)
VALUES (:organization_id, :email, :email_key, :role, :token_hash, :now_us, :expires_at_us)
RETURNING id, organization_id, email, role, expires_at_us;

-- fetch_invitation
-- One that holds now.
SELECT id, organization_id, email, email_key, role, expires_at_us FROM invitations
WHERE token_hash = :token_hash AND accepted_at_us IS NULL AND expires_at_us > :now_us;

-- use_invitation
-- Touches no row when another request was first.
UPDATE invitations SET accepted_at_us = :now_us
WHERE token_hash = :token_hash AND accepted_at_us IS NULL AND expires_at_us > :now_us;

-- remove_password_resets
DELETE FROM password_resets WHERE user_id = :user_id;

-- add_password_reset
INSERT INTO password_resets (token_hash, user_id, expires_at_us) VALUES (:token_hash, :user_id, :expires_at_us);

-- fetch_password_reset
SELECT r.user_id, u.email, u.organization_id FROM password_resets r JOIN users u ON u.id = r.user_id
WHERE r.token_hash = :token_hash AND r.expires_at_us > :now_us;

-- use_password_reset
-- Touches no row when another request was first.
DELETE FROM password_resets WHERE token_hash = :token_hash AND expires_at_us > :now_us;

-- set_password_hash
UPDATE users SET password_hash = :new_hash WHERE id = :user_id;
