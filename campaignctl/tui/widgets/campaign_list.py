"""The list of campaigns on the left."""

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from campaignctl.tui.snapshot import CampaignLine

_MARKS = {"active": ("●", "green"), "paused": ("‖", "yellow"), "completed": ("✓", "dim"), "archived": ("·", "dim")}


class CampaignList(OptionList):
    """Highlights follow the cursor; rebuilt only when the campaigns themselves changed."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's own word
        super().__init__(id=id)
        self._shown: tuple[CampaignLine, ...] = ()

    def show(self, campaigns: tuple[CampaignLine, ...], chosen: int | None) -> None:
        if campaigns == self._shown:
            return
        self._shown = campaigns
        self.clear_options()
        self.add_options([Option(_line(c), id=str(c.id)) for c in campaigns])
        ids = [c.id for c in campaigns]
        if chosen in ids:
            with self.prevent(OptionList.OptionHighlighted):
                self.highlighted = ids.index(chosen)


def _line(campaign: CampaignLine) -> Text:
    mark, style = _MARKS.get(campaign.status, ("·", "dim"))
    return Text.assemble(
        (f"{mark} ", style), (campaign.name, ""), (f"  {campaign.currency}", "dim"), no_wrap=True, overflow="ellipsis"
    )
