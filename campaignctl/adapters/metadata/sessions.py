"""Sessions, refresh tokens and the count of failed sign-ins."""

from collections.abc import Sequence
from datetime import datetime

from campaignctl.adapters.metadata.database import Tables, Transaction, given, is_id, seconds_to_us, to_us
from campaignctl.domain.users import Role
from campaignctl.ports.metadata import LoginBucket, Rotated, Rotation, SessionState


class SessionTables(Tables):
    def open_session(self, user_id: int, address: str, token_hash: str, expires_at: datetime, /) -> int:
        now_us, expires_at_us = self._now_us(), to_us(expires_at)
        with self._database.writing() as tx:
            tx.run("remove_expired_sessions", now_us=now_us)
            row = tx.one("add_session", user_id=user_id, address=address, now_us=now_us, expires_at_us=expires_at_us)
            session_id = int(given(row)["id"])
            tx.run("add_refresh_token", token_hash=token_hash, session_id=session_id, expires_at_us=expires_at_us)
        return session_id

    def rotate(self, token_hash: str, new_token_hash: str, expires_at: datetime, /) -> Rotated:
        now_us, expires_at_us = self._now_us(), to_us(expires_at)
        with self._database.writing() as tx:
            row = tx.one("fetch_refresh_token", token_hash=token_hash)
            if row is None:
                return Rotated(Rotation.REFUSED)
            user_id, session_id = int(row["user_id"]), int(row["session_id"])
            if row["revoked_at_us"] is not None or row["expires_at_us"] <= now_us:
                return Rotated(Rotation.REFUSED, user_id, session_id)
            if not tx.run("use_refresh_token", token_hash=token_hash, now_us=now_us):
                tx.run("revoke_session", session_id=session_id, now_us=now_us)
                return Rotated(Rotation.REUSED, user_id, session_id)
            tx.run("remove_expired_refresh_tokens", session_id=session_id, now_us=now_us)
            tx.run("add_refresh_token", token_hash=new_token_hash, session_id=session_id, expires_at_us=expires_at_us)
            tx.run("prolong_session", session_id=session_id, expires_at_us=expires_at_us)
        return Rotated(Rotation.DONE, user_id, session_id)

    def session(self, session_id: int, /) -> SessionState | None:
        if not is_id(session_id):
            return None
        with self._database.reading() as tx:
            row = tx.one("fetch_session", session_id=session_id)
        if row is None:
            return None
        return SessionState(
            user_id=row["user_id"],
            organization_id=row["organization_id"],
            role=Role(row["role"]),
            revoked=row["revoked_at_us"] is not None,
        )

    def end_session(self, session_id: int, /) -> None:
        with self._database.writing() as tx:
            tx.run("revoke_session", session_id=session_id, now_us=self._now_us())

    def end_session_of_token(self, token_hash: str, /) -> int | None:
        with self._database.writing() as tx:
            row = tx.one("fetch_refresh_token", token_hash=token_hash)
            if row is None:
                return None
            tx.run("revoke_session", session_id=row["session_id"], now_us=self._now_us())
            return int(row["session_id"])

    def login_wait_s(self, buckets: Sequence[LoginBucket], window_s: float, /) -> float:
        with self._database.reading() as tx:
            return self._wait_s(tx, buckets, window_s)

    def take_login_attempt(self, attempt: str, buckets: Sequence[LoginBucket], window_s: float, /) -> float:
        with self._database.writing() as tx:
            wait_s = self._wait_s(tx, buckets, window_s)
            if wait_s:
                return wait_s
            now_us, window_us = self._now_us(), seconds_to_us(window_s)
            tx.run("remove_old_login_attempts", window_start_us=now_us - window_us, window_end_us=now_us + window_us)
            for bucket in buckets:
                tx.run("add_login_attempt", attempt=attempt, bucket=bucket.name, now_us=now_us)
        return 0.0

    def take_back_login_attempt(self, attempt: str, /) -> None:
        with self._database.writing() as tx:
            tx.run("remove_login_attempt", attempt=attempt)

    def signed_in_before(self, email_key: str, address: str, /) -> bool:
        with self._database.reading() as tx:
            return tx.one("find_session_from_address", email_key=email_key, address=address) is not None

    def _wait_s(self, tx: Transaction, buckets: Sequence[LoginBucket], window_s: float) -> float:
        """The longest that one of the buckets asks for; never more than the window, also when the clock was set."""
        now_us, window_us = self._now_us(), seconds_to_us(window_s)
        waits_us = [0]
        for bucket in buckets:
            row = tx.one(
                "fetch_limiting_login_attempt",
                bucket=bucket.name,
                limit=bucket.limit,
                window_start_us=now_us - window_us,
                window_end_us=now_us + window_us,
            )
            if row is not None:
                waits_us.append(min(row["at_us"] + window_us - now_us, window_us))
        return max(waits_us) / 1_000_000
