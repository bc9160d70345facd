"""Text for cells and lines: in the theme's own colours, with what came from outside as text and never as markup."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text
from textual.color import Color

from campaignctl.telemetry import one_line

_FINALITY = {"live": "good", "provisional": "warn", "settling": "accent", "final": "plain"}
FINALITY_ORDER = ("live", "provisional", "settling", "final")
_STATUS = {
    "active": ("●", "good"), "paused": ("‖", "warn"), "completed": ("✓", "plain"), "archived": ("·", "plain"),
    "queued": ("○", "plain"), "running": ("▶", "accent"), "succeeded": ("✓", "good"), "partial": ("◐", "warn"),
    "failed": ("✗", "bad"), "cancelled": ("■", "plain"), "ok": ("●", "good"),
    "degraded": ("▲", "warn"), "failing": ("✗", "bad"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """Styles by meaning. Each meaning has a sign or a word too, so nothing is lost where there are no colours."""

    good: str = "green"
    warn: str = "yellow"
    bad: str = "red"
    accent: str = "cyan"
    plain: str = "dim"
    faint: str = "bright_black"
    """Of lines that stand behind others."""

    @classmethod
    def of(cls, theme: Mapping[str, str]) -> "Look":
        def named(name: str, otherwise: str) -> str:
            colour = theme.get(name, "")
            if colour.startswith("ansi_"):
                return colour.removeprefix("ansi_")
            return colour[:7] if colour.startswith("#") else otherwise

        return cls(
            good=named("text-success", "green"),
            warn=named("text-warning", "yellow"),
            bad=named("text-error", "red"),
            accent=named("text-primary", "cyan"),
            faint=_between(theme.get("foreground", ""), theme.get("background", "")),
        )

    def style(self, meaning: str) -> str:
        return str(getattr(self, meaning))

    def finality(self, word: str) -> Text:
        return Text(f"● {word}", style=self.style(_FINALITY.get(word, "plain")))

    def status(self, word: str) -> Text:
        mark, meaning = _STATUS.get(word, ("·", "plain"))
        return Text.assemble((mark, self.style(meaning)), " ", word)

    def mark(self, word: str) -> tuple[str, str]:
        mark, meaning = _STATUS.get(word, ("·", "plain"))
        return mark, self.style(meaning)


def _between(front: str, back: str) -> str:
    if not (front.startswith("#") and back.startswith("#")):
        return "bright_black"
    return Color.parse(front).blend(Color.parse(back), 0.6).hex6.lower()


def plain(value: object, style: str = "") -> Text:
    """What came from outside, on one line, with control characters spelled out."""
    return Text(one_line(str(value)), style=style, no_wrap=True)


def right(text: str, style: str = "") -> Text:
    return Text(text, style=style, justify="right", no_wrap=True)


def heading(title: str, note: str = "") -> Text:
    return Text.assemble((title, "bold"), (f"  {note}" if note else "", "dim"), no_wrap=True, overflow="ellipsis")
