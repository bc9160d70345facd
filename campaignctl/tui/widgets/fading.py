"""What numbers stand in: drawn fainter while they answer another question than is asked now."""

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.containers import VerticalScroll
from textual.filter import LineFilter
from textual.renderables.tint import Tint
from textual.screen import Screen
from textual.widget import Widget

_HOW_FAR = 0.4
"""To the colour of the background."""


class Fading(Widget):
    """A widget that fades with its screen, where that is a ``FadingScreen``."""

    FADES: ClassVar[bool] = True
    """False in what stands around the numbers."""

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters, screen = super().get_line_filters(), self.screen
        if self.FADES and isinstance(screen, FadingScreen) and screen.is_faded:
            return [_faint(self.app.theme_variables["background"], self.app.ansi_theme), *filters]
        return filters


class FadingScroll(VerticalScroll, Fading):
    """With the room below a short text."""


class FadingScreen(Screen[None]):
    """Has its ``Fading`` widgets fade and come back without one of them being styled or drawn anew.

    The style sheet's ``tint`` looks the same, but has all the widgets styled and the plot drawn first, which took as
    long as the answers to ten keys, at a moment when somebody is waiting for one.
    """

    is_faded = False

    def fade(self, part: Widget, *, faded: bool) -> None:
        """``part`` is where those widgets lie."""
        if faded != self.is_faded:
            self.is_faded = faded
            part.refresh()


class _Faint(LineFilter):
    def __init__(self, colour: Color, theme: TerminalTheme) -> None:
        super().__init__()
        self._colour, self._theme = colour, theme

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, style if control else _through(style, self._colour, self._theme, background), control)
            for text, style, control in segments
        ]


@lru_cache(maxsize=16)
def _faint(background: str, theme: TerminalTheme) -> _Faint:
    """One for each colour: a line remembers what it looks like by the filter itself."""
    return _Faint(Color.parse(background).multiply_alpha(_HOW_FAR), theme)


@lru_cache(maxsize=4096)
def _through(style: Style | None, colour: Color, theme: TerminalTheme, background: Color) -> Style:
    return next(iter(Tint.process_segments([Segment(" ", style)], colour, theme, background))).style or Style()
