"""What the tests of the dashboard share: an app over a fake API, its screen as text, and waiting for a text on it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from campaignctl.tui.app import Dashboard
from campaignctl.tui.session import Session
from tests.tui.fake_api import NOW, FakeApi

SIZES = [(80, 24), (160, 48)]
_PATIENCE_S = 60.0


def dashboard(
    api: FakeApi | None = None,
    *,
    where: str = "test installation",
    interval_s: float = 0.5,
    campaign_id: int | None = None,
    program: str = "campaignctl",
) -> Dashboard:
    """On a calendar that stands still; the clock that polls are timed by goes on."""
    return Dashboard(
        Session.of(
            api or FakeApi(), where, interval_s=interval_s, campaign_id=campaign_id, program=program, now=lambda: NOW
        )
    )


def text_of(app: Dashboard) -> str:
    """All that is on the screen, dialogs in front."""
    update = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in update)


async def until(app: Dashboard, pilot: Any, *wanted: str) -> str:
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s:
        await pilot.pause(0.05)
        shown = text_of(app)
        if all(text in shown for text in wanted):
            return shown
    pytest.fail(f"{wanted!r} never came up on:\n{text_of(app)}")


async def until_true(pilot: Any, condition: Callable[[], object], what: str) -> None:
    """For what the screen does not show."""
    end_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"never: {what}"
        await pilot.pause(0.05)
