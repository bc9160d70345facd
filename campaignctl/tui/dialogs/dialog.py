"""What stands in front of a screen until it is answered: with that screen behind it, dimmed and still alive."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.geometry import Size
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class _Behind:
    """A screen drawn through a colour. The framework mixes the colours of each piece; here each style is mixed once."""

    def __init__(self, drawn: BackgroundScreen) -> None:
        self._screen, self._colour = drawn.screen, drawn.color

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        colour = self._colour
        for text, style, control in console.render(self._screen._compositor, options):
            yield Segment(text, style if control else _through(style, colour), control)


class Dialog(ModalScreen[Answer]):
    """Comes up soon: the framework lays one out, dims and draws all of it, four times before it stands."""

    def render(self) -> RenderableType:
        drawn: Any = super().render()
        return _Behind(drawn) if isinstance(drawn, BackgroundScreen) else drawn

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
