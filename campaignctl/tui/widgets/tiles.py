"""The row of key figures: what the range adds up to, and how it compares with the time before."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal

from campaignctl.tui.look import Look
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.numbers import change, percent, short

_TILES = (
    # member, title, decimals, whether more of it is good (None: neither)
    ("spend", "SPEND", 2, None),
    ("revenue", "REVENUE", 2, True),
    ("roas", "ROAS", 2, True),
    ("conversions", "CONVERSIONS", 1, True),
    ("clicks", "CLICKS", 0, True),
    ("ctr", "CTR", 2, True),
)


class Tiles(Horizontal):
    """Six tiles; ``show`` repaints them from a body of the insights route."""

    def compose(self) -> ComposeResult:
        for member, *_ in _TILES:
            yield Line(id=f"tile-{member}", classes="tile")

    def show(self, body: Mapping[str, Any], look: Look) -> None:
        totals = body.get("totals") or {}
        comparison = body.get("comparison") or {}
        changes = comparison.get("change") or {}
        before = comparison.get("totals") or {}
        currency = str(body.get("currency", ""))
        for member, title, places, more_is_good in _TILES:
            value = totals.get(member)
            figure = percent(value) if member == "ctr" else short(value, places)
            unit = f" {currency}" if member in ("spend", "revenue") else ""
            text = Text(no_wrap=True, overflow="ellipsis")
            text.append(f"{title}{unit}\n", "dim").append(f"{figure}\n", "bold")
            fraction = changes.get(member) if member in changes else _of_ratio(value, before.get(member))
            good = fraction is not None and more_is_good is not None and (fraction > 0) == more_is_good
            style = (
                "dim" if fraction is None or not fraction or more_is_good is None else look.good if good else look.bad
            )
            text.append(change(fraction) if comparison else " ", style)
            self.query_one(f"#tile-{member}", Line).put(text)


def _of_ratio(now: float | None, before: float | None) -> float | None:
    """The change of a ratio: the API gives those of sums."""
    return None if now is None or before is None or before <= 0 else (now - before) / before
