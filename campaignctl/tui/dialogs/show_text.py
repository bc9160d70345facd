"""A long text to read, scrolled with the keys or the wheel."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Label, Static

from campaignctl.tui.dialogs.dialog import Dialog


class ShowText(Dialog[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,question_mark", "dismiss", "Close")]

    def __init__(self, title: str, text: Text) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall"):
            yield Label(Text(self._title, "bold"), classes="dialog-title")
            with VerticalScroll():
                yield Static(self._text)
            yield Label("↑ ↓ scroll, esc closes", classes="dialog-hint")
