"""Members of organizations, invitations, and one-time password resets."""

from datetime import datetime

from campaignctl.adapters.metadata.database import Row, Tables, Transaction, from_us, given, is_id, to_us
from campaignctl.adapters.metadata.users import user_of
from campaignctl.domain.users import Invitation, Role, User
from campaignctl.ports.membership import Joining, MemberChange, NewInvitation, ResetTarget


class _AddressTakenError(Exception):
    """Rolls back the use of the invitation."""


class MemberTables(Tables):
    def members(self, organization_id: int | None, after_id: int, limit: int, /) -> list[User]:
        with self._database.reading() as tx:
            rows = tx.all("fetch_members", organization_id=organization_id, after_id=after_id, limit=limit)
        return list(map(user_of, rows))

    def change_member_role(self, organization_id: int, user_id: int, role: Role, /) -> MemberChange:
        if not is_id(user_id):
            return MemberChange.MISSING
        with self._database.writing() as tx:
            if role is not Role.ADMIN and self._is_last_admin(tx, organization_id, user_id):
                return MemberChange.LAST_ADMIN
            changed = tx.run("set_member_role", organization_id=organization_id, user_id=user_id, role=role.value)
        return MemberChange.DONE if changed else MemberChange.MISSING

    def remove_member(self, organization_id: int, user_id: int, /) -> MemberChange:
        if not is_id(user_id):
            return MemberChange.MISSING
        with self._database.writing() as tx:
            if self._is_last_admin(tx, organization_id, user_id):
                return MemberChange.LAST_ADMIN
            removed = tx.run("remove_member", organization_id=organization_id, user_id=user_id)
        return MemberChange.DONE if removed else MemberChange.MISSING

    def _is_last_admin(self, tx: Transaction, organization_id: int, user_id: int) -> bool:
        tx.run("lock_organization", organization_id=organization_id)
        row = tx.one("fetch_user", user_id=user_id)
        if row is None or row["organization_id"] != organization_id or row["role"] != Role.ADMIN.value:
            return False
        others = given(tx.one("count_other_admins", organization_id=organization_id, user_id=user_id))
        return int(others["admins"]) == 0

    def invite(self, invitation: NewInvitation, /) -> Invitation:
        with self._database.writing() as tx:
            organization_id, email_key = invitation.organization_id, invitation.email_key
            tx.run("lock_organization", organization_id=organization_id)
            tx.run("withdraw_invitations", organization_id=organization_id, email_key=email_key)
            row = tx.one(
                "add_invitation",
                organization_id=organization_id,
                email=invitation.email,
                email_key=email_key,
                role=invitation.role.value,
                token_hash=invitation.token_hash,
                now_us=self._now_us(),
                expires_at_us=to_us(invitation.expires_at),
            )
        return _invitation(given(row))

    def invitation(self, token_hash: str, /) -> Invitation | None:
        with self._database.reading() as tx:
            row = tx.one("fetch_invitation", token_hash=token_hash, now_us=self._now_us())
        return None if row is None else _invitation(row)

    def join(self, token_hash: str, joining: Joining, /) -> User | None:
        try:
            with self._database.writing() as tx:
                return self._join(tx, token_hash, joining)
        except _AddressTakenError:
            return None

    def _join(self, tx: Transaction, token_hash: str, joining: Joining) -> User | None:
        now_us = self._now_us()
        invitation = tx.one("fetch_invitation", token_hash=token_hash, now_us=now_us)
        if invitation is None or not tx.run("use_invitation", token_hash=token_hash, now_us=now_us):
            return None
        row = tx.one(
            "add_user",
            organization_id=invitation["organization_id"],
            email=invitation["email"],
            email_key=invitation["email_key"],
            name=joining.name,
            role=invitation["role"],
            password_hash=joining.password_hash,
            now_us=now_us,
        )
        if row is None:
            raise _AddressTakenError
        return user_of(row)

    def add_password_reset(self, user_id: int, token_hash: str, expires_at: datetime, /) -> None:
        with self._database.writing() as tx:
            tx.run("remove_password_resets", user_id=user_id)
            tx.run("add_password_reset", token_hash=token_hash, user_id=user_id, expires_at_us=to_us(expires_at))

    def password_reset(self, token_hash: str, /) -> ResetTarget | None:
        with self._database.reading() as tx:
            row = tx.one("fetch_password_reset", token_hash=token_hash, now_us=self._now_us())
        return None if row is None else ResetTarget(row["user_id"], row["email"], row["organization_id"])

    def reset_password(self, token_hash: str, new_hash: str, /) -> bool:
        now_us = self._now_us()
        with self._database.writing() as tx:
            row = tx.one("fetch_password_reset", token_hash=token_hash, now_us=now_us)
            if row is None or not tx.run("use_password_reset", token_hash=token_hash, now_us=now_us):
                return False
            tx.run("set_password_hash", user_id=row["user_id"], new_hash=new_hash)
            tx.run("revoke_other_sessions", user_id=row["user_id"], kept_session_id=0, now_us=now_us)
        return True


def _invitation(row: Row) -> Invitation:
    return Invitation(
        id=row["id"],
        organization_id=row["organization_id"],
        email=row["email"],
        role=Role(row["role"]),
        expires_at=from_us(row["expires_at_us"]),
    )
