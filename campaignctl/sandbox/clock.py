"""The sandbox's time: what the platforms take for now, which may run faster than the machine's clock."""

from datetime import datetime, timedelta
from threading import Lock

from campaignctl.ports.clock import Clock


class SandboxClock:
    """``now`` is the world's time; waits, quotas and lives of tokens are real seconds. May be used by several threads.

    It begins at the machine's time and never falls.
    """

    def __init__(self, machine: Clock, speed: float = 1.0) -> None:
        self.machine = machine
        self.speed = speed
        self._began = machine.now()
        self._began_s = machine.monotonic_s()
        self._ahead = timedelta(0)
        self._lock = Lock()

    def now(self) -> datetime:
        with self._lock:
            ahead = self._ahead
        return self._began + ahead + timedelta(seconds=(self.real_s() - self._began_s) * self.speed)

    def real_s(self) -> float:
        return self.machine.monotonic_s()

    def advance(self, by: timedelta) -> None:
        """Let time pass at once. ``by`` is not negative."""
        with self._lock:
            self._ahead += max(by, timedelta(0))
