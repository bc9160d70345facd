"""What stands in front of a screen until it is answered: with that screen behind it, dimmed and still alive."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Self, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.geometry import Region, Size
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class _Behind:
    """A screen drawn through a colour, as it was when it was asked for first.

    The framework mixes the colours of each piece; here each style is mixed once.
    """

    def __init__(self, drawn: BackgroundScreen, size: Size) -> None:
        self._screen, self._colour, self.size = drawn.screen, drawn.color, size
        self._segments: list[Segment] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        if self._segments is None:
            colour = self._colour
            self._segments = [
                Segment(text, style if control else _through(style, colour), control)
                for text, style, control in console.render(self._screen._compositor, options)
            ]
        yield from self._segments


class Dimming(ModalScreen[Answer]):
    """Has the screen behind it shine through, and comes up soon all the same.

    The framework lays a dialog out, and dims and draws all that is behind it, four times before it stands. What is
    behind is drawn once, and again when it has changed.
    """

    _behind: _Behind | None = None

    def render(self) -> RenderableType:
        drawn: RenderableType | BackgroundScreen = super().render()
        if not isinstance(drawn, BackgroundScreen):
            return drawn
        if self._behind is None or self._behind.size != self.size:
            self._behind = _Behind(drawn, self.size)
        return self._behind

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        if regions:  # what is behind has changed there
            self._behind = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class Dialog(Dimming[Answer]):
    def on_unmount(self) -> None:
        # A memory of the framework's has the drawn lines of the last thousand widgets that it was asked about, also of
        # those that are gone: a few megabytes for each hundred dialogs, and the longer the pauses of the collector.
        StylesCache.get_inner_outer.cache_clear()

    def _screen_resized(self, size: Size) -> None:
        if size != self._compositor.size:  # else it has just been laid out for it
            super()._screen_resized(size)


@lru_cache(maxsize=2048)
def _through(style: Style | None, colour: Color) -> Style:
    return next(iter(BackgroundScreen.process_segments([Segment(" ", style)], colour))).style or Style()
