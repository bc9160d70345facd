"""The dashboard on readings of a fake API, with the screen's text as the proof."""

import threading
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from campaignctl.domain.insight_questions import PARAMETERS
from campaignctl.errors import NotSignedIn, Unavailable
from campaignctl.tui.app import Dashboard
from campaignctl.tui.poller import back_off_s
from campaignctl.tui.snapshot import Connection, Link, View

pytest.importorskip("textual_plot", reason="the extra 'dashboard' is not installed")

_TOTALS = {"spend": 12345.6, "revenue": 1.5e6, "roas": 3.21, "conversions": 33.5, "clicks": 12000, "ctr": 0.0231}


KNOWN = {"limit", *PARAMETERS}


class FakeApi:
    """Answers like the REST API for a dozen campaigns, or fails as told."""

    def __init__(self, campaigns: int = 3) -> None:
        self.campaigns = campaigns
        self.error: Exception | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.spend = 812.25

    def get_json(self, path: str, params: Mapping[str, str] | None = None, /) -> Any:
        assert set(params or {}) <= KNOWN
        self.asked.append((path, dict(params or {})))
        self.gate.wait(20)
        if self.error is not None:
            raise self.error
        if path == "/api/v1/campaigns":
            return {"items": [self._campaign(n) for n in range(1, self.campaigns + 1)]}
        return self._insights(dict(params or {}))

    @staticmethod
    def _campaign(number: int) -> dict[str, Any]:
        name = f"Campaign {number} [red]x[/red]"
        return {"id": number, "name": name, "status": "active", "currency": "USD", "timezone": "Asia/Kolkata"}

    def _insights(self, params: dict[str, str]) -> dict[str, Any]:
        first, last = date.fromisoformat(params["start_date"]), date.fromisoformat(params["end_date"])
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        groups = ["meta", "google"] if params.get("group_by") == "platform" else [""]
        rows = [
            {
                "period_start": day.isoformat(), "period_end": day.isoformat(), "partial": False,
                "impressions": 1000, "clicks": 20, "conversions": 1.5, "spend": self.spend, "revenue": 2400.5,
                "ctr": 0.02, "cpc": 1.0, "cpm": 1.0, "cpa": None, "cvr": 0.1, "roas": 2.96, "source": "stream",
                "finality": "live" if day == last else "provisional", **({"platform": group} if group else {}),
            }
            for day in (days if params.get("fill") else reversed(days))
            for group in groups
        ]  # fmt: skip
        return {
            "rows": rows, "currency": "USD", "totals": _TOTALS, "comparison": {"change": {"spend": 0.12, "clicks": -0.5}},
            "warnings": [{"code": "mixed_currency", "message": "EUR was converted"}],
            "freshness": [{"platform": "meta", "last_event_at": "2026-10-31T04:00:00Z"}],
        }  # fmt: skip


def text_of(app: Dashboard) -> str:
    return "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())


async def until(app: Dashboard, pilot: Any, wanted: str) -> str:
    for _ in range(100):
        await pilot.pause(0.05)
        if wanted in (shown := text_of(app)):
            return shown
    pytest.fail(f"{wanted!r} never came up on:\n{text_of(app)}")


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(140, 44), (80, 24), (200, 60)])
async def test_shows_figures_finality_and_the_command_line(size: tuple[int, int]) -> None:
    app = Dashboard(FakeApi(), where="test installation", interval_s=0.5)
    async with app.run_test(size=size) as pilot:
        shown = await until(app, pilot, "LIVE")
    for wanted in (
        "SPEND",
        "12.3k",
        "▲ 12.0%",
        "3.21",
        "provisional",
        "campaignctl insights --campaign 1",
        "test inst",
    ):
        assert wanted in shown
    assert "mixed_currency" in shown


@pytest.mark.anyio
async def test_a_name_is_text_and_never_markup() -> None:
    app = Dashboard(FakeApi(), where="x", interval_s=0.5)
    async with app.run_test(size=(140, 44)) as pilot:
        assert "Campaign 1 [red]x[/red]" in await until(app, pilot, "LIVE")


