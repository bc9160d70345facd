"""A table that is updated row by row, so that its cursor stays where it was; and that can be filtered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from campaignctl.tui.widgets.fading import Fading

_CELLS_KEPT = 3_000
"""More than the largest windows show."""
_Lines = list[list[Segment]]


@dataclass(frozen=True, slots=True)
class Col:
    key: str
    label: str
    right: bool = False
    width: int | None = None
    """Columns of the screen; None: as wide as its widest cell."""


class KeyedTable(DataTable[Text], Fading):
    """``show`` repaints it; of a row whose key is still there only the changed cells are touched.

    Enter is the screen's: the table's own tells the screen by a message, and the next key would be there before it.
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's own word
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._bindings.key_to_bindings.pop("enter", None)
        self.needle = ""
        """Only rows with this text, in any case, are shown."""
        self._shown: tuple[Col, ...] = ()
        self._widths: list[int] = []
        self._drawn: dict[tuple[int, int, Style, int], tuple[Text, _Lines]] = {}
        """What a cell looks like, by its place: as long as the cell there is the same one."""

    def show(self, columns: Sequence[Col], rows: Mapping[str, Sequence[Text]]) -> None:
        drawn = self._update_count
        self._show(columns, rows)
        if self._update_count != drawn:
            # What the framework remembers of lines goes by this count: it would keep a thousand that nobody asks for.
            self._line_cache.clear()
            self._row_render_cache.clear()
            self._cell_render_cache.clear()

    def _show(self, columns: Sequence[Col], rows: Mapping[str, Sequence[Text]]) -> None:
        self.show_header = bool(rows)  # a line of titles over nothing says less than the words that stand above it
        needle = self.needle.casefold()
        if needle:
            rows = {k: cells for k, cells in rows.items() if needle in " ".join(c.plain for c in cells).casefold()}
        shape = tuple(columns)
        alike = _unnamed(shape) == _unnamed(self._shown)
        widths = _widths(shape, rows.values(), self._widths if alike else [0] * len(shape))
        if not alike or widths != self._widths:
            self._rebuild(shape, widths, rows, columns_too=True)
            return
        self._relabel(shape)
        if list(rows) != [key.value for key in self.rows]:
            self._rebuild(shape, widths, rows, columns_too=False)
        else:
            for key, cells in rows.items():
                for column, cell in zip(shape, cells, strict=True):
                    if self.get_cell(key, column.key) != cell:
                        self.update_cell(key, column.key, cell)

    @property
    def key_at_cursor(self) -> str | None:
        """The key of the row under the cursor; None in an empty table."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def _relabel(self, columns: tuple[Col, ...]) -> None:
        """Other labels over the columns that are there: making them anew would lay out the whole screen."""
        if columns != self._shown:
            for column in columns:
                self.columns[ColumnKey(column.key)].label = _label(column)
            self._shown = columns
            self._update_count += 1  # what the framework remembers of its lines goes by this
            self.refresh()

    def _render_cell(
        self,
        row_index: int,
        column_index: int,
        base_style: Style,
        width: int,
        cursor: bool = False,  # noqa: FBT001 - the framework's own signature
        hover: bool = False,  # noqa: FBT001
    ) -> _Lines:
        """A cell that is the same is not drawn again; the framework draws all of them anew when one has changed."""
        lines: _Lines
        if row_index < 0 or column_index < 0 or cursor or hover:  # few, and in styles of their own
            lines = super()._render_cell(row_index, column_index, base_style, width, cursor, hover)
            return lines
        cell = self.get_cell_at(Coordinate(row_index, column_index))
        place = (row_index, column_index, base_style, width)
        kept = self._drawn.get(place)
        if kept is not None and kept[0] is cell:
            return kept[1]
        lines = super()._render_cell(row_index, column_index, base_style, width)
        if len(self._drawn) >= _CELLS_KEPT:
            self._drawn.clear()
        self._drawn[place] = cell, lines
        return lines

    def _rebuild(
        self, columns: tuple[Col, ...], widths: list[int], rows: Mapping[str, Sequence[Text]], *, columns_too: bool
    ) -> None:
        at, key, scroll = self.cursor_row, self.key_at_cursor, self.scroll_offset
        same = columns == self._shown
        self.clear(columns=columns_too)
        if columns_too:
            for column, width in zip(columns, widths, strict=True):
                self.add_column(_label(column), key=column.key, width=width)
            self._shown, self._widths = columns, widths
        for name, cells in rows.items():
            self.add_row(*cells, key=name)
        if self.row_count:
            row = self.get_row_index(key) if key is not None and key in rows else min(at, self.row_count - 1)
            self.move_cursor(row=row, animate=False, scroll=False)
            if same:
                self.scroll_to(scroll.x, scroll.y, animate=False)


def _label(column: Col) -> Text:
    return Text(column.label, justify="right" if column.right else "left", no_wrap=True)


def _unnamed(columns: Iterable[Col]) -> list[Col]:
    return [replace(column, label="") for column in columns]


def _widths(columns: Sequence[Col], rows: Iterable[Sequence[Text]], least: Sequence[int]) -> list[int]:
    """Wide enough for every cell, and never narrower than before, so that nothing jumps while figures change.

    Reckoned here because the framework does it when it is idle, and keeps lines that it painted before.
    """
    widths = [max(column.width or cell_len(column.label), was) for column, was in zip(columns, least, strict=True)]
    for cells in rows:
        for n, cell in enumerate(cells):
            if columns[n].width is None:
                widths[n] = max(widths[n], cell.cell_len)
    return widths
