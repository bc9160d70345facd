"""The plot: one metric over the range, the time before behind it; what is not over yet is dimmer."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from math import ceil, floor
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.reactive import reactive
from textual_hires_canvas import Canvas
from textual_plot import AxisFormatter, HiResMode, PlotWidget
from textual_plot.plot_widget import Legend

from campaignctl.tui.look import Look
from campaignctl.tui.view import View
from campaignctl.tui.widgets.fading import Fading
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.numbers import round_step, short

_DAY_S = 86_400


class _Days(AxisFormatter):
    """Labels days since 1970 as ``12 Oct``."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        step = max(1, round((max_ - min_) / max(2, min(max_ticks, 7))))
        return [float(day) for day in range(int(min_), int(max_) + 1, step)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{datetime.fromtimestamp(tick * _DAY_S, UTC):%-d %b}" for tick in ticks]


class _Amounts(AxisFormatter):
    """Labels round amounts: steps of 1, 2 or 5 with zeros behind."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        step = round_step(max_ - min_)
        return [step * n for n in range(ceil(min_ / step), floor(max_ / step) + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
        places = 0 if step >= 1 else 1 if step >= 0.1 else 2
        return [f"{short(tick, places):>7}" for tick in ticks]


class _Canvas(Canvas, Fading):
    """The line itself, and the figures beside and below it."""


class _Plot(PlotWidget):
    """With the margins that are used: the title stands above it, and there is one line of days below."""

    margin_top = reactive(0)
    margin_bottom = reactive(1)

    def compose(self) -> ComposeResult:
        with Grid():
            for name in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield _Canvas(1, 1, id=name)
        yield Legend(id="legend")

    def _render_plot(self) -> None:
        with ExitStack() as drawing:  # else the screen is asked for with each dot, which takes longer than the dots
            for canvas in self.query(_Canvas):
                drawing.enter_context(canvas.batch_refresh())
            super()._render_plot()


class Trend(Vertical):
    _drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Line(id="trend-title")
        plot = _Plot(id="trend-plot", allow_pan_and_zoom=False)
        plot.can_focus = False
        plot.visible = False  # axes without a line say nothing
        yield plot

    def show(self, body: Mapping[str, Any], view: View, look: Look) -> None:
        if (drawn := (body, view.metric, view.granularity, look)) == self._drawn:
            return  # a plot is the dearest thing on the screen, and most polls bring the same answer
        self._drawn = drawn
        rows = body.get("rows", ())
        points = [(_day(r["period_start"]), float(r[view.metric]), r["finality"]) for r in rows if _has(r, view.metric)]
        comparison = body.get("comparison") or {}
        beside = zip(rows, comparison.get("rows") or (), strict=False)
        before = [(_day(r["period_start"]), float(b[view.metric])) for r, b in beside if b and _has(b, view.metric)]
        self._title(points, comparison if before else {}, view, look)
        plot = self.query_one(PlotWidget)
        plot.clear()
        plot.visible = len(points) > 1
        if len(points) < 2:
            return
        days, values = [p[0] for p in points], [p[1] for p in points]
        over = len(points)
        while over and points[over - 1][2] == "live":
            over -= 1
        if before:
            plot.plot(
                [p[0] for p in before], [p[1] for p in before], line_style=look.faint, hires_mode=HiResMode.BRAILLE
            )
        if over < len(points):  # what runs still, in another colour: it is not comparable yet
            start = max(0, over - 1)
            plot.plot(days[start:], values[start:], line_style=look.warn, hires_mode=HiResMode.BRAILLE)
        plot.plot(days[:over], values[:over], line_style=look.accent, hires_mode=HiResMode.BRAILLE)
        seen = [*values, *(value for _, value in before)]
        plot.set_xlimits(days[0], days[-1])
        least, most = min(0.0, *seen), max(0.0, *seen)
        step = round_step(most - least)
        plot.set_ylimits(floor(least / step) * step, ceil(most / step) * step or step)
        plot.set_x_formatter(_Days())
        plot.set_y_formatter(_Amounts())

    def _title(self, points: Sequence[tuple[float, float, str]], comparison: Any, view: View, look: Look) -> None:
        by = "hour" if view.granularity == "hourly" else "day"
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(view.metric.capitalize(), "bold").append(f" by {by}", "dim")
        if not points:
            text.append("   nothing in this range", "dim")
        else:
            text.append("   ━ ", look.accent).append("this range", "dim")
            if points[-1][2] == "live":
                text.append("   ━ ", look.warn).append(f"this {by} so far ", "dim").append(short(points[-1][1], 2))
            if comparison:
                dates = _span(comparison["start_date"], comparison["end_date"])
                text.append("   ━ ", look.faint).append(dates, "dim")
        self.query_one("#trend-title", Line).put(text)


def _span(first: str, last: str) -> str:
    """``30 Sep to 29 Oct 2026``; with the first day's year too where it is another."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    year = "" if start.year == end.year else f" {start.year}"
    return f"{start:%-d %b}{year} to {end:%-d %b %Y}"


def _has(row: Mapping[str, Any], metric: str) -> bool:
    return row.get(metric) is not None


def _day(period_start: str) -> float:
    """Days since 1970 on the calendar or clock that the text shows."""
    if "T" not in period_start:
        return float(date.fromisoformat(period_start).toordinal() - date(1970, 1, 1).toordinal())
    return datetime.fromisoformat(period_start).replace(tzinfo=UTC).timestamp() / _DAY_S
