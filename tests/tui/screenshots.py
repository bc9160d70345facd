"""The dashboard's pictures in the documents, made by the program itself: ``python -m tests.tui.screenshots``.

Over the fake API on clocks that stand still, so that they are the same every time; a test compares them.
"""

import asyncio
import os
import re
import time
from pathlib import Path

from campaignctl.tui.app import Dashboard
from campaignctl.tui.session import Session
from tests.tui.driving import until
from tests.tui.fake_api import NOW, FakeApi

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
PICTURES = {"live": "1", "campaign": "2", "jobs": "3"}
_SIZE = (132, 38)
_NAMES = ("Spring launch", "Diwali offers", "Winter sale", "Engineers wanted", "Snack drop")
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


async def picture(name: str) -> str:
    """One screen as SVG, without the address of a font that a viewer would have to fetch."""
    api = FakeApi()
    api.names = list(_NAMES)
    app = Dashboard(Session.of(api, "http://127.0.0.1:8080", now=lambda: NOW, monotonic_s=lambda: 0.0))
    async with app.run_test(size=_SIZE) as pilot:
        await until(app, pilot, "LIVE", "ada@example.com", "settling")
        if name != "live":
            await pilot.press(PICTURES[name])
            await until(app, pilot, "LIVE", {"campaign": "underspending", "jobs": "1 under way"}[name])
        await pilot.pause(0.5)
        svg = app.export_screenshot(title="campaignctl dashboard", simplify=True)
    svg = _FONT.sub("", svg).replace("Fira Code", "ui-monospace, Menlo, 'DejaVu Sans Mono'")
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1)  # some viewers drop the spaces that align numbers


def in_utc() -> None:
    """Moments are shown in the machine's zone."""
    os.environ["TZ"] = "UTC"
    time.tzset()


def path_of(name: str) -> Path:
    return FOLDER / f"dashboard-{name}.svg"


if __name__ == "__main__":
    in_utc()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for one in PICTURES:
        path_of(one).write_text(asyncio.run(picture(one)), encoding="utf-8")
