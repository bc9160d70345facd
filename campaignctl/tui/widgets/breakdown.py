"""The table: the view's rows, newest period first, updated in place so that the cursor stays where it was."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text
from textual.widgets import DataTable

from campaignctl.tui.widgets.numbers import exact, percent

MAX_ROWS = 400
_GROUP_MEMBERS = ("platform", "region", "device", "ad_group_id", "ad_id")
# Finality stands before the figures, so that a narrow screen never shows a number without it.
_FIGURES = ("spend", "revenue", "roas", "impressions", "clicks", "ctr", "conversions")
_FINALITY_STYLES = {"live": "bold green", "provisional": "yellow", "settling": "cyan", "final": "dim"}


class Breakdown(DataTable[Text]):
    def on_mount(self) -> None:
        self.cursor_type = "row"
        self.zebra_stripes = True
        self._shape: tuple[str, ...] = ()

    def show(self, body: Mapping[str, Any]) -> None:
        newest_first = sorted(body.get("rows", ()), key=lambda row: str(row["period_start"]), reverse=True)
        rows = newest_first[:MAX_ROWS]
        group = next((m for m in _GROUP_MEMBERS if rows and m in rows[0]), "")
        shape = ("period", *((group,) if group else ()), "finality", *_FIGURES, "source")
        wanted = {f"{row['period_start']}|{row.get(group, '')}": self._cells(row, group) for row in rows}
        if shape != self._shape or list(wanted) != [key.value for key in self.rows]:
            self._rebuild(shape, wanted)
            return
        for key, cells in wanted.items():
            for column, cell in zip(shape, cells, strict=True):
                if self.get_cell(key, column) != cell:
                    self.update_cell(key, column, cell)

    def _rebuild(self, shape: tuple[str, ...], wanted: Mapping[str, list[Text]]) -> None:
        at = self.cursor_row
        self.clear(columns=shape != self._shape)
        if shape != self._shape:
            for name in shape:
                self.add_column(Text(name, justify="right" if name in _FIGURES else "left"), key=name)
            self._shape = shape
        for key, cells in wanted.items():
            self.add_row(*cells, key=key)
        if self.row_count:
            self.move_cursor(row=min(at, self.row_count - 1), animate=False)

    @staticmethod
    def _cells(row: Mapping[str, Any], group: str) -> list[Text]:
        def right(text: str) -> Text:
            return Text(text, justify="right")

        period = str(row["period_start"]) + (" ◂" if row.get("partial") else "")
        finality = str(row["finality"])
        return [
            Text(period),
            *((Text(str(row[group]) or "(none)"),) if group else ()),
            Text(f"● {finality}", style=_FINALITY_STYLES.get(finality, "")),
            right(exact(row["spend"], 2)),
            right(exact(row["revenue"], 2)),
            right(exact(row["roas"], 2)),
            right(exact(row["impressions"], 0)),
            right(exact(row["clicks"], 0)),
            right(percent(row["ctr"])),
            right(exact(row["conversions"], 2)),
            Text(str(row["source"]), style="dim"),
        ]
