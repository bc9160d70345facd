"""Text in a box of fixed size: what is the same is not drawn again, and what is new never moves its neighbours."""

from rich.text import Text
from textual.widgets import Static

from campaignctl.tui.widgets.fading import Fading


class Line(Static, Fading):
    """A ``Static`` whose size is its style's and not its text's.

    A new text in a ``Static`` has the whole screen laid out again. Most texts here stand in lines and panels of a
    height that the style sheet gives, and most of them are the same at every poll.
    """

    _shown: tuple[object, ...] = ()

    def put(self, text: Text) -> bool:
        """Show it; answers whether it is another than before."""
        shown = (text.plain, text.spans, text.style, text.justify)  # two texts of other colours are equal to Rich
        if shown == self._shown:
            return False
        self._shown = shown
        self.update(text, layout=self.styles.auto_dimensions)
        return True
