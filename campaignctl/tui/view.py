"""What the person at the live screen has asked to see, and the questions to the API that follow from it."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Self

from campaignctl.domain.platforms import Platform

GRANULARITIES = ("daily", "weekly", "monthly", "hourly")
GROUPINGS = ("platform", "region", "device", "")
RANGES_DAYS = (7, 14, 30, 90)
METRICS = ("spend", "revenue", "impressions", "clicks", "conversions")
COMPARISONS = ("previous_period", "previous_year", "")
PLATFORMS = ("", *Platform)
SORTS = ("", *METRICS, "roas", "ctr")
"""The empty one: the newest period first."""
MAX_ROWS = 400
_HOURLY_DAYS = 7
"""A plot of hours over more days than this has more points than a screen has dots."""


@dataclass(frozen=True, slots=True)
class View:
    campaign_id: int | None = None
    """None: the first campaign there is."""
    days: int = 30
    granularity: str = "daily"
    group_by: str = "platform"
    metric: str = "spend"
    compare: str = "previous_period"
    platform: str = ""
    """Only this one; empty: all."""
    sort: str = ""
    order: str = "desc"

    def step(self, member: str, by: int = 1) -> Self:
        """The view with ``member`` moved on to the next (or an earlier) choice, round and round."""
        choices = CHOICES[member]
        at = choices.index(getattr(self, member))
        moved = replace(self, **{member: choices[(at + by) % len(choices)]})
        if moved.granularity == "hourly" and moved.days > _HOURLY_DAYS:
            return replace(moved, days=_HOURLY_DAYS) if member == "granularity" else replace(moved, granularity="daily")
        return moved

    def sorted_by(self, column: str) -> Self:
        """The same column again turns the order."""
        if column != self.sort:
            return replace(self, sort=column, order="desc")
        return replace(self, order="asc" if self.order == "desc" else "desc")

    def table_params(self, today: date) -> dict[str, str]:
        params = self._common(today) | {"granularity": self.granularity}
        if self.group_by:
            params["group_by"] = self.group_by
        if self.sort:
            params |= {"sort": self.sort, "order": self.order, "limit": str(MAX_ROWS)}
        return params

    def trend_params(self, today: date) -> dict[str, str]:
        finest = "hourly" if self.granularity == "hourly" else "daily"
        return self._common(today) | {"granularity": finest, "fill": "zero"}

    def command_line(self) -> str:
        """The command that prints the same rows."""
        words = ["campaignctl insights", f"--campaign {self.campaign_id or 'N'}"]
        flags: dict[str, Any] = {
            "granularity": self.granularity,
            "group-by": self.group_by,
            "platform": self.platform,
            "compare": self.compare,
            "sort": self.sort,
        }
        words += [f"--{name} {value}" for name, value in flags.items() if value]
        if self.sort and self.order == "asc":
            words.append("--order asc")
        return " ".join(words)

    def command_line_for(self, today: date) -> str:
        return f"{self.command_line()} --start-date {self.first(today)}"

    def first(self, today: date) -> date:
        return today - timedelta(days=self.days - 1)

    def _common(self, today: date) -> dict[str, str]:
        params = {"start_date": self.first(today).isoformat(), "end_date": today.isoformat()}
        if self.platform:
            params["platform"] = self.platform
        if self.compare:
            params["compare"] = self.compare
        return params


CHOICES: dict[str, tuple[Any, ...]] = {
    "granularity": GRANULARITIES,
    "group_by": GROUPINGS,
    "days": RANGES_DAYS,
    "metric": METRICS,
    "compare": COMPARISONS,
    "platform": PLATFORMS,
    "sort": SORTS,
}
