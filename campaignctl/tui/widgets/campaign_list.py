"""A list of campaigns to choose from."""

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from campaignctl.tui.campaigns import Campaigns
from campaignctl.tui.look import Look
from campaignctl.tui.widgets.fading import Fading


class CampaignList(OptionList, Fading):
    """The highlight follows the cursor; rebuilt only when the campaigns themselves changed."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's own word
        super().__init__(id=id)
        self._shown: tuple[Campaigns, Look] | None = None

    def show(self, campaigns: Campaigns, chosen: int | None, look: Look) -> None:
        ids = [line.id for line in campaigns.lines]
        with self.prevent(OptionList.OptionHighlighted):
            if (campaigns, look) != self._shown:
                self._shown = (campaigns, look)
                self.clear_options()
                self.add_options([Option(line.text(look), id=str(line.id)) for line in campaigns.lines])
                if campaigns.more:
                    self.add_option(Option(Text("… more: press /", style="dim"), disabled=True))
            if chosen in ids:
                self.highlighted = ids.index(chosen)

    @property
    def chosen(self) -> int | None:
        if self.highlighted is None:
            return None
        name = self.get_option_at_index(self.highlighted).id
        return None if name is None else int(name)
