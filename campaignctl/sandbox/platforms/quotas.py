"""Quotas: how much was used within the last seconds, and when there is room again."""

from collections import deque
from threading import Lock

from campaignctl.sandbox.clock import SandboxClock


class Quota:
    """So many units within so many real seconds, per key. May be used by several threads."""

    def __init__(self, clock: SandboxClock, units: int, within_s: float) -> None:
        self._clock = clock
        self._units = units
        self._within_s = within_s
        self._used: dict[str, deque[tuple[float, int]]] = {}
        self._lock = Lock()

    def use(self, key: str, units: int = 1) -> float:
        """Take units and answer 0; or take none, and answer the seconds until some are free."""
        now_s = self._clock.real_s()
        with self._lock:
            used = self._recent(key, now_s)
            if sum(count for _, count in used) + units > self._units:
                return max(0.001, used[0][0] + self._within_s - now_s) if used else self._within_s
            used.append((now_s, units))
            return 0.0

    def percent(self, key: str) -> int:
        """How much of it is used up."""
        with self._lock:
            return sum(count for _, count in self._recent(key, self._clock.real_s())) * 100 // self._units

    def _recent(self, key: str, now_s: float) -> deque[tuple[float, int]]:
        used = self._used.setdefault(key, deque())
        while used and used[0][0] + self._within_s <= now_s:
            used.popleft()
        return used
