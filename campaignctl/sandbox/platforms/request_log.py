"""What the platforms were asked, in the order in which it was answered; without credentials."""

import re
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from threading import Lock

from campaignctl.sandbox.clock import SandboxClock

_KEPT = 100_000
_SECRETS = re.compile(r"((?:access_token|appsecret_proof|secret|refresh_token)=)[^&]*")


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    number: int
    at: datetime
    """The sandbox's time."""
    at_s: float
    """Real seconds, from any beginning."""
    platform: str
    kind: str
    method: str
    path: str
    query: str
    status: int
    fault: str
    """The fault that hit it; "" for none."""

    def shown(self) -> dict[str, object]:
        return {**asdict(self), "at": self.at.isoformat()}


class RequestLog:
    """Keeps the newest 100,000. May be used by several threads."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._kept: deque[LoggedRequest] = deque(maxlen=_KEPT)
        self._count = 0
        self._lock = Lock()

    def add(self, platform: str, kind: str, method: str, path: str, query: str, status: int, fault: str) -> None:
        at, at_s, query = self._clock.now(), self._clock.real_s(), _SECRETS.sub(r"\1-", query)
        with self._lock:
            self._count += 1
            one = LoggedRequest(self._count, at, at_s, platform, kind, method, path, query, status, fault)
            self._kept.append(one)

    def entries(self, platform: str = "", kind: str = "", behind: int = 0) -> list[LoggedRequest]:
        """Those of a platform and kind (all: "") with a number above ``behind``, oldest first."""
        with self._lock:
            kept = list(self._kept)
        return [
            one for one in kept if one.number > behind and platform in ("", one.platform) and kind in ("", one.kind)
        ]
