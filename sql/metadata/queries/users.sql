-- add_organization
INSERT INTO organizations (name, created_at_us) VALUES (:name, :now_us) RETURNING id;

-- fetch_organizations
SELECT id, name, created_at_us FROM organizations ORDER BY id;

-- find_organization
-- The oldest of that name.
SELECT id FROM organizations WHERE name = :name ORDER BY id LIMIT 1;

-- add_user
-- No row when the address is taken.
INSERT INTO users (organization_id, email, email_key, name, role, password_hash, created_at_us)
VALUES (:organization_id, :email, :email_key, :name, :role, :password_hash, :now_us)
ON CONFLICT (email_key) DO NOTHING
RETURNING id, organization_id, email, name, role, created_at_us;

-- find_email
SELECT id FROM users WHERE email_key = :email_key;

-- fetch_user
SELECT id, organization_id, email, name, role, created_at_us FROM users WHERE id = :user_id;

-- fetch_credentials
SELECT id, password_hash FROM users WHERE email_key = :email_key;

-- fetch_credentials_of_user
SELECT id, password_hash FROM users WHERE id = :user_id;

-- replace_password_hash
-- Only where nobody changed the password since it was read.
UPDATE users SET password_hash = :new_hash WHERE id = :user_id AND password_hash = :old_hash;
