"""Where a command's answer is written: data on stdout, everything else on stderr.

``json`` is the REST body byte for byte, ``ndjson`` its items one a line, ``csv``, ``table`` and ``parquet`` are made of
the same decoded body. Text that came from outside (names, ids) is never trusted: control characters are spelled out, a
spreadsheet sees no formula, and no markup is interpreted.
"""

import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, TextIO

from campaignctl.cli.formats import Format
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.tabular import csv_text, raw_items
from campaignctl.tabular import decode as decode
from campaignctl.telemetry import one_line

_C1_BYTES = re.compile(rb"\xc2[\x80-\x9f]")
"""U+0080..U+009F in UTF-8: JSON leaves them raw, and some terminals obey them as they obey ESC."""
_UNLIMITED = 100_000
_GAP = 2
"""Blanks between columns."""
_LEAST_TEXT = 8


class Kind(Enum):
    """How a column's values look in a table."""

    TEXT = "text"
    ID = "id"
    """A number or name that is copied elsewhere: never cut, no separators."""
    RAW = "raw"
    """A number exactly as it is."""
    COUNT = "count"
    MONEY = "money"
    PRICE = "price"
    """Money per something: four places."""
    PERCENT = "percent"
    """A fraction, shown as a percentage."""
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    """The member's name in the REST body, and the header in csv."""
    kind: Kind = Kind.TEXT
    rank: int = 0
    """0 is always shown; in a terminal too narrow for all, the highest ranks are left out first."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    """Decoded values, one a column; None is an empty cell."""
    totals: Sequence[Sequence[Any]] = ()
    """Last rows, set apart from the others; tables only."""


class Output:
    def __init__(
        self, style: Format, *, quiet: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.format = style
        self._quiet = quiet
        self._stdout = stdout or sys.stdout
        self._given_stderr = stderr

    @property
    def _stderr(self) -> TextIO:
        return self._given_stderr or sys.stderr  # asked each time: a progress bar takes its place for a while

    @property
    def width(self) -> int:
        """Columns a line of stdout may have."""
        return _width(self._stdout)

    def answer(
        self,
        body: bytes,
        table: Callable[[Any], Table],
        *,
        items: str | None = "items",
        parquet: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Print a REST body. ``table`` makes rows of the decoded body; ``items`` names the member ndjson lists.

        ``parquet`` makes a file in place of one of the rows as they are.
        """
        match self.format:
            case Format.JSON:
                self._write_json(body)
            case Format.NDJSON:
                self.lines(body, items)
            case Format.CSV:
                self._stdout.write(as_csv(table(decode(body))))
            case Format.TABLE:
                self._write_table(table(decode(body)))
            case Format.PARQUET:
                from campaignctl.cli.parquet import as_parquet

                self._stdout.flush()
                self._stdout.buffer.write(
                    parquet(body) if parquet else as_parquet(*names_and_rows(table(decode(body))))
                )

    def refuse_terminal(self, *, hint: str) -> None:
        """Raise ``InvalidInput`` where binary data would go to a terminal."""
        if self.format is Format.PARQUET and self._stdout.isatty():
            raise InvalidInput(
                [FieldError("-o", "parquet is binary and is not printed on a terminal")],
                hint=hint,
                code="usage",
            )

    def lines(self, body: bytes, items: str | None = "items") -> None:
        """The items of a REST body, one a line."""
        for line in [body] if items is None else raw_items(body, items):
            self._write_json(line)

    def text(self, text: str) -> None:
        """A line of data that has one form only."""
        self._stdout.write(text + "\n")

    def clear(self) -> None:
        """Empty the screen for the next look; nothing where no person looks."""
        if self._stdout.isatty():
            self._stdout.write("\x1b[H\x1b[2J")

    def note(self, text: str) -> None:
        """A line for the person on stderr; silenced by -q."""
        if not self._quiet:
            self._stderr.write(one_line(text) + "\n")

    def warn(self, code: str, message: str) -> None:
        if not self._quiet:
            self._stdout.flush()
            self._stderr.write(f"warning[{code}]: {one_line(message)}\n")

    def _write_json(self, body: bytes) -> None:
        if self._stdout.isatty():
            body = _C1_BYTES.sub(lambda found: b"\\u00%02x" % found[0][1], body)
        text = body.decode()
        self._stdout.write(text if text.endswith("\n") else text + "\n")

    def _write_table(self, table: Table) -> None:
        text, hidden = as_table(table, self.width, color=self._stdout.isatty())
        self._stdout.write(text)
        if hidden:
            self.note(f"note: left out at this width: {', '.join(hidden)} (-o csv shows all)")


