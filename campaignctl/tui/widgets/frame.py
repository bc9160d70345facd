"""What every screen has around it: the names of the screens, the installation and who looks, the command line."""

from rich.text import Text
from textual.content import Content
from textual.widgets import Footer, Static

from campaignctl.telemetry import one_line
from campaignctl.tui.look import Look
from campaignctl.tui.session import Session

SCREENS = (
    ("live", "Live"), ("campaign", "Campaign"), ("jobs", "Jobs"), ("system", "System"), ("letters", "Dead letters"),
)  # fmt: skip
"""In the order of their keys 1 to 5: mode and title."""


class Tabs(Static):
    """``1 Live  2 Campaign ...``: the one on screen stands out; a click goes to another."""

    def __init__(self, current: str) -> None:
        parts = []
        for number, (name, title) in enumerate(SCREENS, 1):
            style = "bold reverse" if name == current else "$text-muted"
            parts.append(f"[{style}][@click=app.go('{name}')] {number} {title} [/][/]")
        super().__init__(Content.from_markup("".join(parts)), id="tabs")


class Where(Static):
    """The installation and who looks, at the right; a place that is called production warns."""

    def show(self, session: Session, look: Look) -> None:
        text = Text(no_wrap=True, overflow="ellipsis", justify="right")
        text.append(one_line(session.where), f"bold reverse {look.warn}" if session.is_production else "bold")
        if session.who is not None:
            text.append(f"  {one_line(str(session.who))}", "dim")
        self.update(text)


class Keys(Footer):
    """The line of keys. It is made anew whenever a screen comes up or the focus moves."""

    async def recompose(self) -> None:
        await super().recompose()
        # The framework remembers each key that it ever showed as one to be told of this value, and forgets those
        # that are gone when it tells them: without that a screen that is looked at for hours keeps all of them.
        self.mutate_reactive(Footer.compact)


class CommandLine(Static):
    """``$ campaignctl ...``: what prints the same in a terminal."""

    def show(self, command: str) -> None:
        self.update(Text(f"$ {one_line(command)}", style="italic dim", no_wrap=True, overflow="ellipsis"))
