"""The machine's clock."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaignctl.ports.clock import Clock


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        # One count for all processes of the machine since it started (Linux, macOS): leases compare it across them.
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)


if TYPE_CHECKING:

    def _conforms(adapter: SystemClock) -> Clock:
        return adapter
