"""The calendar day of an instant in a time zone, for many instants at once.

``zoneinfo`` alone decides what the offset is; asking it for each event would cost 1 CPU-second a million, so its
answers are kept as a table of offset changes per zone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]

_DAY_S = 86_400
# Offsets are compared this far apart. No zone of the database changes twice within it and ends where it began.
_STEP_S = 6 * 3_600


class LocalDays:
    """Days by zone; tables are made for the years that are asked for, about 3 ms for a zone and two years."""

    def __init__(self) -> None:
        self._tables: dict[str, _OffsetTable] = {}

    def days(self, zone: str, times_us: I64) -> I64:
        """Days since 1970-01-01 of the local dates of epoch microseconds, exactly."""
        times_s = times_us // 1_000_000
        if zone != "UTC" and times_s.size:
            if zone not in self._tables:
                self._tables[zone] = _OffsetTable(ZoneInfo(zone))
            times_s = times_s + self._tables[zone].offsets_s(times_s)
        return times_s // _DAY_S


class _OffsetTable:
    """From which instant on which offset holds, for whole years."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._from_year, self._to_year = 0, 0
        self._from_s, self._to_s = 0, 0
        self._changes_s: I64 = np.zeros(0, dtype=np.int64)
        self._offsets_s: I64 = np.zeros(0, dtype=np.int64)

    def offsets_s(self, times_s: I64) -> I64:
        first_s, last_s = int(times_s.min()), int(times_s.max())
        if not self._from_s <= first_s <= last_s < self._to_s:
            self._cover(datetime.fromtimestamp(first_s, UTC).year, datetime.fromtimestamp(last_s, UTC).year + 1)
        return self._offsets_s[np.searchsorted(self._changes_s, times_s, side="right") - 1]

    def _cover(self, from_year: int, to_year: int) -> None:
        if self._to_year:
            from_year, to_year = min(from_year, self._from_year), max(to_year, self._to_year)
        self._from_year, self._to_year = from_year, to_year
        self._from_s, self._to_s = _year_start_s(from_year), _year_start_s(to_year)
        changes = [(self._from_s, self._offset_s(self._from_s)), *self._changes(self._from_s, self._to_s)]
        self._changes_s = np.array([at for at, _ in changes], dtype=np.int64)
        self._offsets_s = np.array([offset for _, offset in changes], dtype=np.int64)

    def _changes(self, from_s: int, to_s: int) -> Iterator[tuple[int, int]]:
        at, offset = from_s, self._offset_s(from_s)
        while at < to_s:
            end = min(at + _STEP_S, to_s)
            while (later := self._offset_s(end)) != offset:
                at, offset = self._first_change(at, end)
                yield at, offset
            at, offset = end, later

    def _first_change(self, from_s: int, to_s: int) -> tuple[int, int]:
        """The first second after ``from_s`` at which another offset than there holds, and that offset."""
        before = self._offset_s(from_s)
        while to_s - from_s > 1:
            middle = (from_s + to_s) // 2
            if self._offset_s(middle) == before:
                from_s = middle
            else:
                to_s = middle
        return to_s, self._offset_s(to_s)

    def _offset_s(self, time_s: int) -> int:
        offset = datetime.fromtimestamp(time_s, self._zone).utcoffset()
        return round(offset.total_seconds()) if offset is not None else 0


def _year_start_s(year: int) -> int:
    return round(datetime(year, 1, 1, tzinfo=UTC).timestamp())
