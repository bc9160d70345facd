"""The plot: one metric by day over the range; the day that is not over yet is marked."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static
from textual_plot import AxisFormatter, HiResMode, PlotWidget

from campaignctl.tui.widgets.numbers import short


class _Days(AxisFormatter):
    """Labels day numbers (proleptic ordinals) as ``12 Oct``."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        step = max(1, round((max_ - min_) / max(2, min(max_ticks, 7))))
        return [float(day) for day in range(int(min_), int(max_) + 1, step)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{date.fromordinal(int(tick)):%-d %b}" for tick in ticks]


class _Amounts(AxisFormatter):
    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        step = (max_ - min_) / 4 or 1.0
        return [min_ + step * n for n in range(5)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{short(tick, 0 if max(ticks) > 20 else 1):>7}" for tick in ticks]


class Trend(Vertical):
    def compose(self) -> ComposeResult:
        yield Static(id="trend-title")
        plot = PlotWidget(id="trend-plot", allow_pan_and_zoom=False)
        plot.can_focus = False
        yield plot

    def show(self, body: Mapping[str, Any], metric: str) -> None:
        points = [
            (date.fromisoformat(row["period_start"]).toordinal(), float(row[metric]), row["finality"])
            for row in body.get("rows", ())
            if row.get(metric) is not None
        ]
        title = f"[b]{metric.capitalize()}[/b] [dim]by day[/dim]"
        if points and points[-1][2] == "live":
            title += f"   [dim]today so far[/dim] {short(points[-1][1], 2)}"
        self.query_one("#trend-title", Static).update(
            title if points else f"{title}   [dim]nothing in this range[/dim]"
        )
        plot = self.query_one(PlotWidget)
        plot.clear()
        if len(points) < 2:
            plot.refresh()
            return
        days, values = [p[0] for p in points], [p[1] for p in points]
        over = len(points) - (points[-1][2] == "live")
        plot.plot(
            days[:over], values[:over], line_style=self.app.theme_variables["primary"], hires_mode=HiResMode.BRAILLE
        )
        if over < len(points):  # the running day, dimmer: it is not comparable yet
            plot.plot(days[over - 1 :], values[over - 1 :], line_style="bright_black", hires_mode=HiResMode.BRAILLE)
        plot.set_xlimits(days[0], days[-1])
        plot.set_ylimits(min(0.0, *values), max(values) * 1.08 or 1.0)
        plot.set_x_formatter(_Days())
        plot.set_y_formatter(_Amounts())