@pytest.mark.anyio
async def test_keys_change_what_is_asked() -> None:
    api = FakeApi()
    app = Dashboard(api, where="x", interval_s=0.5)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        await pilot.press("g", "b", "right_square_bracket")
        await until(app, pilot, "last 90 days")
        await until(app, pilot, "--granularity weekly --group-by region")
    assert any(p.get("granularity") == "weekly" and p.get("group_by") == "region" for _, p in api.asked)


@pytest.mark.anyio
async def test_another_campaign_is_chosen_with_the_arrow_keys() -> None:
    api = FakeApi()
    app = Dashboard(api, where="x", interval_s=0.5)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        app.query_one("#campaigns").focus()
        await pilot.press("down")
        await until(app, pilot, "--campaign 2")


@pytest.mark.anyio
async def test_a_frozen_api_leaves_the_numbers_and_the_keys_alive_and_says_stale() -> None:
    api = FakeApi()
    app = Dashboard(api, where="x", interval_s=0.3)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        api.gate.clear()
        shown = await until(app, pilot, "STALE")
        assert "12.3k" in shown
        await pilot.press("m")
        await until(app, pilot, "Revenue by day")
        api.gate.set()
        await until(app, pilot, "LIVE")


@pytest.mark.anyio
async def test_an_api_that_is_gone_is_offline_and_comes_back() -> None:
    api = FakeApi()
    app = Dashboard(api, where="x", interval_s=0.3)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        api.error = Unavailable("the server is away", service="api")
        shown = await until(app, pilot, "OFFLINE")
        assert "the server is away" in shown
        assert "12.3k" in shown
        api.error = None
        await pilot.press("r")
        await until(app, pilot, "LIVE")


@pytest.mark.anyio
async def test_a_session_that_ended_is_said() -> None:
    api = FakeApi()
    api.error = NotSignedIn("the session has ended")
    app = Dashboard(api, where="x", interval_s=0.3)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "SIGNED OUT")


@pytest.mark.anyio
async def test_no_campaigns_is_no_crash() -> None:
    app = Dashboard(FakeApi(campaigns=0), where="x", interval_s=0.3)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(app, pilot, "LIVE")


@pytest.mark.anyio
async def test_a_changed_figure_changes_in_place_and_the_cursor_stays() -> None:
    api = FakeApi()
    app = Dashboard(api, where="x", interval_s=0.2)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "812.25")
        await pilot.press("down", "down", "down")
        before = app.query_one("#breakdown").cursor_row  # type: ignore[attr-defined]
        api.spend = 913.75
        await until(app, pilot, "913.75")
        assert app.query_one("#breakdown").cursor_row == before == 3  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_pause_stops_asking() -> None:
    api = FakeApi()
    app = Dashboard(api, where="x", interval_s=0.2)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        await pilot.press("space")
        await until(app, pilot, "PAUSED")
        await pilot.pause(0.4)
        asked = len(api.asked)
        await pilot.pause(0.8)
        assert len(api.asked) == asked


def test_the_state_is_never_better_than_the_last_reading() -> None:
    link = Link()
    assert link.state(0, 2) is Connection.WAITING
    link = link.read(10)
    assert link.state(13, 2) is Connection.LIVE
    assert link.state(15, 2) is Connection.STALE
    failed = link.failed(15, 4, "away")
    assert failed.state(16, 2) is Connection.OFFLINE
    assert failed.failed(17, 1, "gone", Connection.SIGNED_OUT).state(17, 2) is Connection.SIGNED_OUT
    assert failed.read(18).state(18, 2) is Connection.LIVE


def test_waits_double_up_to_half_a_minute() -> None:
    assert [1 * 0.75 <= back_off_s(1) <= 1.25, 0.75 * 30 <= back_off_s(50) <= 37.5, back_off_s(0) == 0] == [True] * 3


def test_the_view_names_the_command_that_shows_the_same() -> None:
    view = View(campaign_id=4, granularity="weekly", group_by="region")
    assert view.command_line() == "campaignctl insights --campaign 4 --granularity weekly --group-by region"
