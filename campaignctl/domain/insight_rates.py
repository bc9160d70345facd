"""Converting amounts at stored rates, and telling what was converted and what could not be."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property

from campaignctl.domain.insights import Warning_
from campaignctl.domain.money import div_half_even
from campaignctl.domain.rates import Rate

_RATE_SCALE = 10**18
"""Rates have at most 18 decimal places."""
_MAX_NAMED = 5


class RateTable:
    """Rates into one currency. The rate of a day is its own, or else the latest of the days shortly before it."""

    def __init__(self, base: str, rates: Sequence[Rate], max_age_days: int) -> None:
        """``rates`` into ``base``; one of up to ``max_age_days`` before a day stands for the day."""
        self.base = base
        self.max_age_days = max_age_days
        self._days: dict[str, list[date]] = {}
        self._rates: dict[str, list[Rate]] = {}
        for rate in sorted(rates, key=lambda one: one.day):
            self._days.setdefault(rate.currency, []).append(rate.day)
            self._rates.setdefault(rate.currency, []).append(rate)

    def rate(self, currency: str, day: date) -> Decimal | None:
        found = self.found(currency, day)
        return None if found is None else found.rate

    def found(self, currency: str, day: date) -> Rate | None:
        """The stored rate that stands for the day, which may be one of a day before."""
        days = self._days.get(currency, [])
        place = bisect_right(days, day) - 1
        if place < 0 or (day - days[place]).days > self.max_age_days:
            return None
        return self._rates[currency][place]


@dataclass
class Conversions:
    """Converts amounts and remembers what was needed for it."""

    read: Callable[[], RateTable]
    """Reads the rates; called once, and only where there is something to convert."""
    _used: dict[str, dict[Decimal, date]] = field(default_factory=dict)
    _missing: dict[str, set[date]] = field(default_factory=dict)

    @cached_property
    def table(self) -> RateTable:
        return self.read()

    def convert(self, micros: int, currency: str, day: date) -> int | None:
        """Millionths of the base, rounded half to even; None where an amount other than 0 has no rate."""
        if micros == 0:
            return 0
        rate = self.table.rate(currency, day)
        if rate is None:
            self._missing.setdefault(currency, set()).add(day)
            return None
        used = self._used.setdefault(currency, {})
        used[rate] = min(day, used.get(rate, day))
        return div_half_even(micros * int(rate.scaleb(18)), _RATE_SCALE)

    def warnings(self) -> list[Warning_]:
        """``missing_rate`` and ``mixed_currency``, where there is reason for them."""
        found = []
        if self._missing:
            found.append(Warning_("missing_rate", self._missing_message()))
        if self._used:
            found.append(Warning_("mixed_currency", self._used_message()))
        return found

    def _missing_message(self) -> str:
        named = "; ".join(f"{currency} on {_listed_days(days)}" for currency, days in sorted(self._missing.items()))
        return (
            f"There is no rate into {self.table.base} of the day or the {self.table.max_age_days} days before it for "
            f"{named}. The money concerned is null, and so are the ratios made of it. Store the rates to have it."
        )

    def _used_message(self) -> str:
        named = "; ".join(_listed_rates(currency, rates) for currency, rates in sorted(self._used.items()))
        return f"Amounts in other currencies were converted into {self.table.base} at the stored rates: {named}."


def _listed_days(days: set[date]) -> str:
    listed = sorted(days)
    more = f" and {len(listed) - _MAX_NAMED} more days" if len(listed) > _MAX_NAMED else ""
    return ", ".join(day.isoformat() for day in listed[:_MAX_NAMED]) + more


def _listed_rates(currency: str, rates: Mapping[Decimal, date]) -> str:
    if len(rates) <= _MAX_NAMED:
        # By the day of its first use: stores answer rows in any order.
        shown = ", ".join(_plain(rate) for rate in sorted(rates, key=lambda rate: (rates[rate], rate)))
        return f"1 {currency} = {shown}"
    return f"1 {currency} = {_plain(min(rates))} to {_plain(max(rates))} ({len(rates)} rates)"


def _plain(rate: Decimal) -> str:
    text = f"{rate:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
