"""The campaigns in the command palette, by name."""

from functools import partial
from typing import Any

from textual.app import App
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from campaignctl.telemetry import one_line
from campaignctl.tui.dialogs.dialog import Dimming
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.screens.live import LiveScreen

_DISCOVERED = 5


class Palette(CommandPalette, Dimming[Any]):
    """The framework's own, before a screen that is drawn once."""


class CampaignCommands(Provider):
    """``Campaign Spring``: goes to it. Names are text, never markup."""

    async def discover(self) -> Hits:
        for title, campaign_id in list(self._titles().items())[:_DISCOVERED]:
            yield DiscoveryHit(Content(title), partial(self._open, campaign_id), text=title)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, campaign_id in self._titles().items():
            if (score := matcher.match(title)) > 0:
                yield Hit(score, Content(title), partial(self._open, campaign_id), text=title)

    def _titles(self) -> dict[str, int]:
        live = _live(self.app)
        lines = live.reading.campaigns.lines if live is not None and live.reading is not None else ()
        return {f"Campaign {one_line(line.name)} ({line.id})": line.id for line in lines}

    def _open(self, campaign_id: int) -> None:
        app = self.app
        if isinstance(app.screen, PolledScreen):
            app.screen.session.campaign_id = campaign_id
            live = _live(app)
            if live is not None:
                live.choose(campaign_id)
            if not isinstance(app.screen, LiveScreen):
                app.switch_mode("campaign")


def _live(app: App[object]) -> LiveScreen | None:
    for stack in app._screen_stacks.values():  # there is no other way to a mode that is not on screen
        for screen in stack:
            if isinstance(screen, LiveScreen):
                return screen
    return None
