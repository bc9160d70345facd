"""What happened between this process and the ad platforms since it began, added up."""

from collections import Counter
from dataclasses import dataclass
from threading import Lock

from campaignctl.domain.platforms import Platform
from campaignctl.ports.ad_platforms import CallOutcome, WaitReason


@dataclass(frozen=True, slots=True)
class PlatformTotals:
    """A reading of the tally. Every platform is in it with everything that has names of its own, at 0 at first."""

    requests: dict[tuple[str, str], int]
    """By platform and ``CallOutcome``."""
    request_s: dict[str, float]
    wait_s: dict[tuple[str, str], float]
    """By platform and ``WaitReason``."""
    rows: dict[str, int]
    fetches: dict[tuple[str, str], int]
    """By platform and ``ok`` or an error's code."""


class PlatformTally:
    """``PlatformWatch`` that adds up."""

    def __init__(self) -> None:
        names = [platform.value for platform in Platform]
        self._lock = Lock()
        self._requests = Counter({(name, outcome.value): 0 for name in names for outcome in CallOutcome})
        self._request_s = dict.fromkeys(names, 0.0)
        self._wait_s = {(name, reason.value): 0.0 for name in names for reason in WaitReason}
        self._rows = Counter(dict.fromkeys(names, 0))
        self._fetches = Counter({(name, "ok"): 0 for name in names})

    def called(self, platform: str, outcome: CallOutcome, seconds: float, /) -> None:
        with self._lock:
            self._requests[platform, outcome.value] += 1
            self._request_s[platform] += seconds

    def waited(self, platform: str, reason: WaitReason, seconds: float, /) -> None:
        with self._lock:
            self._wait_s[platform, reason.value] += seconds

    def rows_read(self, platform: str, rows: int, /) -> None:
        with self._lock:
            self._rows[platform] += rows

    def account_fetched(self, platform: str, outcome: str, /) -> None:
        with self._lock:
            self._fetches[platform, outcome] += 1

    def totals(self) -> PlatformTotals:
        with self._lock:
            return PlatformTotals(
                dict(self._requests), dict(self._request_s), dict(self._wait_s), dict(self._rows), dict(self._fetches)
            )
