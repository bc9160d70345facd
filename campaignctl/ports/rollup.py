"""The rollup against its raw rows: counting again what it must hold, and adding what it lacks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.insight_sums import LIMB_BITS
from campaignctl.domain.rollup import Totals

I64: TypeAlias = NDArray[np.int64]

_METRICS = ("impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros")
SUM_COLUMNS = ("events", *(name for metric in _METRICS for name in (metric, f"{metric}_high")))
"""The rollup's sums. Beside each of a metric stands the sum of its values' multiples of 2^28 (see the migration)."""


@dataclass(slots=True)
class RollupRows:
    """Rows of the rollup, column by column. Sums may have wrapped at 64 bits, as the engine's do."""

    campaign_id: I64
    day: I64
    """Days since 1970-01-01."""
    platform: NDArray[np.object_]
    region: NDArray[np.object_]
    currency: NDArray[np.object_]
    sums: Mapping[str, I64]
    """By the names of ``SUM_COLUMNS``."""
    last_event_us: I64

    def __len__(self) -> int:
        return len(self.campaign_id)

    def only(self, rows: NDArray[np.bool_]) -> "RollupRows":
        keys = {name: getattr(self, name)[rows] for name in _PLAIN_COLUMNS}
        return RollupRows(**keys, sums={name: values[rows] for name, values in self.sums.items()})

    @classmethod
    def joined(cls, parts: "Iterable[RollupRows]") -> "RollupRows":
        parts = list(parts)
        keys = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _PLAIN_COLUMNS}
        return cls(**keys, sums={name: np.concatenate([part.sums[name] for part in parts]) for name in SUM_COLUMNS})

    def totals(self) -> Totals:
        """All rows added up, exactly."""
        totals = Totals()
        totals.counts["events"] = int(self.sums["events"].sum())
        for metric in _METRICS[:3]:
            totals.counts[metric.removesuffix("_millionths")] = _exact(self.sums, metric, slice(None))
        for currency in sorted(set(self.currency.tolist())):
            rows = np.flatnonzero(self.currency == currency)
            for metric in _METRICS[3:]:
                totals.money[metric.removesuffix("_micros")][currency] = _exact(self.sums, metric, rows)
        return totals


_PLAIN_COLUMNS = tuple(field.name for field in fields(RollupRows) if field.name != "sums")


@dataclass(slots=True)
class Recount:
    """Some campaign days of the rollup: as they are, and what must be added so that they equal their raw rows."""

    current: RollupRows
    lacking: RollupRows
    """Only the rows that lack something."""
    rows_read: int
    """Raw rows."""
    copies: int
    """Raw rows that are copies of others, and count no more."""


class RollupStore(Protocol):
    """Raises ``Unavailable``. For the one who inserts the campaign's events, between two of the inserts.

    ``partition`` is the one of the events topic that the campaigns belong in.
    """

    def recorded_days(self, campaign_id: int, /) -> tuple[int, int] | None:
        """The first and the last day that have raw rows or sums; None when none has."""
        ...

    def recount(self, days: Mapping[int, Sequence[int]], window_ms: int, partition: int, /) -> Recount:
        """Compare the rollup of each campaign's days (numbered since 1970-01-01) with the raw rows.

        Of raw rows of one event the first counts. Rows of the same id are one event when they name the same instant, or
        when the log took the later one within ``window_ms`` of another.
        """
        ...

    def add_to_rollup(self, rows: RollupRows, token: str, partition: int, /) -> None:
        """Add the rows, visible in one step. Under a token that was used before nothing is added."""
        ...


def _exact(sums: Mapping[str, I64], metric: str, rows: "slice | I64") -> int:
    """The true sum: what is left without the multiples of 2^28 is right although the subtraction wraps as well."""
    wrapped, high = sums[metric][rows], sums[f"{metric}_high"][rows]
    rest = wrapped - (high << LIMB_BITS)
    highs: list[int] = high.tolist()
    rests: list[int] = rest.tolist()
    return (sum(highs) << LIMB_BITS) + sum(rests)
