"""What the dashboard shows at one moment: values only, made by the poller, painted by the widgets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

GRANULARITIES = ("daily", "weekly", "monthly")
GROUPINGS = ("platform", "region", "device", "")
RANGES_DAYS = (7, 14, 30, 90)
METRICS = ("spend", "revenue", "impressions", "clicks", "conversions")


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the screen has asked to see."""

    campaign_id: int | None = None
    """None: the first campaign there is."""
    days: int = 30
    granularity: str = "daily"
    group_by: str = "platform"
    metric: str = "spend"

    def step(self, member: str, choices: tuple[Any, ...], by: int = 1) -> Self:
        """The view with ``member`` moved on to the next (or an earlier) choice, round and round."""
        at = choices.index(getattr(self, member))
        return replace(self, **{member: choices[(at + by) % len(choices)]})

    def command_line(self) -> str:
        """The command that prints the same rows."""
        words = ["campaignctl insights", f"--campaign {self.campaign_id or 'N'}", f"--granularity {self.granularity}"]
        if self.group_by:
            words.append(f"--group-by {self.group_by}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class CampaignLine:
    id: int
    name: str
    status: str
    currency: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One complete reading; ``table``, ``trend`` are bodies of the insights route."""

    taken_at: datetime
    view: View
    campaigns: tuple[CampaignLine, ...]
    table: Mapping[str, Any]
    """The view's range at its granularity and grouping, with the comparison to the period before."""
    trend: Mapping[str, Any]
    """The same range by day, ungrouped."""

    @property
    def campaign(self) -> CampaignLine | None:
        return next((line for line in self.campaigns if line.id == self.view.campaign_id), None)


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

    def failed(self, now_s: float, wait_s: float, reason: str, trouble: Connection = Connection.OFFLINE) -> "Link":
        failures = self.failures + 1
        return replace(self, failures=failures, retry_at_s=now_s + wait_s, reason=reason, trouble=trouble)
