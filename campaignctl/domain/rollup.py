"""The sums of a rollup, exactly: what a re-aggregation compares and tells."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

COUNTS = ("events", "impressions", "clicks")
MONEY = ("spend", "revenue")


@dataclass(slots=True)
class Totals:
    """Integers without bounds: conversions in millionths, money in micros of its currency."""

    counts: Counter[str] = field(default_factory=Counter)
    """``events``, ``impressions``, ``clicks`` and ``conversions``."""
    money: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in MONEY})
    """``spend`` and ``revenue``, each by currency."""

    def plus(self, other: "Totals", sign: int = 1) -> "Totals":
        counts = Counter(self.counts)
        for name, value in other.counts.items():
            counts[name] += sign * value
        money = {name: Counter(amounts) for name, amounts in self.money.items()}
        for name, amounts in other.money.items():
            for currency, micros in amounts.items():
                money[name][currency] += sign * micros
        return Totals(counts, money)

    def minus(self, other: "Totals") -> "Totals":
        return self.plus(other, -1)

    def shown(self) -> dict[str, object]:
        """As a JSON object: counts as integers, the rest as exact decimals, money by currency."""
        return {
            **{name: self.counts[name] for name in COUNTS},
            "conversions": _decimal(self.counts["conversions"]),
            **{
                name: {currency: _decimal(micros) for currency, micros in sorted(self.money[name].items())}
                for name in MONEY
            },
        }

    def kept(self) -> dict[str, object]:
        """As a JSON object of integers, to be read by ``restored``."""
        return {"counts": dict(self.counts), "money": {name: dict(amounts) for name, amounts in self.money.items()}}

    @classmethod
    def restored(cls, kept: Mapping[str, Mapping[str, object]]) -> "Totals":
        counts = Counter({name: _integer(value) for name, value in kept["counts"].items()})
        money: dict[str, Counter[str]] = {}
        for name, amounts in kept["money"].items():
            if not isinstance(amounts, Mapping):
                raise TypeError(f"{name} must be kept by currency")
            money[name] = Counter({currency: _integer(value) for currency, value in amounts.items()})
        return cls(counts, money)


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"an integer was expected, not {value!r}")
    return value


def _decimal(millionths: int) -> int | Decimal:
    """Without superfluous zeros, whatever the decimal context."""
    whole, rest = divmod(abs(millionths), 1_000_000)
    sign = "-" if millionths < 0 else ""
    if not rest:
        return int(f"{sign}{whole}")
    return Decimal(f"{sign}{whole}.{rest:06}".rstrip("0"))
