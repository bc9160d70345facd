"""The clock: the one place that asks what time it is, so that tests can say."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, aware, UTC. It may jump; never subtract two of them to get a duration."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never fall; for durations and deadlines."""
        ...

    def sleep(self, seconds: float, /) -> None: ...


class ServerClock(Protocol):
    def server_time(self) -> datetime:
        """The time of day on the server that a store speaks to, aware, UTC. Raises ``Unavailable``."""
        ...
