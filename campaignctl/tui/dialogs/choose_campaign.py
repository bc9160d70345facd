"""Finding a campaign by a part of its name: the API looks, so it finds those too that no list has room for."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label, OptionList

from campaignctl.errors import CampaignctlError
from campaignctl.tui.campaigns import Campaigns, read_campaigns
from campaignctl.tui.dialogs.dialog import Dialog
from campaignctl.tui.look import Look
from campaignctl.tui.session import Session
from campaignctl.tui.widgets.campaign_list import CampaignList

_SHOWN = 50


class ChooseCampaign(Dialog[int | None]):
    """Answers the chosen campaign's number, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("down", "move(1)", "Down", show=False, priority=True),
        Binding("up", "move(-1)", "Up", show=False, priority=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._wanted, self._found = Input(placeholder="a part of its name", id="wanted"), CampaignList(id="found")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label("Which campaign?", classes="dialog-title")
            yield self._wanted
            yield self._found
            yield Label("enter chooses, ↑ ↓ move, esc closes", classes="dialog-hint")

    def on_mount(self) -> None:
        self._look("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._look(event.value)

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _look(self, wanted: str) -> None:
        try:
            found = read_campaigns(self._session.reader, wanted.strip(), _SHOWN)
        except CampaignctlError:
            found = Campaigns()  # the screen below says that the API is away
        self.app.call_from_thread(self._show, wanted, found)

    def _show(self, wanted: str, found: Campaigns) -> None:
        if self.is_mounted and self._wanted.value == wanted:
            first = found.lines[0].id if found.lines else None
            look = Look.of(self.app.theme_variables)
            self._found.show(found, self._session.campaign_id if not wanted else first, look)

    def action_move(self, by: int) -> None:
        if by > 0:
            self._found.action_cursor_down()
        else:
            self._found.action_cursor_up()

    def on_input_submitted(self) -> None:
        self.dismiss(self._found.chosen)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id is not None:
            self.dismiss(int(event.option.id))
