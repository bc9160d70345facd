"""From the store's sums to the rows of an answer: grouped, converted, filled, sorted, and cut into pages.

A question may have half a million rows of which ten thousand are shown, so the work up to the page is done on columns.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import repeat

import numpy as np

from campaignctl.domain.insight_rates import Conversions
from campaignctl.domain.insight_sums import I64, REPORTED, STREAMED, UNKNOWN, StoredSums, WideSums
from campaignctl.domain.insights import (
    MONEY,
    Dimension,
    EarlierRow,
    Fill,
    Finality,
    GroupValue,
    InsightQuery,
    InsightRow,
    Metric,
    Order,
    Ratio,
    RowSource,
    Sums,
)
from campaignctl.domain.periods import Bucket, Granularity
from campaignctl.errors import InvalidInput

MAX_GROUPED_ROWS = 500_000
_NO_ROW = -1

Place = list[str | int | None]
"""Where a row stands in the order of its question: the value it is sorted by, its bucket, its group values."""


class RowTable:
    """All rows of an answer, in the default order: by bucket, then by group values."""

    def __init__(
        self,
        query: InsightQuery,
        buckets: Sequence[Bucket],
        sums: StoredSums,
        conversions: Conversions,
        limits: "Limits | None" = None,
    ) -> None:
        self._query = query
        self._buckets = buckets
        self._limits = limits or Limits()
        group_numbers, self._groups = _numbered_groups(sums)
        keys = sums.bucket * len(self._groups) + group_numbers
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        self._keys = keys[order][starts]
        _refuse_too_many(len(self._keys))
        self._metrics = _grouped(sums, order, starts)
        self._marks = np.bitwise_or.reduceat(sums.all_marks()[order], starts) if len(starts) else sums.bucket
        self._foreign = _converted(query, sums, np.searchsorted(self._keys, keys), conversions)
        self._cells = self._filled_cells() if query.fill is Fill.ZERO else _Cells.of_rows(self._keys)
        if not len(self._cells.rows) and query.granularity is Granularity.TOTAL and not query.group_by:
            self._cells = _Cells(np.zeros(1, np.int64), np.full(1, _NO_ROW))

    @cached_property
    def totals(self) -> Sums:
        if self._limits.no_totals or np.any(self._marks & UNKNOWN):
            return UNKNOWN_SUMS
        values: dict[Metric, int | None] = {metric: sums.added_up() for metric, sums in self._metrics.items()}
        for metric, foreign in self._foreign.items():
            values[metric] = _plus(values[metric], foreign.total)
        return _sums(values)

    def page(self, after: Place | None) -> tuple[list[InsightRow], Place | None]:
        """Up to ``limit`` rows behind a place (None: from the first), and the last one's place when there are more."""
        order = self._order()
        start = 0 if after is None else bisect_left(order, True, key=lambda cell: self._is_behind(cell, after))
        cells = order[start : start + self._query.limit]
        rows = self._rows(cells)
        more = start + len(cells) < len(order)
        return rows, self._place(cells[-1]) if more else None

    def beside(self, rows: Sequence[InsightRow]) -> tuple[EarlierRow | None, ...]:
        """What this range has for the rows of another one of the same question: by number of the bucket and group."""
        group_numbers = {group: number for number, group in enumerate(self._groups)}
        return tuple(
            EarlierRow(self._buckets[row.number], self._sums_of(row.number, group_numbers.get(row.group)))
            if row.number < len(self._buckets)
            else None
            for row in rows
        )

    def _sums_of(self, bucket: int, group: int | None) -> Sums:
        if group is not None:
            key = bucket * len(self._groups) + group
            place = int(np.searchsorted(self._keys, key))
            if place < len(self._keys) and self._keys[place] == key:
                return self._sums_at(np.array([place]))[0]
        return UNKNOWN_SUMS if self._limits.no_totals else Sums()

    def _filled_cells(self) -> "_Cells":
        query, groups = self._query, len(self._groups)
        filled = groups * sum(bucket.begun(query.now, query.today) for bucket in self._buckets)
        _refuse_too_many(filled)
        rows = np.arange(len(self._keys))
        later = self._keys >= filled  # clocks differ: what has not begun can have events
        rows_of_filled = np.full(filled, _NO_ROW)
        rows_of_filled[self._keys[~later]] = rows[~later]
        keys = np.concatenate((np.arange(filled), self._keys[later]))
        found = np.concatenate((rows_of_filled, rows[later]))
        shown = (found != _NO_ROW) | ~np.isin(keys // max(groups, 1), list(self._limits.left_empty))
        return _Cells(keys[shown], found[shown])

    def _order(self) -> Sequence[int]:
        """Numbers of cells as they are to be shown."""
        sort, descending = self._query.sort, self._query.order is Order.DESC
        if sort is None:
            return range(len(self._cells.rows))
        if isinstance(sort, Dimension):
            ranks = self._ranks(sort)[self._cells.keys % len(self._groups)]
            order: list[int] = np.argsort(-ranks if descending else ranks, kind="stable").tolist()
            return order
        values = self._sort_values
        known = [cell for cell, value in enumerate(values) if value is not None]
        known.sort(key=values.__getitem__, reverse=descending)  # type: ignore[arg-type]  # none of them is None
        return known + [cell for cell, value in enumerate(values) if value is None]

    def _ranks(self, dimension: Dimension) -> I64:
        """For each group the rank of its value of the dimension."""
        place = self._query.group_by.index(dimension)
        values = [group[place] for group in self._groups]
        ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
        return np.array([ranks[value] for value in values], np.int64)

    @cached_property
    def _sort_values(self) -> list[int | None]:
        """What each cell is sorted by, where that is a metric or a ratio."""
        sort = self._query.sort
        if isinstance(sort, Ratio):
            over, under = (self._values(metric) for metric in sort.parts)
            return list(map(sort.of, over, under))
        return self._values(sort) if isinstance(sort, Metric) else []

    def _values(self, metric: Metric) -> list[int | None]:
        """A metric of every cell."""
        values: list[int | None] = [*self._metrics[metric].all()]
        if metric in self._foreign:
            foreign = self._foreign[metric]
            for row, amount in foreign.converted.items():
                values[row] = _plus(values[row], amount)
        for row in np.flatnonzero(self._marks & UNKNOWN).tolist():
            values[row] = None
        values.append(0)  # _NO_ROW
        return [values[row] for row in self._cells.rows.tolist()]

    def _is_behind(self, cell: int, place: Place) -> bool:
        mine = self._place(cell)
        if mine[0] == place[0]:
            return mine[1:] > place[1:]
        if mine[0] is None or place[0] is None:
            return mine[0] is None
        larger: bool = mine[0] > place[0]  # type: ignore[operator]
        return larger != (self._query.order is Order.DESC)

    def _place(self, cell: int) -> Place:
        bucket, number = divmod(int(self._cells.keys[cell]), len(self._groups))
        group = self._groups[number]
        sort = self._query.sort
        if sort is None:
            value: GroupValue | None = 0
        elif isinstance(sort, Dimension):
            value = group[self._query.group_by.index(sort)]
        else:
            value = self._sort_values[cell]
        return [value, bucket, *group]

    def _rows(self, cells: Sequence[int]) -> list[InsightRow]:
        """What stands at the cells; column by column, because a page has up to ten thousand."""
        places = np.array(cells, np.int64)
        numbers, groups = np.divmod(self._cells.keys[places], max(len(self._groups), 1))
        at = self._cells.rows[places]
        marks = np.where(at == _NO_ROW, 0, self._marks[at] & ~UNKNOWN).tolist() if len(self._marks) else [0] * len(at)
        sources = {**_SOURCES, 0: self._query.filled_source}
        of_days: dict[int, Finality] = {}
        judged = self._limits.finality
        shown = []
        for number, of_group, mark, sums in zip(
            numbers.tolist(), groups.tolist(), marks, self._sums_at(at), strict=True
        ):
            bucket, group = self._buckets[number], self._groups[of_group]
            if judged is not None:
                finality = judged(bucket, group)
            elif number in of_days:
                finality = of_days[number]
            else:
                finality = of_days[number] = self._query.finality(bucket.days)
            shown.append(InsightRow(number, bucket, group, sums, sources[mark], finality))
        return shown

    def _sums_at(self, rows: I64) -> list[Sums]:
        """The sums of rows; nothing happened at ``_NO_ROW``."""
        if not len(self._keys):
            return [Sums() for _ in rows]
        at = np.maximum(rows, 0)
        columns: list[Sequence[int | None]] = []
        for metric, wide in ((metric, self._metrics[metric]) for metric in Metric):
            values = WideSums(wide.high[at], wide.low[at]).all()
            foreign = self._foreign.get(metric)
            if foreign is None:
                columns.append(values)
            else:
                amounts = map(foreign.converted.get, at.tolist(), repeat(0))
                columns.append([_plus(own, amount) for own, amount in zip(values, amounts, strict=False)])
        found = list(map(Sums._make, zip(*columns, strict=True)))
        for place in np.flatnonzero(self._marks[at] & UNKNOWN).tolist():
            found[place] = UNKNOWN_SUMS
        for place in np.flatnonzero(rows == _NO_ROW).tolist():
            found[place] = Sums()
        return found


@dataclass(frozen=True, slots=True)
class Limits:
    """What the sums do not tell of an answer."""

    no_totals: bool = False
    """The totals are not known."""
    left_empty: frozenset[int] = frozenset()
    """Numbers of the buckets that must not be filled up."""
    finality: Callable[[Bucket, tuple[GroupValue, ...]], Finality] | None = None
    """Of a row; None: the calendar decides."""


UNKNOWN_SUMS = Sums(None, None, None, None, None)
_SOURCES = {STREAMED: RowSource.STREAM, REPORTED: RowSource.REPORT, STREAMED | REPORTED: RowSource.MIXED}


@dataclass(frozen=True, slots=True)
class _Cells:
    """The places of the answer: those with events, and those that are filled up."""

    keys: I64
    """Number of the bucket times the number of groups, plus the group's."""
    rows: I64
    """Where its sums are; ``_NO_ROW`` for a filled one."""

    @classmethod
    def of_rows(cls, keys: I64) -> "_Cells":
        return cls(keys, np.arange(len(keys)))


@dataclass(frozen=True, slots=True)
class _Foreign:
    """Converted amounts of one metric, by row; None where a rate is missing."""

    converted: Mapping[int, int | None]

    @property
    def total(self) -> int | None:
        total: int | None = 0
        for amount in self.converted.values():
            total = _plus(total, amount)
        return total


def _numbered_groups(sums: StoredSums) -> tuple[I64, list[tuple[GroupValue, ...]]]:
    """For each stored row the number of its group, and the groups in their order."""
    numbers = np.zeros(len(sums), np.int64)
    if not sums.groups:
        return numbers, [()]
    for keys in sums.groups:
        # Counted through anew after each dimension: their product may be beyond 64 bits.
        _, numbers = np.unique(numbers * len(keys.names) + keys.codes, return_inverse=True)
    _, first = np.unique(numbers, return_index=True)
    columns = [[keys.names[code] for code in keys.codes[first].tolist()] for keys in sums.groups]
    return numbers, list(zip(*columns, strict=True))


def _grouped(sums: StoredSums, order: I64, starts: I64) -> dict[Metric, WideSums]:
    """Sums by row of the answer; of money only what is in the asked currency."""
    if not len(starts):
        nothing = WideSums(np.zeros(0, np.int64), np.zeros(0, np.int64))
        return dict.fromkeys(Metric, nothing)
    own = sums.money_day < 0
    wide = {m: column.only(own) if m in MONEY else column for m, column in sums.metrics.items()}
    return {metric: column.by(order, starts) for metric, column in wide.items()}


def _converted(query: InsightQuery, sums: StoredSums, row_of: I64, conversions: Conversions) -> dict[Metric, _Foreign]:
    """Amounts in other currencies, each converted once for its row, currency and day, then added up by row."""
    foreign = np.flatnonzero(sums.money_day >= 0).tolist()
    if not foreign:
        return {}
    amounts: dict[tuple[int, str, int], list[int]] = {}
    for stored in foreign:
        currency = str(sums.currency.names[sums.currency.codes[stored]])
        of_day = amounts.setdefault((int(row_of[stored]), currency, int(sums.money_day[stored])), [0] * len(MONEY))
        for n, metric in enumerate(MONEY):
            of_day[n] += sums.metrics[metric].at(stored)
    days: list[date] = list(query.days)
    converted: dict[Metric, dict[int, int | None]] = {metric: {} for metric in MONEY}
    for (row, currency, day), of_day in amounts.items():
        for metric, amount in zip(MONEY, of_day, strict=True):
            own = conversions.convert(amount, currency, days[day])
            converted[metric][row] = _plus(converted[metric].get(row, 0), own)
    return {metric: _Foreign(by_row) for metric, by_row in converted.items()}


def _refuse_too_many(rows: int) -> None:
    if rows > MAX_GROUPED_ROWS:
        raise InvalidInput.of(
            "group_by",
            f"gives {rows} rows; at most {MAX_GROUPED_ROWS} can be asked at once:"
            " ask for fewer days, a coarser granularity or fewer dimensions",
        )


def _plus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _sums(values: Mapping[Metric, int | None]) -> Sums:
    return Sums(
        impressions=values[Metric.IMPRESSIONS],
        clicks=values[Metric.CLICKS],
        conversions_millionths=values[Metric.CONVERSIONS],
        spend_micros=values[Metric.SPEND],
        revenue_micros=values[Metric.REVENUE],
    )