def names_and_rows(table: Table) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """What a file has of a table."""
    return [column.name for column in table.columns], table.rows


def as_csv(table: Table) -> str:
    return csv_text(*names_and_rows(table))


def as_table(table: Table, width: int, *, color: bool) -> tuple[str, list[str]]:
    """Aligned columns without a frame, no line wider than ``width``, and the names of the columns left out for that.

    Where leaving out is not enough, long texts are cut with an ellipsis; numbers never are.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    lines = [cells(table.columns, row) for row in (*table.rows, *table.totals)]
    widths, kept = _layout(table.columns, lines, width)
    grid = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for at in kept:
        right = table.columns[at].kind not in (Kind.TEXT, Kind.ID)
        grid.add_column(_header(table.columns[at]), justify="right" if right else "left", no_wrap=True)
    for number, line in enumerate(lines):
        if number == len(table.rows):
            grid.add_section()
        style = "bold" if number >= len(table.rows) else None
        grid.add_row(*(Text(_cut(line[at], widths[at])) for at in kept), style=style)
    text = io.StringIO()
    # A height as well: without one the library takes a terminal that calls itself dumb to be 80 columns wide.
    screen = Console(file=text, width=width, height=1, force_terminal=color, highlight=False, markup=False, emoji=False)
    screen.print(grid)
    hidden = [column.name for at, column in enumerate(table.columns) if at not in kept]
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()), hidden


def _header(column: Column) -> str:
    return column.name.replace("_", " ")


def cells(columns: Sequence[Column], row: Sequence[Any]) -> list[str]:
    """A row's values as a table shows them."""
    return [_table_cell(column.kind, value) for column, value in zip(columns, row, strict=True)]


def _table_cell(kind: Kind, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        match kind:
            case Kind.COUNT | Kind.TEXT:
                return f"{value:,}"
            case Kind.MONEY:
                return f"{value:,.2f}"
            case Kind.PRICE:
                return f"{value:,.4f}"
            case Kind.PERCENT:
                return f"{value * 100:,.2f}%"
            case Kind.RATIO:
                return f"{value:,.3f}"
            case Kind.ID | Kind.RAW:
                return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(value if isinstance(value, str) else json.dumps(value, default=str))


def _layout(columns: Sequence[Column], lines: Sequence[Sequence[str]], width: int) -> tuple[list[int], list[int]]:
    """How wide each column is, and which ones are shown."""
    from rich.cells import cell_len

    widths = [max([len(c.name), *(cell_len(line[at]) for line in lines)]) for at, c in enumerate(columns)]
    kept = list(range(len(columns)))

    def excess() -> int:
        return sum(widths[at] + _GAP for at in kept) - _GAP - width

    while excess() > 0:
        last = max(kept, key=lambda at: (columns[at].rank, at))
        if columns[last].rank == 0:
            break
        kept.remove(last)
    for at in sorted(kept, key=lambda at: -widths[at]):
        if columns[at].kind is Kind.TEXT and excess() > 0:
            widths[at] = max(widths[at] - excess(), _LEAST_TEXT)
    return widths, kept


def _cut(text: str, width: int) -> str:
    from rich.cells import cell_len, chop_cells

    return text if cell_len(text) <= width else chop_cells(text, width - 1)[0] + "…"


def _width(stdout: TextIO) -> int:
    """COLUMNS, else the terminal's; a pipe or a file has no width."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(stdout.fileno()).columns or _UNLIMITED
    except (OSError, ValueError):
        return _UNLIMITED
