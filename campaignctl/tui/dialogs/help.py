"""What every key does, on a screen of its own that is made once and then only filled."""

from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from campaignctl.tui.keys import keys_everywhere, keys_of
from campaignctl.tui.look import Look
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.widgets.frame import TITLES
from campaignctl.tui.widgets.line import Line

_TWO_COLUMNS = 120


class Help(ModalScreen[None]):
    """Hides the whole window: a screen that shines through is drawn again at each step of its coming up."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,question_mark", "dismiss", "Close")]

    def __init__(self) -> None:
        super().__init__(id="help")
        self._title, self._hint = Line(id="help-title"), Line(id="help-hint")
        self._here, self._everywhere = Static(id="help-here"), Static(id="help-everywhere")

    def compose(self) -> ComposeResult:
        yield self._title
        with VerticalScroll(), Horizontal(id="help-keys"):
            yield self._here
            yield self._everywhere
        yield self._hint

    def on_mount(self) -> None:
        self._hint.put(Text("↑ ↓ scroll, esc closes", "dim", no_wrap=True))

    def about(self, screen: PolledScreen[Any, Any], look: Look) -> None:
        """Tell the keys of that screen, from the top; ``look`` is that of the theme now."""
        self._title.put(Text.assemble(" Keys ", (f" {TITLES[screen.NAME]} ", "bold"), no_wrap=True))
        self._here.update(keys_of(self.app, screen, look))
        self._everywhere.update(keys_everywhere(self.app, look))
        if self.is_mounted:
            self.query_one(VerticalScroll).scroll_home(animate=False)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < _TWO_COLUMNS, "narrow")
