"""A question before something is changed: what will be done, and on which installation."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Label, Static

from campaignctl.telemetry import one_line
from campaignctl.tui.dialogs.dialog import Dialog
from campaignctl.tui.look import Look
from campaignctl.tui.session import Session


class Confirm(Dialog[bool]):
    """Answers whether to go on; the way out has the focus, so that a stray enter changes nothing."""

    AUTO_FOCUS = "#no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape", "dismiss(False)", "No"),
    ]

    def __init__(self, session: Session, question: str, *lines: str) -> None:
        super().__init__()
        self._session, self._question, self._lines = session, question, lines

    def compose(self) -> ComposeResult:
        look = Look.of(self.app.theme_variables)
        with Vertical(classes="dialog"):
            yield Label(Text(one_line(self._question), "bold"), classes="dialog-title")
            for line in self._lines:
                yield Static(Text(one_line(line)))
            style = f"bold reverse {look.warn}" if self._session.is_production else "bold"
            yield Static(Text.assemble(("at  ", "dim"), (one_line(self._session.where), style)), classes="dialog-where")
            with Horizontal(classes="dialog-buttons"):
                yield Button("No (n)", id="no")
                yield Button("Yes (y)", id="yes", variant="warning")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
