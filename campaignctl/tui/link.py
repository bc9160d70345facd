"""How fresh a screen is: one word that is never better than the last reading."""

import random
from dataclasses import dataclass, replace
from enum import StrEnum

from campaignctl.errors import CampaignctlError, NotSignedIn, Unavailable

_BACK_OFF_S = (1, 2, 4, 8, 16, 30)


class Connection(StrEnum):
    LIVE = "LIVE"
    STALE = "STALE"
    OFFLINE = "OFFLINE"
    REFUSED = "REFUSED"
    """The server answers, and refuses what the screen asks."""
    SIGNED_OUT = "SIGNED OUT"
    PAUSED = "PAUSED"
    WAITING = "CONNECTING"


@dataclass(frozen=True, slots=True)
class Link:
    """How the last polls went; ``state`` says it in one word, never better than it is."""

    read_at_s: float | None = None
    """Monotonic time of the last good reading; None before the first."""
    failures: int = 0
    """Polls that failed since then."""
    retry_at_s: float = 0.0
    trouble: Connection = Connection.OFFLINE
    """What the failures are: ``OFFLINE``, ``REFUSED`` or ``SIGNED_OUT``."""
    paused: bool = False
    reason: str = ""
    hint: str = ""
    """What can be done about it."""

    def state(self, now_s: float, interval_s: float) -> Connection:
        if self.failures:
            return self.trouble
        if self.paused:
            return Connection.PAUSED
        if self.read_at_s is None:
            return Connection.WAITING
        return Connection.LIVE if now_s - self.read_at_s <= 2 * interval_s + 0.5 else Connection.STALE

    def age_s(self, now_s: float) -> int:
        return 0 if self.read_at_s is None else max(0, int(now_s - self.read_at_s))

    def read(self, now_s: float) -> "Link":
        return Link(read_at_s=now_s, paused=self.paused)

    def failed(
        self, now_s: float, wait_s: float, reason: str, trouble: Connection = Connection.OFFLINE, hint: str = ""
    ) -> "Link":
        failures = self.failures + 1
        return replace(self, failures=failures, retry_at_s=now_s + wait_s, reason=reason, trouble=trouble, hint=hint)

    def at_once(self) -> "Link":
        """The same, without waiting for the next try."""
        return replace(self, retry_at_s=0.0)


def back_off_s(failures: int) -> float:
    """Seconds to wait after that many failed polls in a row: 1, 2, 4 ... 30, with a jitter of a quarter."""
    wait = _BACK_OFF_S[min(failures, len(_BACK_OFF_S)) - 1] if failures else 0
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, decides nothing


def trouble_of(error: CampaignctlError) -> Connection:
    if isinstance(error, NotSignedIn):
        return Connection.SIGNED_OUT
    return Connection.OFFLINE if isinstance(error, Unavailable) else Connection.REFUSED
