"""The dashboard application: its screens as modes, and the keys that work on all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

from rich.segment import Segment
from textual import events, work
from textual.app import App, ScreenStackError, SystemCommand
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme
from textual.widget import AwaitMount
from textual.widgets import Input

from campaignctl.errors import CampaignctlError
from campaignctl.tui.commands import CampaignCommands, Palette
from campaignctl.tui.dialogs.help import Help
from campaignctl.tui.keys import own_bindings
from campaignctl.tui.look import Look
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.screens.campaign import CampaignScreen
from campaignctl.tui.screens.jobs import JobsScreen
from campaignctl.tui.screens.letters import LettersScreen
from campaignctl.tui.screens.live import LiveScreen
from campaignctl.tui.screens.system import SystemScreen
from campaignctl.tui.session import Session, read_who
from campaignctl.tui.view import View
from campaignctl.tui.widgets.frame import SCREENS

_WHO_EVERY_S = 15.0
"""A changed right takes effect at the server at once; the screen offers what it learnt at most this long ago."""
_A_SCREEN_EVERY_S = 0.3
_HELP = "help"
THEMES = ("textual-dark", "nord", "gruvbox", "textual-light", "solarized-light")


class _Styled(LineFilter):
    """Drops the empty piece without a style that a plot's line may begin with: the filter for NO_COLOR fails on it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [segment for segment in segments if segment.style is not None]


