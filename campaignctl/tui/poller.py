"""Reads one snapshot through the API. Blocking: the app runs it in a thread and never waits for it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from campaignctl.tui.snapshot import CampaignLine, Snapshot, View

MAX_CAMPAIGNS = 200
_BACK_OFF_S = (1, 2, 4, 8, 16, 30)


class Api(Protocol):
    """What the dashboard needs of ``campaignctl.api_client``."""

    def get_json(self, path: str, params: Mapping[str, str] | None = None, /) -> Any:
        """The decoded body of a successful GET; raises ``NotSignedIn``, ``Unavailable`` or another product error."""
        ...


def read_snapshot(api: Api, view: View, now: datetime | None = None) -> Snapshot:
    """Fetch all the view shows. A view without a campaign, or with one that is gone, gets the first there is."""
    taken_at = now or datetime.now(UTC)
    listed = api.get_json("/api/v1/campaigns", {"limit": str(MAX_CAMPAIGNS)})["items"]
    campaigns = tuple(CampaignLine(c["id"], c["name"], c["status"], c["currency"], c["timezone"]) for c in listed)
    if not campaigns:
        return Snapshot(taken_at, replace(view, campaign_id=None), (), {}, {})
    chosen = _chosen(campaigns, view.campaign_id)
    view = replace(view, campaign_id=chosen.id)
    path = f"/api/v1/campaigns/{chosen.id}/insights"
    span = _range(taken_at.astimezone(ZoneInfo(chosen.timezone)).date(), view.days)
    table = api.get_json(
        path,
        span
        | {"granularity": view.granularity, "compare": "previous_period"}
        | ({"group_by": view.group_by} if view.group_by else {}),
    )
    trend = api.get_json(path, span | {"granularity": "daily", "fill": "zero"})
    return Snapshot(taken_at, view, campaigns, table, trend)


def back_off_s(failures: int) -> float:
    """Seconds to wait after that many failed polls in a row: 1, 2, 4 ... 30, with a jitter of a quarter."""
    wait = _BACK_OFF_S[min(failures, len(_BACK_OFF_S)) - 1] if failures else 0
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, decides nothing


def _chosen(campaigns: Sequence[CampaignLine], wanted: int | None) -> CampaignLine:
    return next((c for c in campaigns if c.id == wanted), campaigns[0])


def _range(today: date, days: int) -> dict[str, str]:
    return {"start_date": (today - timedelta(days=days - 1)).isoformat(), "end_date": today.isoformat()}
