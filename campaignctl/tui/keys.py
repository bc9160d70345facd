"""The texts of the help screen, made of the bindings themselves so that they cannot be wrong."""

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode

from campaignctl.tui.look import Look

_KEY_COLUMNS = 9
_ALWAYS = (
    ("tab", "The next part of the screen"),
    ("↑ ↓ ← →", "Move in a table, a list or a form"),
    ("mouse", "Click a name, a row, a key, a column's title"),
)


def keys_of(app: App[Any], screen: DOMNode, look: Look) -> Text:
    """Those of one screen."""
    text = Text("On this screen\n", "bold")
    _lines(text, own_bindings(type(screen)), look, app)
    return text


def keys_everywhere(app: App[Any], look: Look) -> Text:
    """Those that mean the same on every screen, and what else helps on all of them."""
    text = Text("Everywhere\n", "bold")
    _lines(text, own_bindings(type(app)), look, app)
    for key, what in _ALWAYS:
        _line(text, key, what, look)
    text.append("\n\nDimmed keys need a role that you do not have. Each screen names, above the keys, ", "not bold dim")
    text.append("the command that prints the same in a terminal. Copy it with y.", "not bold dim")
    return text


def own_bindings(kind: type) -> list[Binding]:
    """The bindings that this program declares for a class, the nearest first; those of the framework not."""
    found: dict[str, Binding] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("campaignctl."):
            declared: Iterable[BindingType] = vars(base).get("BINDINGS", ())
            for binding in Binding.make_bindings(declared):
                found.setdefault(binding.key, binding)
    return list(found.values())


def _lines(text: Text, bindings: list[Binding], look: Look, app: App[Any]) -> None:
    for binding in bindings:
        _line(text, app.get_key_display(binding), binding.tooltip or binding.description, look)


def _line(text: Text, key: str, what: str, look: Look) -> None:
    text.append(f"\n{key:<{_KEY_COLUMNS}}", f"not bold {look.accent}").append(what, "not bold")
