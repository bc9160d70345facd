"""The campaigns of the installation, as the list, the chooser and the command palette show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from campaignctl.telemetry import one_line
from campaignctl.tui.look import Look
from campaignctl.tui.reader import Reader

PATH = "/api/v1/campaigns"
PAGE = 200
"""The most that the API gives at once; whoever has more finds them by their names."""


@dataclass(frozen=True, slots=True)
class CampaignLine:
    id: int
    name: str
    status: str
    currency: str
    timezone: str

    def text(self, look: Look) -> Text:
        mark, style = look.mark(self.status)
        return Text.assemble(
            (f"{mark} ", style), one_line(self.name), (f"  {self.currency}", "dim"), no_wrap=True, overflow="ellipsis"
        )


@dataclass(frozen=True, slots=True)
class Campaigns:
    lines: tuple[CampaignLine, ...] = ()
    more: bool = False
    """Whether there are others that were not given."""


def read_campaigns(reader: Reader, wanted: str = "", limit: int = PAGE) -> Campaigns:
    """The first ones, or those whose name has ``wanted`` in it."""
    params = {"limit": str(limit)} | ({"q": wanted} if wanted else {})
    page = reader.get(PATH, params)
    return Campaigns(tuple(map(line_of, page["items"])), page["next_cursor"] is not None)


def line_of(body: Mapping[str, Any]) -> CampaignLine:
    return CampaignLine(body["id"], body["name"], body["status"], body["currency"], body["timezone"])
