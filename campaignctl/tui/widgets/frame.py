"""What every screen has around it: the names of the screens, the installation and who looks, the command line."""

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from campaignctl.telemetry import one_line
from campaignctl.tui.look import Look
from campaignctl.tui.session import Session
from campaignctl.tui.widgets.line import Line

SCREENS = (
    ("live", "Live"), ("campaign", "Campaign"), ("jobs", "Jobs"), ("system", "System"), ("letters", "Dead letters"),
)  # fmt: skip
"""In the order of their keys 1 to 5: mode and title."""
TITLES = dict(SCREENS)


class Tabs(Static):
    """``1 Live  2 Campaign ...``: the one on screen stands out; a click goes to another."""

    def __init__(self, current: str) -> None:
        parts = []
        for number, (name, title) in enumerate(SCREENS, 1):
            style = "bold reverse" if name == current else "$text-muted"
            parts.append(f"[{style}][@click=app.go('{name}')] {number} {title} [/][/]")
        super().__init__(Content.from_markup("".join(parts)), id="tabs")


class Where(Line):
    """The installation and who looks, at the right; a place that is called production warns."""

    FADES = False

    def show(self, session: Session, look: Look) -> None:
        text = Text(no_wrap=True, overflow="ellipsis", justify="right")
        text.append(one_line(session.where), f"bold reverse {look.warn}" if session.is_production else "bold")
        if session.who is not None:
            text.append(f"  {one_line(str(session.who))}", "dim")
        self.put(text)


@dataclass(frozen=True, slots=True)
class _Key:
    key: str
    shown: str
    """The key as it is written on the line."""
    what: str
    tooltip: str
    may: bool
    """Dimmed where not: a role is missing."""

    @property
    def columns(self) -> int:
        return len(self.shown) + len(self.what) + 3


class Keys(Widget):
    """The line of keys: a click on one is as good as the key, the pointer over it says more.

    One line of text, where the toolkit's own ``Footer`` has a widget for each key: those are made, styled and laid out
    anew at each change of screen and focus, which took longer than all the rest of such a change.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key", "keys--what"}
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._keys: list[_Key] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if not screen.app.app_focus:
            return
        seen: dict[str, _Key] = {}
        for _, binding, enabled, tooltip in screen.active_bindings.values():
            if binding.show and binding.action not in seen:
                shown = self.app.get_key_display(binding)
                more = tooltip or binding.description
                seen[binding.action] = _Key(binding.key, shown, binding.description, more, enabled)
        if (keys := list(seen.values())) != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Text:
        text = Text(no_wrap=True, overflow="crop")
        key_style, what_style = (self.get_component_rich_style(name) for name in ("keys--key", "keys--what"))
        for one in self._keys:
            piece = Text.assemble((f" {one.shown} ", key_style), (f"{one.what} ", what_style))
            if not one.may:
                piece.stylize("dim")
            text.append_text(piece)
        return text

    def _at(self, column: int) -> _Key | None:
        for one in self._keys:
            if column < one.columns:
                return one
            column -= one.columns
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        under = self._at(event.x)
        self.tooltip = under.tooltip if under is not None else None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        under = self._at(event.x)
        if under is None:
            return
        if under.may:
            self.app.simulate_key(under.key)
        else:
            self.app.bell()


class CommandLine(Line):
    """``$ campaignctl ...``: what prints the same in a terminal."""

    FADES = False

    def show(self, command: str) -> None:
        self.put(Text(f"$ {one_line(command)}", style="italic dim", no_wrap=True, overflow="ellipsis"))
