"""The table of the live screen: a row a period and group, the change against the time before beside it."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from campaignctl.tui.look import Look, plain, right
from campaignctl.tui.view import MAX_ROWS, METRICS, View
from campaignctl.tui.widgets.keyed_table import Col, KeyedTable
from campaignctl.tui.widgets.numbers import NOT_GIVEN, change, exact, percent

# Finality stands before the figures, so that a narrow screen never shows a number without it.
_FIGURES = (
    ("spend", 2),
    ("revenue", 2),
    ("roas", 2),
    ("impressions", 0),
    ("clicks", 0),
    ("ctr", None),
    ("conversions", 2),
)
_CHANGE_COLUMNS = max(map(len, METRICS)) + len(" ±")
"""For whichever metric: a table that becomes wider is made anew."""


class Breakdown(KeyedTable):
    def paint(self, body: Mapping[str, Any], view: View, look: Look) -> None:
        """A body of the insights route that answers the view: as it sorts, else the newest period first."""
        earlier = (body.get("comparison") or {}).get("rows") or [None] * len(body.get("rows", ()))
        pairs = list(zip(body.get("rows", ()), earlier, strict=True))
        if not view.sort:
            pairs.sort(key=lambda pair: str(pair[0]["period_start"]), reverse=True)
        columns = [Col("period", "period")]
        if view.group_by:
            columns.append(Col("group", view.group_by))
        columns.append(Col("finality", "finality"))
        arrow = "↓" if view.order == "desc" else "↑"
        columns += [Col(name, f"{name} {arrow}" if name == view.sort else name, True) for name, _ in _FIGURES]
        if view.compare:
            columns.append(Col("change", f"{view.metric} ±", True, _CHANGE_COLUMNS))
        columns.append(Col("source", "source"))
        rows = {
            f"{row['period_start']}|{row.get(view.group_by, '')}": _cells(row, before, view, look)
            for row, before in pairs[:MAX_ROWS]
        }
        self.show(columns, rows)


def _cells(row: Mapping[str, Any], before: Mapping[str, Any] | None, view: View, look: Look) -> list[Text]:
    period = str(row["period_start"])
    if view.granularity == "hourly":
        period = period[:16].replace("T", " ")
    cells = [Text(period + (" ◂" if row.get("partial") else ""))]
    if view.group_by:
        cells.append(plain(row[view.group_by] or "(none)"))
    cells.append(look.finality(str(row["finality"])))
    for name, places in _FIGURES:
        cells.append(right(percent(row[name]) if places is None else exact(row[name], places)))
    if view.compare:
        fraction = ((before or {}).get("change") or {}).get(view.metric)
        cells.append(right(NOT_GIVEN if fraction is None else change(fraction), "dim"))
    cells.append(Text(str(row["source"]), style="dim"))
    return cells