class Dashboard(App[None]):
    """``campaignctl dashboard``."""

    CSS_PATH = "app.tcss"
    TITLE = "campaignctl"
    COMMANDS = App.COMMANDS | {CampaignCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"go('{name}')", title, show=False) for n, (name, title) in enumerate(SCREENS, 1)),
        Binding("colon", "command_palette", "Commands", key_display=":"),
        Binding("y", "copy_command", "Copy the command line", show=False),
        Binding("t", "next_theme", "Theme", show=False),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(
        self, session: Session, view: View | None = None, *, when_all_is_made: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__()
        self.session = session
        self._when_all_is_made = when_all_is_made
        self._leaving: Callable[[], object] | None = None
        self._is_left = False
        self._help = Help()
        self._styled = _Styled()
        self._hides_change = True
        self._add_screen("live", lambda: LiveScreen(session, view))
        for screen in (CampaignScreen, JobsScreen, SystemScreen, LettersScreen):
            self._add_screen(screen.NAME, partial(screen, session))

    def get_theme(self, theme_name: str) -> Theme | None:
        # It is asked for with each line that is drawn, and the framework copies its list of themes each time.
        return self._registered_themes.get(theme_name) or super().get_theme(theme_name)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [self._styled, *super().get_line_filters()]

    # Changes of screen

    def _add_screen(self, name: str, make: Callable[[], Screen[None]]) -> None:
        def made() -> Screen[None]:
            screen = make()
            self._is_styled(screen)
            return screen

        self.add_mode(name, made)

    def _is_styled(self, screen: Screen[None]) -> None:
        """Say so of one whose widgets are styled as they are mounted.

        Else the framework reads the whole style sheet again, and styles the screen that is looked at anew, for each
        screen that is made or shown first.
        """
        screen._css_update_count = self._css_update_count

    def switch_mode(self, mode: str) -> AwaitMount:
        self._hides_change = mode not in self._screen_stacks
        return super().switch_mode(mode)

    def delay_update(self, delay: float = 0.05) -> None:
        """Draw nothing for so long, as the framework does at each change of screen: only where one is being made."""
        if self._hides_change:
            super().delay_update(delay)

    def _make_a_screen(self) -> None:
        """Make one of those that nobody has gone to yet, while nothing else is to do: its key then only shows it."""
        for name, _ in SCREENS:
            if self.is_running and name not in self._screen_stacks:
                self._init_mode(name)
                self.set_timer(_A_SCREEN_EVERY_S / 2, partial(self._draw_ahead, self._screen_stacks[name][0]))
                self.set_timer(_A_SCREEN_EVERY_S, self._make_a_screen)
                return
        if not self.is_running:
            return
        if not self._help.is_running:  # nobody has asked for it yet
            self._is_styled(self._help)
            self._get_screen(_HELP)
            self.set_timer(_A_SCREEN_EVERY_S / 2, partial(self._draw_ahead, self._help))
        self.set_timer(_A_SCREEN_EVERY_S, self._when_all_is_made)

    def _draw_ahead(self, screen: Screen[Any]) -> None:
        """Its widgets remember the lines that they draw, so most of what its key shows first is drawn already."""
        if self.is_running and screen.is_attached and not screen.is_current:
            screen._refresh_layout(self.size)
            screen._compositor.render_strips()

    def _restyle_a_screen(self) -> None:
        """Give one of those that are not looked at the theme that was chosen, before its key asks for it."""
        for screen in (self._help, *(screen for stack in self._screen_stacks.values() for screen in stack)):
            if self.is_running and screen.is_attached and screen._css_update_count != self._css_update_count:
                self.stylesheet.update(screen, animate=False)
                self._is_styled(screen)
                self.set_timer(_A_SCREEN_EVERY_S / 2, self._restyle_a_screen)
                return

    def leave(self) -> None:
        """End as ``q`` does; may be called by a signal's handler, also before there is a screen."""
        self._is_left = True
        if self._leaving is not None:
            self._leaving()

    def on_mount(self) -> None:
        self._leaving = partial(asyncio.get_running_loop().call_soon_threadsafe, self.exit)
        if self._is_left:
            self.exit()
            return
        self.install_screen(self._help, _HELP)
        self.switch_mode("live")
        self.set_timer(_A_SCREEN_EVERY_S, self._make_a_screen)
        self.theme_changed_signal.subscribe(self, lambda _: self.set_timer(_A_SCREEN_EVERY_S, self._restyle_a_screen))
        self.set_interval(_WHO_EVERY_S, self._look_who)
        self._look_who()

    @work(thread=True, group="who", exclusive=True, exit_on_error=False)
    def _look_who(self) -> None:
        try:
            who = read_who(self.session.reader)
        except CampaignctlError:
            return  # the screen's own poll says that the API is away or the session has ended
        self.call_from_thread(self._seen, who)

    def _seen(self, who: object) -> None:
        if who != self.session.who:
            self.session.who = who  # type: ignore[assignment]
            for screen in self.screen_stack:
                screen.refresh_bindings()
                if isinstance(screen, PolledScreen):
                    screen.repaint()

    def on_key(self, event: events.Key) -> None:
        """One that nobody has used, before the bindings are asked: typed ahead, for a field that had no focus yet."""
        try:
            field = self.focused
        except ScreenStackError:
            return  # typed while the dashboard is being left: its screens are gone
        if isinstance(field, Input) and event.is_printable:
            event.prevent_default()
            field.post_message(events.Key(event.key, event.character))

    # What the keys do

    def action_go(self, name: str) -> None:
        if not isinstance(self.screen, PolledScreen):
            return  # a question is open above the screen: it is answered first
        self.switch_mode(name)

    def action_help(self) -> None:
        if isinstance(self.screen, PolledScreen):
            if self._help.is_attached and self._help._css_update_count != self._css_update_count:
                self.stylesheet.update(self._help, animate=False)
            self._is_styled(self._help)
            self._help.about(self.screen, Look.of(self.theme_variables))
            self.push_screen(_HELP)

    def action_command_palette(self) -> None:
        if isinstance(self.screen, PolledScreen):
            self.push_screen(Palette(id="--command-palette"))

    def action_copy_command(self) -> None:
        if isinstance(self.screen, PolledScreen):
            command = self.session.command(self.screen.command_line())
            self.copy_to_clipboard(command)
            self.notify(command, title="Copied", timeout=8, markup=False)

    def action_next_theme(self) -> None:
        at = THEMES.index(self.theme) if self.theme in THEMES else -1
        self.theme = THEMES[(at + 1) % len(THEMES)]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action that has a key, so that nothing has to be remembered; and the themes."""
        seen: set[str] = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            ours = binding.action in {own.action for own in own_bindings(type(active.node))}
            if not ours or not active.enabled or binding.action in seen or binding.action == "command_palette":
                continue
            seen.add(binding.action)
            help_line = f"key {self.get_key_display(binding)}"
            yield SystemCommand(binding.description, help_line, self._runs(binding.action, active.node))
        for name in sorted(self.available_themes):
            yield SystemCommand(f"Theme {name}", "Colours of the screen", lambda name=name: self._use_theme(name))

    def _runs(self, action: str, node: DOMNode) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await self.run_action(action, node)

        return run

    def _use_theme(self, name: str) -> None:
        self.theme = name
