"""Rows of a report on their way to slices: gathered by native campaign and day, on disk where they are many."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import date
from types import TracebackType
from typing import IO, Self

import msgspec

from campaignctl.domain.reports import Figures, ReportRow, figures_of

_IN_MEMORY_ROWS = 100_000
"""About 40 MB: what a report needs in memory however many rows it has."""
_BUCKETS = 64
_LENGTH_BYTES = 4

Key = tuple[str, date]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ReportRow).decode


class ReportSpool:
    """``add`` rows in any order, then take ``slices`` once.

    Rows of one native campaign, day and region add up (``AdPlatform.pages``). Beyond 100,000 rows they go to temporary
    files, parted by native campaign, so that memory holds a 64th of the report at a time.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rows: list[ReportRow] = []
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, rows: Iterable[ReportRow]) -> None:
        for row in rows:
            self.count += 1
            if self._files:
                self._spill(row)
            else:
                self._rows.append(row)
        if len(self._rows) > _IN_MEMORY_ROWS:
            for _ in range(_BUCKETS):
                file = tempfile.TemporaryFile()  # noqa: SIM115  the stack closes it
                self._files.append(self._stack.enter_context(file))
            for row in self._rows:
                self._spill(row)
            self._rows = []

    def clear(self) -> None:
        """Forget all rows: the report begins again."""
        self.count = 0
        self._rows = []
        for file in self._files:
            file.seek(0)
            file.truncate()

    def slices(self) -> Iterator[tuple[Key, tuple[Figures, ...]]]:
        """Every (native campaign, day) once, with its rows, one a region."""
        yield from _gathered(self._rows).items()
        for file in self._files:
            file.seek(0)
            yield from _gathered(_read(file)).items()

    def _spill(self, row: ReportRow) -> None:
        text = _encode(row)
        file = self._files[hash(row.native_id) % _BUCKETS]
        file.write(len(text).to_bytes(_LENGTH_BYTES, "big"))
        file.write(text)


def _read(file: IO[bytes]) -> Iterator[ReportRow]:
    while head := file.read(_LENGTH_BYTES):
        yield _decode(file.read(int.from_bytes(head, "big")))


def _gathered(rows: Iterable[ReportRow]) -> dict[Key, tuple[Figures, ...]]:
    gathered: dict[Key, dict[str, Figures]] = {}
    for row in rows:
        regions = gathered.setdefault((row.native_id, row.day), {})
        figures = figures_of(row)
        known = regions.get(row.region)
        regions[row.region] = figures if known is None else _sum(known, figures)
    return {key: tuple(regions.values()) for key, regions in gathered.items()}


def _sum(one: Figures, other: Figures) -> Figures:
    return Figures(
        one.region,
        _plus(one.impressions, other.impressions),
        _plus(one.clicks, other.clicks),
        _plus(one.conversions_millionths, other.conversions_millionths),
        _plus(one.spend_micros, other.spend_micros),
        _plus(one.revenue_micros, other.revenue_micros),
    )


def _plus(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
