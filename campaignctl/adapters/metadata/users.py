"""Organizations, users and the installation's secrets."""

import secrets

from campaignctl.adapters.metadata.database import Row, Tables, Transaction, from_us, given, is_id
from campaignctl.domain.users import Organization, Role, User
from campaignctl.ports.metadata import Credentials, NewUser

_SECRET_BYTES = 32


class _AddressTakenError(Exception):
    """Rolls back the organization that was made for the user."""


class UserTables(Tables):
    def ensure_organization(self, name: str, /) -> int:
        with self._database.writing() as tx:
            row = tx.one("find_organization", name=name)
            return _id(row if row is not None else tx.one("add_organization", name=name, now_us=self._now_us()))

    def organizations(self) -> list[Organization]:
        with self._database.reading() as tx:
            rows = tx.all("fetch_organizations")
        return [Organization(row["id"], row["name"], from_us(row["created_at_us"])) for row in rows]

    def installation_secret(self, name: str, /) -> str:
        with self._database.reading() as tx:
            row = tx.one("fetch_secret", name=name)
        if row is None:
            with self._database.writing() as tx:
                tx.run("add_secret", name=name, secret=secrets.token_hex(_SECRET_BYTES))
                row = tx.one("fetch_secret", name=name)
        return str(given(row)["secret"])

    def email_is_taken(self, email_key: str, /) -> bool:
        with self._database.reading() as tx:
            return tx.one("find_email", email_key=email_key) is not None

    def register(self, user: NewUser, organization_name: str, /) -> User | None:
        try:
            with self._database.writing() as tx:
                return self._register(tx, user, organization_name)
        except _AddressTakenError:
            return None

    def _register(self, tx: Transaction, user: NewUser, organization_name: str) -> User:
        now_us = self._now_us()
        organization_id = _id(tx.one("add_organization", name=organization_name, now_us=now_us))
        row = tx.one(
            "add_user",
            organization_id=organization_id,
            email=user.email,
            email_key=user.email_key,
            name=user.name,
            role=user.role.value,
            password_hash=user.password_hash,
            now_us=now_us,
        )
        if row is None:
            raise _AddressTakenError
        return user_of(row)

    def user(self, user_id: int, /) -> User | None:
        if not is_id(user_id):
            return None
        with self._database.reading() as tx:
            row = tx.one("fetch_user", user_id=user_id)
        return None if row is None else user_of(row)

    def credentials(self, email_key: str, /) -> Credentials | None:
        with self._database.reading() as tx:
            return _credentials(tx.one("fetch_credentials", email_key=email_key))

    def credentials_of(self, user_id: int, /) -> Credentials | None:
        with self._database.reading() as tx:
            return _credentials(tx.one("fetch_credentials_of_user", user_id=user_id))

    def rehash_password(self, known: Credentials, new_hash: str, /) -> None:
        with self._database.writing() as tx:
            tx.run("replace_password_hash", user_id=known.user_id, old_hash=known.password_hash, new_hash=new_hash)

    def change_password(self, known: Credentials, new_hash: str, kept_session_id: int | None, /) -> bool:
        with self._database.writing() as tx:
            changed = tx.run(
                "replace_password_hash", user_id=known.user_id, old_hash=known.password_hash, new_hash=new_hash
            )
            if changed:
                tx.run(
                    "revoke_other_sessions",
                    user_id=known.user_id,
                    kept_session_id=kept_session_id or 0,
                    now_us=self._now_us(),
                )
            return changed > 0


def _id(row: Row | None) -> int:
    return int(given(row)["id"])


def user_of(row: Row) -> User:
    return User(
        id=row["id"],
        organization_id=row["organization_id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        created_at=from_us(row["created_at_us"]),
    )


def _credentials(row: Row | None) -> Credentials | None:
    return None if row is None else Credentials(row["id"], row["password_hash"])
