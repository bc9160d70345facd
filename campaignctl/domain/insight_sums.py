"""Sums as they come from the stores, in columns: what the rows of an answer are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.insights import GroupValue, Metric

I64: TypeAlias = NDArray[np.int64]

LIMB_BITS = 28
"""A wide sum is ``high * 2**28 + low``: both columns add up without wrapping for more events than there can be."""
STREAMED, REPORTED, UNKNOWN = 1, 2, 4
"""Marks of stored sums: events or reports took part; they stand for something that cannot be told any more."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A column of group values or currencies, as codes into the distinct ones, which are in ascending order."""

    codes: I64
    names: tuple[GroupValue, ...]


@dataclass(frozen=True, slots=True)
class WideSums:
    """A column of exact sums beyond 64 bits."""

    high: I64
    low: I64

    def at(self, row: int) -> int:
        return (int(self.high[row]) << LIMB_BITS) + int(self.low[row])

    def all(self) -> list[int]:
        if _are_within(self.high, 1 << (62 - LIMB_BITS)) and _are_within(self.low, 1 << 62):
            each: list[int] = ((self.high << LIMB_BITS) + self.low).tolist()
            return each
        return [(high << LIMB_BITS) + low for high, low in zip(self.high.tolist(), self.low.tolist(), strict=True)]

    def added_up(self) -> int:
        return (int(self.high.sum()) << LIMB_BITS) + int(self.low.sum())

    def any_but_zero(self) -> NDArray[np.bool_]:
        """Which of them are not 0."""
        differs: NDArray[np.bool_] = (self.high + (self.low >> LIMB_BITS) != 0) | (self.low % (1 << LIMB_BITS) != 0)
        return differs

    def only(self, rows: NDArray[np.bool_]) -> "WideSums":
        """0 in all other rows."""
        return WideSums(np.where(rows, self.high, 0), np.where(rows, self.low, 0))

    def by(self, order: I64, starts: I64) -> "WideSums":
        """Added up within the groups that begin at ``starts`` of the rows brought into ``order``."""
        return WideSums(np.add.reduceat(self.high[order], starts), np.add.reduceat(self.low[order], starts))


def _are_within(column: I64, limit: int) -> bool:
    """Whether there are numbers, and all of them between -``limit`` and ``limit``, without these."""
    return bool(len(column)) and -limit < int(column.min()) and int(column.max()) < limit


@dataclass(frozen=True, slots=True)
class StoredSums:
    """What the store answers: rows by bucket, group and currency, those of other currencies than the asked by day too.

    What is alike may come in several rows: a day can be cut in two.
    """

    bucket: I64
    """Number of the bucket."""
    groups: tuple[Keys, ...]
    """One for each dimension of the question's ``group_by``."""
    currency: Keys
    money_day: I64
    """Number of the day in the asked range, from 0; -1 where the currency is the asked one."""
    metrics: Mapping[Metric, WideSums]
    marks: I64 | None = None
    """``STREAMED``, ``REPORTED`` and ``UNKNOWN``, added up; None: all are streamed."""

    def __len__(self) -> int:
        return len(self.bucket)

    def all_marks(self) -> I64:
        return np.full(len(self), STREAMED) if self.marks is None else self.marks


def joined(parts: Sequence[StoredSums]) -> StoredSums:
    """The rows of all parts, which answer the same question."""
    if len(parts) == 1:
        return parts[0]

    def wide(metric: Metric) -> WideSums:
        columns = [part.metrics[metric] for part in parts]
        return WideSums(np.concatenate([one.high for one in columns]), np.concatenate([one.low for one in columns]))

    return StoredSums(
        bucket=np.concatenate([part.bucket for part in parts]),
        groups=tuple(map(_joined_keys, zip(*(part.groups for part in parts), strict=True))),
        currency=_joined_keys([part.currency for part in parts]),
        money_day=np.concatenate([part.money_day for part in parts]),
        metrics={metric: wide(metric) for metric in Metric},
        marks=np.concatenate([part.all_marks() for part in parts]),
    )


def keys_of(values: Sequence[GroupValue]) -> Keys:
    """Values as a column."""
    names = sorted(set(values))
    codes = {name: code for code, name in enumerate(names)}
    return Keys(np.array([codes[value] for value in values], np.int64), tuple(names))


def wide_of(values: Sequence[int]) -> WideSums:
    """Numbers of any size as a column."""
    high = [value >> LIMB_BITS for value in values]
    low = [value & ((1 << LIMB_BITS) - 1) for value in values]
    return WideSums(np.array(high, np.int64), np.array(low, np.int64))


def _joined_keys(parts: Sequence[Keys]) -> Keys:
    names = tuple(sorted({name for part in parts for name in part.names}))
    places = {name: place for place, name in enumerate(names)}
    ranks = [np.array([places[name] for name in part.names], np.int64) for part in parts]
    return Keys(np.concatenate([rank[part.codes] for rank, part in zip(ranks, parts, strict=True)]), names)
