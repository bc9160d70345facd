"""The help screen's text, made of the bindings themselves so that it cannot be wrong."""

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode

from campaignctl.tui.look import Look

_KEY_COLUMNS = 12
_ALWAYS = (
    ("tab", "The next part of the screen"),
    ("↑ ↓ ← →", "Move in a table, a list or a form"),
    ("mouse", "Click a screen's name, a row, a column's title to sort by it"),
)


def help_text(app: App[Any], screen: DOMNode, look: Look) -> Text:
    text = Text()
    _section(text, "On this screen", own_bindings(type(screen)), look, app)
    _section(text, "Everywhere", own_bindings(type(app)), look, app)
    for key, what in _ALWAYS:
        _line(text, key, what, look)
    text.append("\nDimmed keys need a role that you do not have. Each screen names, above the keys, the command that\n")
    text.append("prints the same in a terminal. Copy it with y.\n", "")
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


def _section(text: Text, title: str, bindings: list[Binding], look: Look, app: App[Any]) -> None:
    text.append(f"{title}\n", "bold")
    for binding in bindings:
        _line(text, app.get_key_display(binding), binding.tooltip or binding.description, look)
    text.append("\n")


def _line(text: Text, key: str, what: str, look: Look) -> None:
    text.append(f"  {key:<{_KEY_COLUMNS}}", look.accent).append(f"{what}\n")
