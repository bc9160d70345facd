"""Access tokens made from refresh tokens, as Google and LinkedIn hand them out."""

from collections.abc import Mapping
from threading import Lock

from campaignctl.sandbox.clock import SandboxClock
from campaignctl.sandbox.natives import SandboxAccount
from campaignctl.sandbox.platforms.desk import accounts_of


class Grants:
    """May be used by several threads."""

    def __init__(self, platform: str, clock: SandboxClock, *, rotates: bool = False, settles_s: float = 0.0) -> None:
        """``rotates``: a renewal replaces the refresh token. ``settles_s``: a token holds only after so long."""
        self._platform = platform
        self._clock = clock
        self._rotates = rotates
        self._settles_s = settles_s
        self._refresh = {one.credentials()["refresh_token"]: one for one in accounts_of(platform)}
        self._access: dict[str, tuple[SandboxAccount, float, float]] = {}
        """To the account, and the real seconds between which it holds."""
        self._made = 0
        self._lock = Lock()

    def renew(self, form: Mapping[str, str], life_s: int) -> dict[str, object] | None:
        """Tokens for a refresh token of the right client; None for any other."""
        with self._lock:
            given = form.get("refresh_token", "")
            account = self._refresh.get(given)
            if account is None or form.get("grant_type") != "refresh_token":
                return None
            known = account.credentials()
            if any(form.get(name) != known[name] for name in ("client_id", "client_secret")):
                return None
            self._made += 1
            token = f"sandbox-{self._platform}-access-{self._made}"
            now_s = self._clock.real_s()
            self._access[token] = (account, now_s + self._settles_s, now_s + life_s)
            found: dict[str, object] = {"access_token": token, "expires_in": life_s}
            if self._rotates:
                rotated = f"{known['refresh_token']}-{self._made}"
                del self._refresh[given]
                self._refresh[rotated] = account
                found["refresh_token"] = rotated
            return found

    def account_of(self, token: str) -> SandboxAccount | None:
        """Whose the access token is, while it holds."""
        with self._lock:
            account, begins_s, ends_s = self._access.get(token, (None, 0.0, 0.0))
        return account if begins_s <= self._clock.real_s() < ends_s else None

    def left_s(self, token: str) -> float | None:
        """How long the access token still holds; None when it does not."""
        if self.account_of(token) is None:
            return None
        with self._lock:
            return self._access[token][2] - self._clock.real_s()

    def end(self, token: str) -> None:
        """Let an access token end before its time."""
        with self._lock:
            self._access.pop(token, None)
