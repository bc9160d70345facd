"""A clock whose time of day a test sets, while durations stay real: waiting threads must not wait for ever."""

import time
from datetime import UTC, datetime


class SteeredClock:
    """A ``Clock`` that stands at the moment it was set to; ``follow`` lets it run with the machine's again."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now

    def set(self, now: datetime) -> None:
        self._now = now

    def follow(self) -> None:
        self._now = None

    def now(self) -> datetime:
        return self._now if self._now is not None else datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)
