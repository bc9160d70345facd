"""A campaign's settings, and its spend held against its budget, as a few aligned lines."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from campaignctl.telemetry import one_line
from campaignctl.tui.look import Look
from campaignctl.tui.widgets.numbers import NOT_GIVEN, exact, moment

_LABEL_COLUMNS = 12
_FIGURE_COLUMNS = 16
_BAR_COLUMNS = 24


def settings_text(campaign: Mapping[str, Any], look: Look) -> Text:
    text = Text("Settings\n", "bold", no_wrap=True, overflow="ellipsis")
    budget = NOT_GIVEN
    if campaign["budget"] is not None:
        budget = f"{exact(campaign['budget'], 2)} {campaign['currency']} {campaign['budget_period']}"
    run = f"{campaign['start_date'] or 'open'} to {campaign['end_date'] or 'open'}"
    _label(text, "status").append_text(look.status(str(campaign["status"]))).append("\n")
    for name, value in (
        ("zone", campaign["timezone"]), ("currency", campaign["currency"]), ("runs", run), ("budget", budget),
        ("made", moment(campaign["created_at"])), ("changed", moment(campaign["updated_at"])),
    ):  # fmt: skip
        _label(text, name).append(f"{one_line(str(value))}\n", "not bold")
    return text


def pacing_text(pacing: Mapping[str, Any], look: Look) -> Text:
    """The bar is the budget: filled with what is spent, with a mark where it should be by now."""
    text = Text("Pacing", "bold", no_wrap=True, overflow="ellipsis")
    text.append(f"  {pacing['start_date']} to {pacing['end_date'] or 'open'}\n", "dim not bold")
    text.append_text(_bar(pacing, look)).append("\n")
    for name in ("budget", "spend", "expected", "remaining", "daily", "projected"):
        _label(text, name).append(f"{exact(pacing[name], 2):>{_FIGURE_COLUMNS}}", "not bold")
        text.append(f" {pacing['currency']}\n" if pacing[name] is not None else "\n", "dim not bold")
    words = [name for name, there in pacing["flags"].items() if there]
    if words:
        text.append(f"▲ {', '.join(words)}", f"not bold {look.warn}")
    elif pacing["budget"] is not None:  # without one there is no course to be on
        text.append("● on course", f"not bold {look.good}")
    return text


def _bar(pacing: Mapping[str, Any], look: Look) -> Text:
    budget, spend = pacing["budget"], pacing["spend"]
    if not budget or spend is None:
        return Text("no budget to hold it against", "dim not bold")
    filled = round(min(1.0, max(0.0, spend / budget)) * _BAR_COLUMNS)
    over = bool(pacing["flags"]["overspending"])
    cells = ["━"] * filled + ["─"] * (_BAR_COLUMNS - filled)
    if pacing["expected"] is not None:
        cells[min(_BAR_COLUMNS - 1, max(0, round(pacing["expected"] / budget * _BAR_COLUMNS) - 1))] = "┃"
    text = Text(f"{exact(pacing['percent'], 1):>5} %  ", "bold")
    return text.append("".join(cells), f"not bold {look.bad if over else look.accent}")


def _label(text: Text, name: str) -> Text:
    return text.append(f"{name:<{_LABEL_COLUMNS}}", "dim not bold")
